"""Builds the events that Lambda functions get from an HTTP API, from a REST API and from a DynamoDB stream, as AWS documents them:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html (payload formats 2.0 and 1.0) and
https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html."""

import base64
import json
import time
import urllib.parse
import uuid

import template


def example(name):
    """One of the events of tests/events."""
    return json.loads((template.ROOT / "tests/events" / f"{name}.json").read_text())


def body_text(body, in_base64):
    """A body as it stands in an event, and whether that is base64: of what is no text it always is."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        in_base64 = True
    return (base64.b64encode(body).decode(), True) if in_base64 else (text, False)


def http_event(route, method, path, headers=(), body=b"", parameters=None, in_base64=False):
    """A request as an HTTP API hands it over: header names in lower case, a body that is no text (or is taken for none) in base64."""
    path, _, query = path.partition("?")
    text, encoded = body_text(body, in_base64)
    now = time.time()
    event = {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "hookline.example", "content-length": str(len(body))} | {k.lower(): v for k, v in dict(headers).items()},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "hookline",
            "domainName": "hookline.example",
            "domainPrefix": "hookline",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test"},
            "requestId": str(uuid.uuid4()),
            "routeKey": route,
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": int(now * 1000),
        },
        "isBase64Encoded": encoded,
    }
    if body:
        event["body"] = text
    if parameters:
        event["pathParameters"] = parameters
    return event


def rest_event(resource, method, path, headers=(), body=b"", parameters=None, in_base64=False):
    """A request as a REST API hands it over (payload format 1.0): behind a stage, header names as the client wrote them, and every header and
    parameter twice: its last value, and all its values."""
    path, _, query = path.partition("?")
    text, encoded = body_text(body, in_base64)
    now = time.time()
    headers = {"Host": "hookline.example"} | {k.title(): v for k, v in dict(headers).items()}
    queried = urllib.parse.parse_qs(query, keep_blank_values=True)
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {k: [v] for k, v in headers.items()},
        "queryStringParameters": {k: v[-1] for k, v in queried.items()} or None,
        "multiValueQueryStringParameters": queried or None,
        "pathParameters": parameters,
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "hookline",
            "domainName": "hookline.example",
            "domainPrefix": "hookline",
            "httpMethod": method,
            "identity": {"sourceIp": "192.0.2.1", "userAgent": "test"},
            "path": f"/prod{path}",
            "protocol": "HTTP/1.1",
            "requestId": str(uuid.uuid4()),
            "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "requestTimeEpoch": int(now * 1000),
            "resourceId": "a1b2c3",
            "resourcePath": resource,
            "stage": "prod",
        },
        "body": text if body else None,
        "isBase64Encoded": encoded,
    }


def _json(value):
    """An attribute value as it stands in an event's JSON: bytes in base64."""
    if isinstance(value, dict):
        return {k: _json(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_json(v) for v in value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def stream_event(records, stream_arn):
    """Records of GetRecords as the event source mapping hands them to a function."""

    def record(r):
        change = dict(r["dynamodb"])
        if "ApproximateCreationDateTime" in change:
            change["ApproximateCreationDateTime"] = int(change["ApproximateCreationDateTime"].timestamp())
        return {
            "eventID": r["eventID"],
            "eventName": r["eventName"],
            "eventVersion": r.get("eventVersion", "1.1"),
            "eventSource": "aws:dynamodb",
            "awsRegion": r.get("awsRegion", "eu-central-1"),
            "dynamodb": _json(change),
            "eventSourceARN": stream_arn,
        }

    return {"Records": [record(r) for r in records]}


class Stream:
    """A table's stream in a local DynamoDB, read from its beginning."""

    def __init__(self, streams, table):
        self.client = streams
        self.arn = streams.list_streams(TableName=table)["Streams"][0]["StreamArn"]
        self.seen = set()

    def new_records(self):
        """What was written since the last call."""
        found = []
        shards = self.client.describe_stream(StreamArn=self.arn)["StreamDescription"]["Shards"]
        for shard in shards:
            iterator = self.client.get_shard_iterator(
                StreamArn=self.arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while iterator:
                page = self.client.get_records(ShardIterator=iterator)
                if not page["Records"]:
                    break
                found += page["Records"]
                iterator = page.get("NextShardIterator")
        new = [r for r in found if r["eventID"] not in self.seen]
        self.seen.update(r["eventID"] for r in new)
        return new

    def as_event(self, records):
        """Records of this stream as a function is given them."""
        return stream_event(records, self.arn)

    def event(self, deadline=10, name="INSERT", count=1):
        """The event with the new records of that kind; waits until there are so many."""
        end = time.monotonic() + deadline
        records = []
        while True:
            records += [r for r in self.new_records() if r["eventName"] == name]
            if len(records) >= count:
                return self.as_event(records)
            if time.monotonic() > end:
                raise AssertionError(f"{len(records)} new {name} instead of {count} on {self.arn}")
            time.sleep(0.05)
