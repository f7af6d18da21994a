"""Holds a function to its IAM policy: a proxy before DynamoDB Local, which knows no IAM, that answers AccessDeniedException to whatever the
function's role in template.yaml does not allow. So a call that was added without its line in the policy fails here and not in an account.

It knows what the template uses: actions and resources of tables and indexes, and conditions on `dynamodb:LeadingKeys` and on the
`dynamodb:Attributes` of a put or an update. What each operation is authorized by: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html"""

import fnmatch
import http.server
import json
import re
import threading
import urllib.parse

import template
from net import http as http_request

# A transaction is authorized by the action of each of its parts.
TRANSACTION_PARTS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}


# What stands in an expression and names no attribute, beside functions and values.
KEYWORDS = {"SET", "REMOVE", "ADD", "DELETE", "AND", "OR", "NOT", "BETWEEN", "IN"}


def attributes_of(body):
    """The attributes that a put or an update names, its key and its condition included; `None` for what is neither."""
    if "Item" in body:
        return list(body["Item"])
    if "UpdateExpression" not in body:
        return None
    names = body.get("ExpressionAttributeNames", {})
    expressions = body["UpdateExpression"] + " " + body.get("ConditionExpression", "")
    # Words, but for values (`:x`), members of an attribute (`.x`), numbers and functions (`x(`).
    words = re.findall(r"(?<![:.#\w])#?[A-Za-z_]\w*\b(?!\s*\()", expressions)
    return sorted({names.get(word, word) for word in words if word not in KEYWORDS} | set(body["Key"]))


def as_list(value):
    return value if isinstance(value, list) else [value]


def name_of(resource):
    """`InboxTable` of `!GetAtt InboxTable.Arn`, `DeliveriesTable/index/due` of `!Sub "${DeliveriesTable.Arn}/index/due"`."""
    if isinstance(resource, dict) and "Fn::GetAtt" in resource:
        return resource["Fn::GetAtt"][0]
    if isinstance(resource, dict) and "Fn::Sub" in resource:
        return resource["Fn::Sub"].replace("${", "").replace(".Arn}", "")
    return resource


class Access:
    """One thing that a request does: an action on a table (or an index of it), and what conditions are about: the hash key of its item, or of
    its query, and the attributes that it writes or holds it to; `None` where it names none."""

    def __init__(self, action, table, index=None, leading_key=None, attributes=None):
        self.action = action
        self.table = table
        self.index = index
        self.keys = {"dynamodb:LeadingKeys": leading_key and [leading_key], "dynamodb:Attributes": attributes}

    def __str__(self):
        return f"dynamodb:{self.action} on {self.table}{'/index/' + self.index if self.index else ''}"


class Policy:
    """What a role may do with the tables."""

    def __init__(self, statements, hash_keys):
        self.statements = statements
        self.hash_keys = hash_keys
        self.used = set()

    @classmethod
    def of(cls, document, function):
        """The policy of a function's role, as the template says it."""
        role = document["Resources"][function]["Properties"]["Role"]["Fn::GetAtt"][0]
        policies = document["Resources"][role]["Properties"]["Policies"]
        hash_keys = {
            name: next(k["AttributeName"] for k in table["KeySchema"] if k["KeyType"] == "HASH")
            for name, table in template.resources(document, "AWS::DynamoDB::Table").items()
        }
        return cls([s for p in policies for s in p["PolicyDocument"]["Statement"]], hash_keys)

    def allows(self, access):
        """Whether a statement allows it; notes which action of which statement was needed, and on what."""
        for statement in self.statements:
            actions = [a.removeprefix("dynamodb:") for a in as_list(statement["Action"])]
            for resource in as_list(statement["Resource"]):
                if access.action in actions and self._names(resource, access) and self._conditions_hold(statement, access):
                    self.used.add((statement["Sid"], access.action, name_of(resource)))
                    return True
        return False

    def allows_s3(self, action, resource):
        """Whether a statement allows an action on the bucket or its objects."""
        return any(
            action in as_list(s["Action"]) and resource in [name_of(r) for r in as_list(s["Resource"])] for s in self.statements
        )

    def unused(self):
        """What the policy grants on tables and nothing has needed. (Streams are read by the event source mapping.)"""
        granted = {
            (s["Sid"], a.removeprefix("dynamodb:"), name_of(r))
            for s in self.statements
            for a in as_list(s["Action"])
            for r in as_list(s["Resource"])
            if a.startswith("dynamodb:") and not s["Sid"].endswith(("Stream", "StreamList"))
        }
        return granted - self.used

    @staticmethod
    def _names(resource, access):
        return name_of(resource) == (f"{access.table}/index/{access.index}" if access.index else access.table)

    @staticmethod
    def _conditions_hold(statement, access):
        for operator, keys in statement.get("Condition", {}).items():
            fits = {"ForAllValues:StringEquals": str.__eq__, "ForAllValues:StringLike": fnmatch.fnmatchcase}[operator]
            for key, patterns in keys.items():
                # IAM lets a request pass that has no such key; no statement here is meant to allow one.
                values = access.keys[key]
                if values is None or not all(any(fits(value, pattern) for pattern in as_list(patterns)) for value in values):
                    return False
        return True

    def accesses(self, operation, request):
        """All that a request does."""
        if operation == "TransactWriteItems":
            parts = [(TRANSACTION_PARTS[kind], body) for item in request["TransactItems"] for kind, body in item.items()]
        elif operation == "TransactGetItems":
            parts = [("GetItem", item["Get"]) for item in request["TransactItems"]]
        elif operation in ("BatchGetItem", "BatchWriteItem"):
            return [Access(operation, table) for table in request["RequestItems"]]
        else:
            parts = [(operation, request)]
        return [self._access(action, body) for action, body in parts]

    def _access(self, action, body):
        table = body["TableName"]
        item = body.get("Key") or body.get("Item") or {}
        key = item.get(self.hash_keys.get(table), {})
        leading_key = next(iter(key.values()), None) or self._queried_key(body)
        return Access(action, table, body.get("IndexName"), leading_key, attributes_of(body))

    def _queried_key(self, body):
        """The hash key that a query of a table names; `None` of another request, and of an index, which has another."""
        hash_key = self.hash_keys.get(body["TableName"])
        names = body.get("ExpressionAttributeNames", {})
        for name, value in re.findall(r"(#?\w+)\s*=\s*(:\w+)", body.get("KeyConditionExpression", "")):
            if names.get(name, name) == hash_key and "IndexName" not in body:
                return next(iter(body["ExpressionAttributeValues"][value].values()))
        return None


