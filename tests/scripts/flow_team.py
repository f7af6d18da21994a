"""What a team does through the API beside registering: keys and roles, safe repetitions, rotations, test deliveries, the audit trail. Every
call of DynamoDB that these need is made here, so that the role of `manage` is held to them."""

import json

from standardwebhooks import Webhook


def post(flow, path, status, body, headers):
    """A POST with further headers; the answer's JSON and its headers."""
    headers = flow.api | {"content-type": "application/json"} | headers
    got, answered, content = flow.hub.request("POST", path, headers, json.dumps(body).encode())
    assert got == status, f"{path}: {got} instead of {status}: {content[:500]!r}"
    return json.loads(content), answered


def team(flow, step):
    """All of it, over one hub."""
    keys(flow, step)
    repetitions(flow, step)
    rotations(flow, step)
    trail(flow, step)


def keys(flow, step):
    made = flow.call("POST", "/v1/keys", 201, {"name": "sender", "role": "publisher"})
    assert made["key"].startswith(made["prefix"]), made
    publisher = {"authorization": f"Bearer {made['key']}"}
    assert flow.hub.request("GET", "/v1/webhooks", publisher)[0] == 403
    shown = {key["id"]: key for key in flow.call("GET", "/v1/keys", 200)["data"]}
    assert shown[made["id"]]["lastUsed"] and "key" not in shown[made["id"]], shown
    flow.call("DELETE", f"/v1/keys/{made['id']}", 204)
    assert flow.hub.request("GET", "/v1/webhooks", publisher)[0] == 401
    step("a key does what its role says, until it is revoked")


def repetitions(flow, step):
    body = {"type": "order.paid", "data": {"number": 1}}
    once = {"idempotency-key": "order-1"}
    first, _ = post(flow, "/v1/events", 202, body, once)
    again, answered = post(flow, "/v1/events", 202, body, once)
    assert (again, answered.get("idempotency-replayed")) == (first, "true"), answered
    post(flow, "/v1/events", 422, body | {"data": 2}, once)
    post(flow, "/v1/keys", 422, {"name": "", "role": "viewer"}, {"idempotency-key": "refused"})
    flow.events.new_records()
    step("a repeated request is answered as it was, and another one under its key is refused")


def rotations(flow, step):
    rotated = flow.call("POST", f"/v1/sources/{flow.source}/rotate-token", 200, {})
    assert "/in/" in rotated["receivingUrl"] and not rotated["receivingUrl"].endswith(flow.receiving)
    flow.call("POST", f"/v1/sources/{flow.source}/rotate-secret", 200, {"secret": flow.secret})
    rotated = flow.call("POST", f"/v1/webhooks/{flow.webhook}/rotate-secret", 200, {})
    outcome = flow.call("POST", f"/v1/webhooks/{flow.webhook}/test", 200, {"provider": "github", "type": "push"})
    assert outcome["delivered"], outcome
    ((headers, body),) = flow.sink.take()
    for secret in (rotated["secret"], flow.webhook_secret):
        assert Webhook(secret).verify(body, headers)["type"] == "push"
    step("secrets are rotated; a test delivery is signed with the new one and the one before")


def trail(flow, step):
    entries = flow.call("GET", "/v1/audit?limit=100", 200)["data"]
    actions = {entry["action"] for entry in entries}
    expected = {
        "key.created", "key.revoked", "receipt.reverified", "source.created", "source.reverified", "source.secret_rotated",
        "source.token_rotated", "source.updated", "webhook.created", "webhook.secret_rotated", "webhook.tested",
    }
    assert expected <= actions, expected - actions
    text = json.dumps(entries)
    assert "whsec_" not in text and "/in/" not in text and "hk_" not in text.replace('"prefix": "hk_', ""), "a secret is in the trail"
    step("the audit trail tells all of it, without secrets")
