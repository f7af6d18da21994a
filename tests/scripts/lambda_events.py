"""Builds the events that Lambda functions get from an HTTP API and from a DynamoDB stream, as AWS documents them:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html (payload format 2.0) and
https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html."""

import base64
import time
import uuid


def http_event(route, method, path, headers=(), body=b"", parameters=None, in_base64=False):
    """A request as an HTTP API hands it over: header names in lower case, a body that is no text (or is taken for none) in base64."""
    path, _, query = path.partition("?")
    try:
        text, encoded = body.decode(), in_base64
    except UnicodeDecodeError:
        encoded = True
    if encoded:
        text = base64.b64encode(body).decode()
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

    def event(self, deadline=10, name="INSERT", count=1):
        """The event with the new records of that kind; waits until there are so many."""
        end = time.monotonic() + deadline
        records = []
        while True:
            records += [r for r in self.new_records() if r["eventName"] == name]
            if len(records) >= count:
                return stream_event(records, self.arn)
            if time.monotonic() > end:
                raise AssertionError(f"{len(records)} new {name} instead of {count} on {self.arn}")
            time.sleep(0.05)