class Bucket:
    """The bucket of failed records, in memory: as much of S3 as is used."""

    NAME = "FailedRecordsBucket"

    def __init__(self):
        self.objects = {}

    def access(self, method, key):
        """What a request needs to be allowed: the action and its resource."""
        action = {"GET": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject"}[method] if key else "ListBucket"
        return f"s3:{action}", f"{self.NAME}/*" if key else self.NAME

    def answer(self, method, key, query, body):
        """The status and the body of the answer."""
        if not key:
            after, limit = query.get("start-after", [""])[0], int(query["max-keys"][0])
            keys = sorted(k for k in self.objects if k > after)[:limit]
            contents = "".join(f"<Contents><Key>{k}</Key></Contents>" for k in keys)
            return 200, f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{contents}</ListBucketResult>'.encode()
        if method == "PUT":
            self.objects[key] = body
            return 200, b""
        if method == "DELETE":
            self.objects.pop(key, None)
            return 204, b""
        if key in self.objects:
            return 200, self.objects[key]
        return 404, b"<Error><Code>NoSuchKey</Code></Error>"


class AnythingGoes:
    """In place of a policy, where several functions share an endpoint."""

    def accesses(self, operation, request):
        return []

    def allows_s3(self, action, resource):
        return True


class Hold:
    """Requests for one operation on one table that wait at a gate, before they are passed on or after, and are never answered."""

    def __init__(self, operation, table, when, gate):
        assert when in ("before", "after"), when
        self.operation, self.table, self.when, self.gate = operation, table, when, gate

    def takes(self, operation, request):
        return operation == self.operation and request.get("TableName") == self.table


class Proxy:
    """An endpoint of DynamoDB, and of S3, that asks a policy first."""

    def __init__(self, host, policy, endpoint, bucket):
        self.policy = policy
        self.denied = []
        # What is held up just now.
        self.hold = None
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Two small writes to one connection wait for each other otherwise.
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                operation = self.headers["x-amz-target"].rpartition(".")[2]
                request = json.loads(body)
                refused = [a for a in policy.accesses(operation, request) if not policy.allows(a)]
                if refused:
                    proxy.denied += map(str, refused)
                    error = {"__type": "com.amazon.coral.service#AccessDeniedException", "message": f"not authorized: {refused[0]}"}
                    self.answer(400, json.dumps(error).encode(), "application/x-amz-json-1.0")
                    return
                headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "content-length", "connection")}
                hold = proxy.hold if proxy.hold and proxy.hold.takes(operation, request) else None
                if hold and hold.when == "before":
                    return self.never(hold)
                status, answered, answer = http_request("POST", endpoint, headers, body)
                if hold:
                    return self.never(hold)
                self.answer(status, answer, answered["content-type"], answered.get("x-amz-crc32"))

            def never(self, hold):
                hold.gate.stop()
                self.close_connection = True

            def s3(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                url = urllib.parse.urlsplit(self.path)
                key = urllib.parse.unquote(url.path.removeprefix(f"/{bucket.NAME}").removeprefix("/"))
                action, resource = bucket.access(self.command, key)
                if not policy.allows_s3(action, resource):
                    proxy.denied.append(f"{action} on {resource}")
                    self.answer(403, b"<Error><Code>AccessDenied</Code></Error>", "application/xml")
                    return
                status, answer = bucket.answer(self.command, key, urllib.parse.parse_qs(url.query), body)
                self.answer(status, answer, "application/xml")

            do_GET = do_PUT = do_DELETE = s3

            def answer(self, status, body, content_type, checksum=None):
                self.send_response(status)
                self.send_header("content-type", content_type)
                self.send_header("content-length", str(len(body)))
                if checksum:
                    self.send_header("x-amz-crc32", checksum)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((host, 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://{host}:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
