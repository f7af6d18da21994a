"""What schemathesis is told in Python, because its configuration has no word for it."""

import itertools
import re

import schemathesis

HEADER = "idempotency-key"
requests = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Each valid idempotency key is a new one. Made-up keys repeat each other, and a request under a known key is answered as the one before:
    with an id that was deleted since, or that something else was asked. (Tests of manage ask the same thing twice on purpose.)"""
    key = (case.headers or {}).get(HEADER)
    if isinstance(key, str) and re.fullmatch(r"[!-~]([ -~]{0,200}[!-~])?", key):
        case.headers[HEADER] = f"{key}-{next(requests)}"
