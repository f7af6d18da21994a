"""Copies the items of one DynamoDB table that another of the same keys does not have: how a backup comes back into a stack (docs/DEPLOY.md).
It never writes over what is there, passes over what has outlived its time, and can be given again after it was broken off.

    copy_table.py FROM TO [--dry-run]

Needs boto3 (the SAM CLI brings it) and, as rights, Scan and DescribeTable on FROM, DescribeTable and PutItem on TO.
"""

import argparse
import collections
import concurrent.futures
import sys
import time

import boto3
from botocore.config import Config

SEGMENTS = 4


def key_schema(dynamodb, table):
    """The attributes of a table's key, with their types."""
    description = dynamodb.describe_table(TableName=table)["Table"]
    types = {a["AttributeName"]: a["AttributeType"] for a in description["AttributeDefinitions"]}
    return {k["AttributeName"]: types[k["AttributeName"]] for k in description["KeySchema"]}


def is_over(item, now):
    """Whether an item has outlived its time: DynamoDB deletes it some time after."""
    expires = item.get("ttl", {}).get("N")
    return expires is not None and float(expires) < now


def copy_segment(dynamodb, source, target, key, segment, is_dry):
    """Copies one part of the table; counts what was copied, was there, or was over."""
    counts = collections.Counter()
    pages = dynamodb.get_paginator("scan").paginate(TableName=source, Segment=segment, TotalSegments=SEGMENTS, ConsistentRead=True)
    for page in pages:
        for item in page["Items"]:
            if is_over(item, time.time()):
                counts["over"] += 1
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
    parser.add_argument("--dry-run", action="store_true", help="count only (needs GetItem on TO)")
    arguments = parser.parse_args()
    # Throttling is waited for.
    dynamodb = boto3.client("dynamodb", config=Config(retries={"mode": "adaptive", "max_attempts": 20}))
    key = key_schema(dynamodb, arguments.source)
    if key != key_schema(dynamodb, arguments.target):
        sys.exit(f"{arguments.source} and {arguments.target} have other keys: these are different tables")
    counts = collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(SEGMENTS) as pool:
        parts = [
            pool.submit(copy_segment, dynamodb, arguments.source, arguments.target, key, segment, arguments.dry_run)
            for segment in range(SEGMENTS)
        ]
        for part in concurrent.futures.as_completed(parts):
            counts += part.result()
    verb = "to copy" if arguments.dry_run else "copied"
    print(f"{counts['copied']} {verb}, {counts['there']} there already, {counts['over']} over")


if __name__ == "__main__":
    main()
