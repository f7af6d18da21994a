"""The receive step as one would write it in Python: looks up the ingest token, checks the head, stores the request, answers.

Measured beside `receive` by tests/scripts/cold_start.py; never deployed."""

import base64
import hashlib
import json
import os
import time
import uuid

import boto3

dynamodb = boto3.client("dynamodb")


def answer(status, body):
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}


def handler(event, _context):
    token = event["pathParameters"]["token"]
    door = "tok#" + hashlib.sha256(token.encode()).hexdigest()
    found = dynamodb.get_item(TableName=os.environ["SOURCES_TABLE"], Key={"id": {"S": door}}).get("Item")
    if not found:
        return answer(404, {"title": "no such receiving URL"})
    headers = {name.lower(): value for name, value in event["headers"].items()}
    for required in found["requiredHeaders"]["L"]:
        if not headers.get(required["S"]):
            return answer(400, {"title": f"the header {required['S']} is missing"})
    body = event.get("body") or ""
    body = base64.b64decode(body) if event["isBase64Encoded"] else body.encode()
    receipt = f"rcp_{uuid.uuid4().hex}"
    dynamodb.put_item(
        TableName=os.environ["INBOX_TABLE"],
        Item={
            "id": {"S": receipt},
            "organization": found["tenant"],
            "source": found["source"],
            "headers": {"S": json.dumps(headers)},
            "body": {"B": body},
            "ttl": {"N": str(int(time.time()) + 7 * 86400)},
        },
        ConditionExpression="attribute_not_exists(id)",
    )
    return answer(202, {"id": receipt})
