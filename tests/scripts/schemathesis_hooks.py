"""What schemathesis is told in Python, because its configuration has no word for it: values that must be new, or of today."""

import datetime
import itertools
import zlib

import schemathesis

KEY = "idempotency-key"
numbers = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Of requests that are meant to be right."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    # Made-up keys repeat each other, and a request under a known key is answered as the one before: with an id that was deleted since, or
    # that something else was asked. (Tests of manage ask the same thing twice on purpose.)
    if case.headers and case.headers.get(KEY):
        case.headers[KEY] = f"{case.headers[KEY][:200]}-{next(numbers)}"
    # What happened longer ago than events are kept is refused, and the document's example is of another year.
    if case.operation.definition.raw.get("operationId") in ("replayWebhook", "recoverWebhook") and isinstance(case.body, dict):
        now = datetime.datetime.now(datetime.timezone.utc)
        case.body["since"] = (now - datetime.timedelta(hours=1)).isoformat()
        if case.body.get("until"):
            case.body["until"] = now.isoformat()


@schemathesis.hook
def filter_case(context, case):
    """Of the twelve thousand systematic cases of a source's own description a sample is enough, always the same one: parts of descriptions
    repeat each other. (All of them together take as long as everything else twice.)"""
    if case.operation.definition.raw.get("operationId") != "createSource" or not isinstance(case.body, dict):
        return True
    return not case.body.get("custom") or zlib.crc32(repr(case.body["custom"]).encode()) % 16 == 0
