"""Copies the items of one DynamoDB table that another of the same keys does not have: how a backup comes back into a stack (docs/DEPLOY.md).
It never writes over what is there, passes over what has outlived its time, and can be given again after it was broken off.

    copy_table.py FROM TO [--since 2026-11-22T08:00:00Z] [--dry-run]

With --since it copies only what has been received since then: for the inbox, whose ids (rcp_, then a ULID) tell when that was.

Needs boto3 (the SAM CLI brings it) and, as rights, Scan and DescribeTable on FROM, DescribeTable and PutItem on TO, for a dry run GetItem.
"""

import argparse
import collections
import concurrent.futures
import datetime
import sys
import time

import boto3
from botocore.config import Config

SEGMENTS = 4
EPOCH = datetime.datetime.fromtimestamp(0, datetime.timezone.utc)
RECEIPT = "rcp_"
# The digits of a ULID, whose first ten are milliseconds: https://github.com/ulid/spec
DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def key_schema(dynamodb, table):
    """The attributes of a table's key, with their types."""
    description = dynamodb.describe_table(TableName=table)["Table"]
    types = {a["AttributeName"]: a["AttributeType"] for a in description["AttributeDefinitions"]}
    return {k["AttributeName"]: types[k["AttributeName"]] for k in description["KeySchema"]}


def is_over(item, now):
    """Whether an item has outlived its time: DynamoDB deletes it some time after."""
    expires = item.get("ttl", {}).get("N")
    return expires is not None and float(expires) < now


def is_inbox(dynamodb, table):
    """Whether what is in the table, if anything is, has ids of receipts."""
    items = dynamodb.scan(TableName=table, Limit=1)["Items"]
    return all(item.get("id", {}).get("S", "").startswith(RECEIPT) for item in items)


def moment(text):
    """A moment with its offset, as RFC 3339 writes it."""
    parsed = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    if parsed.tzinfo is None:
        raise ValueError("no offset")
    return parsed


def first_receipt(since):
    """The least id that a receipt of that moment can have; ids sort by time."""
    left, digits = (since - EPOCH) // datetime.timedelta(milliseconds=1), ""
    for _ in range(10):
        left, digit = divmod(left, len(DIGITS))
        digits = DIGITS[digit] + digits
    return RECEIPT + digits


def copy_segment(dynamodb, source, target, key, segment, first, is_dry):
    """Copies one part of the table; counts what was copied, was there, was over, or is older than the first id."""
    counts = collections.Counter()
    pages = dynamodb.get_paginator("scan").paginate(TableName=source, Segment=segment, TotalSegments=SEGMENTS, ConsistentRead=True)
    for page in pages:
        for item in page["Items"]:
            if is_over(item, time.time()):
                counts["over"] += 1
                continue
            if first and item["id"]["S"] < first:
                counts["older"] += 1
                continue
            if is_dry:
                wanted = {name: item[name] for name in key}
                counts["there" if "Item" in dynamodb.get_item(TableName=target, Key=wanted) else "copied"] += 1
                continue
            try:
                names = {f"#{i}": name for i, name in enumerate(key)}
                condition = " AND ".join(f"attribute_not_exists({name})" for name in names)
                dynamodb.put_item(TableName=target, Item=item, ConditionExpression=condition, ExpressionAttributeNames=names)
                counts["copied"] += 1
            except dynamodb.exceptions.ConditionalCheckFailedException:
                counts["there"] += 1
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="FROM")
    parser.add_argument("target", metavar="TO")
    parser.add_argument("--since", type=moment, help="for the inbox: only what has been received since then")
    parser.add_argument("--dry-run", action="store_true", help="count only (needs GetItem on TO)")
    arguments = parser.parse_args()
    first = first_receipt(arguments.since) if arguments.since else None
    # Throttling is waited for.
    dynamodb = boto3.client("dynamodb", config=Config(retries={"mode": "adaptive", "max_attempts": 20}))
    key = key_schema(dynamodb, arguments.source)
    if key != key_schema(dynamodb, arguments.target):
        sys.exit(f"{arguments.source} and {arguments.target} have other keys: these are different tables")
    if first and not is_inbox(dynamodb, arguments.source):
        sys.exit(f"{arguments.source} is no inbox: --since needs ids that tell the time")
    counts = collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(SEGMENTS) as pool:
        parts = [
            pool.submit(copy_segment, dynamodb, arguments.source, arguments.target, key, segment, first, arguments.dry_run)
            for segment in range(SEGMENTS)
        ]
        for part in concurrent.futures.as_completed(parts):
            counts += part.result()
    verb = "to copy" if arguments.dry_run else "copied"
    older = f", {counts['older']} older" if first else ""
    print(f"{counts['copied']} {verb}, {counts['there']} there already, {counts['over']} over{older}")


if __name__ == "__main__":
    main()
