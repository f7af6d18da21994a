"""Tries docs/deploy/copy_table.py between tables of a local DynamoDB.

    copy_table_check.py ENDPOINT
"""

import os
import subprocess
import sys
import time

import template

PROGRAM = template.ROOT / "docs/deploy/copy_table.py"
# A table with a sort key, a time to live, and bytes in it.
TABLE = "WebhooksTable"
# The moment of the example that the ULID's specification begins with; a receipt long before, one of the millisecond before, one of that
# moment, and one long after.
SINCE = "2016-07-31T01:54:10.259+02:00"
RECEIPTS = ["rcp_01AR000000SV4RRFFQ69G5FAV0", "rcp_01ARZ3NDEJZZZZZZZZZZZZZZZZ", "rcp_01ARZ3NDEK0000000000000000", "rcp_01JQ6ZQ0M0000000000000000A"]
NO_INBOX = "{} is no inbox: --since needs ids that tell the time"


def run(endpoint, *arguments):
    """What the program prints, and its exit status."""
    environment = os.environ | {"AWS_ENDPOINT_URL_DYNAMODB": endpoint}
    done = subprocess.run([sys.executable, PROGRAM, *arguments], env=environment, capture_output=True, text=True)
    return done.returncode, (done.stdout + done.stderr).strip()


def item(number, **more):
    """An item of the table."""
    return {"organization": {"S": f"org_{number % 3}"}, "id": {"S": f"wh_{number}"}, "b": {"B": bytes([number % 256])}} | more


def main(arguments):
    if len(arguments) != 1:
        sys.exit(__doc__)
    (endpoint,) = arguments
    dynamodb = template.client("dynamodb", endpoint)
    kinds = {"restored": TABLE, "live": TABLE, "other": "SourcesTable", "inbox": "InboxTable", "new-inbox": "InboxTable"}
    for name, kind in kinds.items():
        properties = template.resources(template.load(), "AWS::DynamoDB::Table")[kind]
        dynamodb.create_table(TableName=name, **{k: properties[k] for k in template.CREATE_TABLE if k in properties})
    now = int(time.time())
    for number in range(300):
        dynamodb.put_item(TableName="restored", Item=item(number, x={"S": "as it was"}))
    dynamodb.put_item(TableName="restored", Item=item(300, ttl={"N": str(now - 60)}))
    dynamodb.put_item(TableName="restored", Item=item(301, ttl={"N": str(now + 3600)}))
    dynamodb.put_item(TableName="live", Item=item(7, x={"S": "as it is"}))
    for receipt in RECEIPTS:
        dynamodb.put_item(TableName="inbox", Item={"id": {"S": receipt}})
    dynamodb.put_item(TableName="other", Item={"id": {"S": "src_1"}})

    def all_of(table):
        pages = dynamodb.get_paginator("scan").paginate(TableName=table)
        return {i["id"]["S"]: i for page in pages for i in page["Items"]}

    steps = [
        ("a dry run says what there is to do", ["restored", "live", "--dry-run"], (0, "300 to copy, 1 there already, 1 over")),
        ("what is missing is copied", ["restored", "live"], (0, "300 copied, 1 there already, 1 over")),
        ("given again it copies nothing", ["restored", "live"], (0, "0 copied, 301 there already, 1 over")),
        ("other tables are refused", ["restored", "other"], (1, "restored and other have other keys: these are different tables")),
        ("of the inbox only what came since then", ["inbox", "new-inbox", "--since", SINCE], (0, "2 copied, 0 there already, 0 over, 2 older")),
        ("and nothing else is asked when it came", ["other", "new-inbox", "--since", SINCE], (1, NO_INBOX.format("other"))),
        ("nor a table with a sort key", ["restored", "live", "--since", SINCE], (1, NO_INBOX.format("restored"))),
    ]
    passed = 0
    for what, given, wanted in steps:
        before = len(all_of("live"))
        got = run(endpoint, *given)
        assert got == wanted, f"{what}: {got} instead of {wanted}"
        assert "--dry-run" not in given or len(all_of("live")) == before, "a dry run wrote something"
        print(f"  ok {what}")
        passed += 1
    live, restored = all_of("live"), all_of("restored")
    assert live["wh_7"]["x"]["S"] == "as it is", "what was there is written over"
    assert {k: v for k, v in live.items() if k != "wh_7"} == {k: v for k, v in restored.items() if k not in ("wh_7", "wh_300")}
    print("  ok and each item is as it was, but for the one that was there")
    assert set(all_of("new-inbox")) == set(RECEIPTS[2:]), all_of("new-inbox")
    print("  ok and of the inbox exactly what came at that moment and later")
    print(f"{passed + 2} passed, 0 failed")


if __name__ == "__main__":
    main(sys.argv[1:])
