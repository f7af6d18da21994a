"""The forms in which API Gateway hands a request over: text and base64, bytes that are no text, both payload formats, header names in either
case, one value or several. What is verified are the bytes that the provider signed, in each form. And every event of tests/events."""

import base64
import gzip
import hashlib
import hmac
import json

import template
from flow_base import TRACE, Sink, expect, failures, signed
from lambda_events import example

# The example events that are requests, each with what it is.
RECEIVED = {
    "receive": "text",
    "receive-base64": "text in base64",
    "receive-gzip": "compressed, with cookies",
    "receive-v1": "payload format 1.0",
    "receive-v1-gzip": "payload format 1.0, compressed",
}
LISTED = ("manage-list-sources", "manage-v1-list-sources")

# No text, and nothing that could be taken for one.
BYTES = bytes(range(256)) + b"\x1f\x8b\r\n\x00"


def forms(flow, step):
    """All of it, over one hub."""
    examples(flow, step)
    received(flow, step)
    twice(flow, step)
    binary(flow, step)
    listed(flow, step)


def examples(flow, step):
    """The example events stand for themselves: nothing that they name is in the tables, and each function says so. None is left out."""
    outcomes = {name: ("ReceiveFunction", lambda answer: answer["statusCode"] == 404) for name in RECEIVED}
    outcomes |= {name: ("ManageFunction", lambda answer: answer["statusCode"] == 401) for name in LISTED}
    outcomes |= {
        "verify": ("VerifyFunction", lambda answer: failures(answer) == []),
        "fan-out": ("FanOutFunction", lambda answer: failures(answer) == []),
        "retry": ("RetryFunction", lambda answer: answer is None),
    }
    # The flow began with this one.
    used = outcomes.keys() | {"operate-create-organization"}
    there = {file.stem for file in (template.ROOT / "tests/events").glob("*.json")}
    assert used == there, used ^ there
    for name, (function, outcome) in outcomes.items():
        answer = flow.hub.invoke(function, example(name))
        assert outcome(answer), f"{name}: {answer}"
    assert flow.sink.take() == []
    step(f"the {len(there)} example events are answered")


def body_of(event):
    """The bytes that an event carries."""
    return base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"].encode()


def with_body(event, body):
    """The same event with another body, in the same form."""
    return event | {"body": base64.b64encode(body).decode() if event["isBase64Encoded"] else body.decode()}


def with_headers(event, values):
    """The same event with other values of headers, under the names that it writes them with; in payload format 1.0 in both its places."""
    titled = "multiValueHeaders" in event
    values = {name.title() if titled else name: value for name, value in values.items()}
    event = event | {"headers": event["headers"] | values}
    if titled:
        event["multiValueHeaders"] = event["multiValueHeaders"] | {name: [value] for name, value in values.items()}
    return event


def addressed(event, token):
    """The same event, to that token."""
    return json.loads(json.dumps(event).replace("in_" + "x" * 32, token))


def received(flow, step):
    """Each example of a request, to the flow's source and signed with its secret; and each again with a byte changed under that signature."""
    original = Sink(flow.hub.HOST)
    webhook = flow.call("POST", "/v1/webhooks", 201, {"name": "original", "url": original.url, "format": "original"})["id"]
    token = flow.receiving.removeprefix("/in/")
    receipts, bodies = {}, []
    for name in RECEIVED:
        event = addressed(example(name), token)
        body = body_of(event)
        # What is delivered as it came has its compression taken off.
        bodies.append(gzip.decompress(body) if name.endswith("gzip") else body)
        event = with_headers(event, signed(flow.secret, f"msg_{name}", body))
        # The first byte after the header of a gzip file, or of a text.
        at = body.index(b"live") if b"live" in body else len(body) - 5
        changed = with_body(event, body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :])
        for form, status in ((event, "accepted"), (changed, "rejected")):
            answer = flow.hub.invoke("ReceiveFunction", form)
            assert answer["statusCode"] == 202, f"{name}: {answer}"
            receipts[json.loads(answer["body"])["id"]] = (name, status)
    assert failures(flow.hub.invoke("VerifyFunction", flow.inbox.event(count=len(receipts)))) == []
    events = flow.events.event(count=len(bodies))
    for receipt, (name, status) in receipts.items():
        assert flow.receipt(receipt)["status"] == status, f"{name}: {flow.receipt(receipt)}"
    assert failures(flow.hub.invoke("FanOutFunction", events)) == []
    ids = [record["dynamodb"]["Keys"]["id"]["S"] for record in events["Records"]]
    flow.deliver_what_is_left(ids)
    arrived = [body for _, body in original.take()]
    assert sorted(arrived) == sorted(bodies), arrived
    assert len(flow.sink.take()) == len(bodies)
    flow.call("DELETE", f"/v1/webhooks/{webhook}", 204)
    step(f"{len(RECEIVED)} forms of a request ({'; '.join(RECEIVED.values())}) arrive byte for byte, and none with a byte changed")


