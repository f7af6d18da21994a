"""What the functions have logged on the way."""

import json

from flow_base import TRACE, step


def lines_of(text):
    """The lines that functions logged, and those of embedded metrics, among what else the machinery around them prints. Every line that
    begins as an object must be one."""
    ours = ("{\"timestamp\":", "{\"_aws\":")
    objects = [json.loads(line) for line in text.splitlines() if line.startswith(ours) or "\"_aws\":" in line]
    return [o for o in objects if "_aws" not in o], [o for o in objects if "_aws" in o]


def check_log(text, organization):
    """What the functions have logged on the way: JSON, one line for each outcome, with the invocation that it belongs to."""
    logged, measured = lines_of(text)
    expected = {"stored", "refused", "accepted", "duplicate", "rejected", "attempt", "answered", "created", "tick"}
    missing = expected - {line["message"] for line in logged}
    assert not missing, f"never logged: {missing}"
    for line in logged:
        unnamed = {"timestamp", "level", "target", "message"} - line.keys()
        assert not unnamed, f"{unnamed} is not in {line}"
        if line["message"] in expected:
            assert line["span"]["requestId"], line
            assert line.get("outcome"), line
        # The example events name others.
        if line["message"] in ("stored", "accepted", "rejected") and line["organization"] == organization:
            assert line["trace"] == TRACE and line["source"] and line["receipt"], line
        if line["message"] == "attempt":
            assert line["organization"] and line["event"] and line["webhook"] and line["trace"], line
    step(f"{len(logged)} lines of the log are JSON with ids and the invocation's")
    metrics = set()
    for document in measured:
        for directive in document["_aws"]["CloudWatchMetrics"]:
            assert directive["Namespace"] == "Hookline", document
            for name in (metric["Name"] for metric in directive["Metrics"]):
                values = document[name] if isinstance(document[name], list) else [document[name]]
                assert values and all(isinstance(value, (int, float)) for value in values), document
                metrics.add(name)
            assert all(isinstance(document[name], str) for names in directive["Dimensions"] for name in names), document
    expected = {"Received", "Verified", "Duplicates", "Rejected", "Deliveries", "FirstAttemptLatency", "DueBacklog", "OldestDue"}
    assert metrics == expected, metrics ^ expected
    step(f"{len(measured)} lines of embedded metrics tell all that is measured")