def twice(flow, step):
    """A signature header that comes twice: whichever of its values is right, neither is chosen."""
    event = addressed(example("receive-v1"), flow.receiving.removeprefix("/in/"))
    body = body_of(event)
    event = with_headers(event, signed(flow.secret, "msg_twice", body))
    right = event["headers"]["Webhook-Signature"]
    wrong = "v1," + base64.b64encode(bytes(32)).decode()
    receipts = []
    for values in ([wrong, right], [right, wrong]):
        event["multiValueHeaders"]["Webhook-Signature"] = values
        event["headers"]["Webhook-Signature"] = values[-1]
        answer = flow.hub.invoke("ReceiveFunction", event)
        assert answer["statusCode"] == 202, answer
        receipts.append(json.loads(answer["body"])["id"])
    assert failures(flow.hub.invoke("VerifyFunction", flow.inbox.event(count=2))) == []
    assert flow.events.new_records() == [], "one of two signatures was chosen"
    assert [flow.receipt(receipt)["status"] for receipt in receipts] == ["rejected", "rejected"]
    step("of two signature headers neither the first nor the last is chosen")


def binary(flow, step):
    """Bytes over HTTP, in each payload format that this hub hands over."""
    secret = "a long random text"
    scheme = {"kind": "hmac", "algorithm": "sha256", "header": "x-signature", "encoding": "hex", "signed": "{body}"}
    custom = {"name": "bytes", "scheme": scheme, "body": "binary", "duplicates": "signedBytes", "event": {"type": {"const": "bytes.sent"}}}
    made = flow.call("POST", "/v1/sources", 201, {"name": "bytes", "custom": custom, "secret": secret})
    path = "/in/" + made["receivingUrl"].rpartition("/in/")[2]
    receipts, bodies = {}, []
    for payload_format in flow.hub.FORMATS:
        body = BYTES + payload_format.encode()
        bodies.append(body)
        headers = {
            "Content-Type": "application/octet-stream",
            "X-Signature": hmac.digest(secret.encode(), body, hashlib.sha256).hex(),
            "Traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
        }
        for sent, status in ((body, "accepted"), (body + b"\n", "rejected")):
            receipt = expect(flow.hub.request("POST", path, headers, sent, payload_format=payload_format), 202)["id"]
            receipts[receipt] = status
    assert failures(flow.hub.invoke("VerifyFunction", flow.inbox.event(count=len(receipts)))) == []
    events = flow.events.event(count=len(bodies))
    assert {receipt: flow.receipt(receipt)["status"] for receipt in receipts} == receipts
    assert failures(flow.hub.invoke("FanOutFunction", events)) == []
    flow.deliver_what_is_left([record["dynamodb"]["Keys"]["id"]["S"] for record in events["Records"]])
    arrived = [base64.b64decode(json.loads(body)["data"]) for _, body in flow.sink.take()]
    assert sorted(arrived) == sorted(bodies), arrived
    flow.call("DELETE", f"/v1/sources/{made['id']}", 204)
    step(f"bytes that are no text arrive as they were sent, in payload format {' and '.join(flow.hub.FORMATS)}")


def listed(flow, step):
    """The API's own example events with the organization's key."""
    for name in LISTED:
        answer = flow.hub.invoke("ManageFunction", with_headers(example(name), flow.api))
        assert answer["statusCode"] == 200, answer
        assert [source["id"] for source in json.loads(answer["body"])["data"]] == [flow.source], answer
    for payload_format in flow.hub.FORMATS[1:]:
        answer = expect(flow.hub.request("GET", "/v1/sources?limit=1", flow.api, payload_format=payload_format), 200)
        assert [source["id"] for source in answer["data"]] == [flow.source], answer
    step(f"the API answers in payload format {' and '.join(('2.0', '1.0'))}")
