"""The whole way over the built functions: an organization, a source and a webhook are made; a webhook signed by a foreign implementation
of Standard Webhooks comes in, is verified, and arrives, signed, at a sink, where that implementation verifies it. Streams are carried by
hand: what a function wrote is read from DynamoDB Local and given to the next one, as an event source mapping does.

    flow.py sam ENDPOINT               over `sam local`, after `sam build`
    flow.py emulator ENDPOINT FOLDER   over the runtime interface emulator; FOLDER/FUNCTION/bootstrap are the binaries

ENDPOINT is DynamoDB Local with its tables made. The functions reach it through a proxy each, which holds them to their IAM policy."""

import base64
import datetime
import http.server
import json
import sys
import tempfile
import threading
import time

import template
from flow_operator import operator
from flow_team import team
from hubs import EmulatorHub, SamHub
from lambda_events import Stream
from policies import Bucket, Policy, Proxy
from standardwebhooks import Webhook

STEPS = 0

# The trace that the provider's messages belong to.
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def step(what, started=[time.monotonic()]):
    """Says what has just been shown, and how long it took."""
    global STEPS
    now = time.monotonic()
    print(f"  ok {what} ({(now - started[0]) * 1000:.0f} ms)", flush=True)
    started[0] = now
    STEPS += 1


class Sink:
    """A destination that keeps what it gets."""

    def __init__(self, host):
        self.received = []
        self.status = 200
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                sink.received.append((dict(self.headers), body))
                self.send_response(sink.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((host, 0), Handler)
        self.url = f"http://{host}:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self):
        """What has arrived since the last call."""
        taken, self.received = self.received, []
        return taken


def sample():
    """A message in the shape of Quartr's, as bytes whose order and spacing a verifier must leave alone."""
    return json.dumps(
        {
            "type": "live.audio.updated",
            "timestamp": "2025-03-25T13:31:00.000Z",
            "data": {"id": 328350, "state": "live", "title": "Q1 – résultats"},
            "previousAttributes": {"state": "willBeLive"},
        },
        ensure_ascii=False,
        indent=1,
    ).encode()


def example(name):
    """One of the events of tests/events."""
    return json.loads((template.ROOT / "tests/events" / f"{name}.json").read_text())


def signed(secret, message_id, body, at=None):
    """The headers of Standard Webhooks, made by the package."""
    at = at or datetime.datetime.now(datetime.timezone.utc)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, at, body.decode()),
        "content-type": "application/json",
        "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
    }


def expect(answer, status):
    """The JSON of an answer that must have this status."""
    got, _, body = answer
    assert got == status, f"{got} instead of {status}: {body[:500]!r}"
    return json.loads(body) if body else None


def failures(answer):
    """What a stream function asks to be given again."""
    return [f["itemIdentifier"] for f in (answer or {}).get("batchItemFailures", [])]


class Flow:
    """The steps, over one hub."""

    # For the parts that stand in files of their own.
    sample, signed = staticmethod(sample), staticmethod(signed)

    def __init__(self, hub, dynamodb, streams, bucket):
        self.hub = hub
        self.bucket = bucket
        self.dynamodb = dynamodb
        self.inbox = Stream(streams, "InboxTable")
        self.events = Stream(streams, "EventsTable")
        self.sink = Sink(hub.HOST)
        self.secret = "whsec_" + base64.b64encode(bytes(range(32))).decode()
        self.api = {}
        self.started = datetime.datetime.now(datetime.timezone.utc).isoformat()

    def call(self, method, path, status, body=None):
        """A call of the API with the organization's key."""
        headers = self.api | ({"content-type": "application/json"} if body is not None else {})
        return expect(self.hub.request(method, path, headers, json.dumps(body).encode() if body is not None else None), status)

    def receipt(self, receipt_id):
        """What became of a receipt."""
        return self.call("GET", f"/v1/receipts/{receipt_id}", 200)

    def run(self):
        self.register()
        self.refuse()
        self.accept_and_deliver()
        self.reject_forgery()
        self.mend()
        self.publish()
        self.retry()
        self.follow()
        self.replay()
        self.examples()
        team(self, step)
        operator(self, step)
        self.read_and_delete()

    def register(self):
        made = self.hub.invoke("OperateFunction", example("operate-create-organization"))
        self.organization = made["organization"]["id"]
        step("operate makes an organization")
        created = self.hub.invoke("OperateFunction", {"action": "createAdminKey", "organization": self.organization})
        self.api = {"authorization": f"Bearer {created['adminKey']}"}
        keys = self.hub.invoke("OperateFunction", {"action": "getOrganization", "organization": self.organization})["keys"]
        assert created["adminKeyId"] in keys and len(keys) == 2, keys
        step("operate makes another admin key, for when the first is lost")
        expect(self.hub.request("GET", "/v1/sources", {"authorization": "Bearer hk_wrong"}), 401)
        step("a wrong key is refused")
        status, _, served = self.hub.request("GET", "/openapi.json")
        assert (status, served) == (200, (template.ROOT / "docs/openapi.json").read_bytes()), (status, served[:200])
        status, headers, page = self.hub.request("GET", "/docs")
        assert status == 200 and "default-src 'none'" in headers["content-security-policy"] and b"createSource" in page, status
        step("the OpenAPI document and its page are there without a key")
        source = self.call("POST", "/v1/sources", 201, {"name": "quartr-prod", "preset": "quartr", "secret": self.secret})
        self.source = source["id"]
        self.receiving = "/in/" + source["receivingUrl"].rpartition("/in/")[2]
        step("a source answers with its receiving URL")
        webhook = self.call("POST", "/v1/webhooks", 201, {"name": "sink", "url": self.sink.url})
        self.webhook, self.webhook_secret = webhook["id"], webhook["secret"]
        step("a webhook answers with its secret")

    def refuse(self):
        body = sample()
        expect(self.hub.request("POST", "/in/in_" + "x" * 32, signed(self.secret, "msg_0", body), body), 404)
        expect(self.hub.request("POST", self.receiving, {"content-type": "application/json"}, body), 400)
        assert not self.inbox.new_records(), "something was stored that was refused"
        step("an unknown token and a request without a signature are refused, and nothing is stored")

    def accept_and_deliver(self):
        body = sample()
        headers = signed(self.secret, "msg_1", body)
        receipt = expect(self.hub.request("POST", self.receiving, headers, body), 202)["id"]
        step(f"a signed webhook is answered with 202: {receipt}")
        received = self.inbox.event()
        assert failures(self.hub.invoke("VerifyFunction", received)) == []
        event = self.events.event()
        event_id = event["Records"][0]["dynamodb"]["Keys"]["id"]["S"]
        step(f"its stream record is verified and becomes {event_id}")
        assert failures(self.hub.invoke("FanOutFunction", event)) == []
        ((arrived_headers, arrived),) = self.sink.take()
        payload = Webhook(self.webhook_secret).verify(arrived, arrived_headers)
        assert (payload["id"], payload["type"], payload["data"]["id"]) == (event_id, "live.audio.updated", 328350), payload
        assert payload["data"]["title"] == "Q1 – résultats"
        assert arrived_headers["traceparent"].startswith(f"00-{TRACE}-"), arrived_headers
        step("the event's stream record is delivered, and the foreign package verifies what arrived")
        assert failures(self.hub.invoke("FanOutFunction", event)) == []
        assert self.sink.take() == [], "a repeated batch was delivered again"
        assert failures(self.hub.invoke("VerifyFunction", received)) == []
        assert self.events.new_records() == [], "a repeated batch made another event"
        step("both batches again: nothing is sent twice")
        again = expect(self.hub.request("POST", self.receiving, headers, body), 202)["id"]
        assert failures(self.hub.invoke("VerifyFunction", self.inbox.event())) == []
        assert self.events.new_records() == [], "a duplicate became an event"
        assert self.receipt(receipt)["status"] == "accepted"
        assert self.receipt(receipt)["trace"] == TRACE
        assert (self.receipt(again)["status"], self.receipt(again)["event"]) == ("duplicate", event_id)
        step("the same message again is a duplicate")
        deliveries = self.call("GET", f"/v1/events/{event_id}", 200)["deliveries"]
        assert [(d["webhook"], d["status"]) for d in deliveries] == [(self.webhook, "delivered")], deliveries
        step("the API shows the event and its delivery")

    def reject_forgery(self):
        body = sample()
        self.forged = self.reject("whsec_" + base64.b64encode(bytes(32)).decode(), "msg_2", body)
        # In base64, as an HTTP API hands over a body that it takes for no text: the bytes are what is signed.
        genuine = self.hub.request("POST", self.receiving, signed(self.secret, "msg_2", body), body, in_base64=True)
        expect(genuine, 202)
        assert failures(self.hub.invoke("VerifyFunction", self.inbox.event())) == []
        assert failures(self.hub.invoke("FanOutFunction", self.events.event())) == []
        assert len(self.sink.take()) == 1
        step("a forged message is stored and goes no further; the genuine one with its id is delivered")

    def reject(self, secret, message_id, body):
        """Receives a message that is signed with another secret than the source has; its receipt."""
        receipt = expect(self.hub.request("POST", self.receiving, signed(secret, message_id, body), body), 202)["id"]
        assert failures(self.hub.invoke("VerifyFunction", self.inbox.event())) == []
        assert self.events.new_records() == [], "a message with a wrong signature became an event"
        assert self.receipt(receipt)["status"] == "rejected"
        return receipt

    def verify_again(self, receipts):
        """Carries so many receipts that are to be verified again to `verify`, and the one event among them to the sink."""
        asked = self.inbox.event(name="MODIFY", count=receipts)
        assert failures(self.hub.invoke("VerifyFunction", asked)) == []
        assert failures(self.hub.invoke("FanOutFunction", self.events.event())) == []
        assert len(self.sink.take()) == 1
        assert failures(self.hub.invoke("VerifyFunction", asked)) == []
        assert self.events.new_records() == [], "a repeated batch made another event"

    def mend(self):
        """The provider signs with a secret that we do not have yet: twice, for one receipt and for all."""
        body = sample()
        source = f"/v1/sources/{self.source}"
        second, third = ("whsec_" + base64.b64encode(bytes(range(n, n + 32))).decode() for n in (1, 2))

        receipt = self.reject(second, "msg_3", body)
        health = self.call("GET", source, 200)["health"]
        assert health["rejectedInARow"] > 0 and health["lastRejection"]["receipt"] == receipt, health
        step("a source shows what it rejected last")
        changed = self.call("PATCH", source, 200, {"secret": second, "previousSecretExpiresIn": 3600})
        assert changed["id"] == self.source and second not in json.dumps(changed), changed
        self.call("POST", f"/v1/receipts/{receipt}/reverify", 202)
        self.verify_again(1)
        assert self.receipt(receipt)["status"] == "accepted"
        self.call("POST", f"/v1/receipts/{receipt}/reverify", 409)
        step("with the right secret the rejected receipt is verified again and delivered once")

        receipt = self.reject(third, "msg_4", body)
        self.call("PATCH", source, 200, {"secret": third})
        self.secret = third
        asked = self.call("POST", f"{source}/reverify", 202, {"since": self.started})
        assert asked == {"requested": 2, "next": None}, asked
        self.verify_again(2)
        assert (self.receipt(receipt)["status"], self.receipt(self.forged)["status"]) == ("accepted", "rejected")
        step("of all that was rejected the genuine is delivered once, and the forged stays rejected")

    def publish(self):
        published = self.call("POST", "/v1/events", 202, {"type": "report.ready", "data": {"pages": 3}})
        assert failures(self.hub.invoke("FanOutFunction", self.events.event())) == []
        ((arrived_headers, arrived),) = self.sink.take()
        payload = Webhook(self.webhook_secret).verify(arrived, arrived_headers)
        assert (payload["id"], payload["type"], payload["data"]) == (published["id"], "report.ready", {"pages": 3}), payload
        step("a published event is delivered")

    def retry(self):
        event = self.call("POST", "/v1/events", 202, {"type": "report.ready", "data": {}})["id"]
        self.sink.status = 500
        assert failures(self.hub.invoke("FanOutFunction", self.events.event())) == []
        ((first, _),) = self.sink.take()
        (delivery,) = self.call("GET", f"/v1/events/{event}", 200)["deliveries"]
        assert (delivery["status"], len(delivery["attempts"])) == ("due", 1), delivery
        self.tick()
        assert self.sink.take() == [], "the tick sent something that was not due"
        step("an attempt that is answered with 500 leaves the delivery due, and not yet")
        # Another delivery went well meanwhile: the webhook is not known as failing any more.
        self.dynamodb.delete_item(
            TableName="WebhooksTable", Key={"organization": {"S": self.organization}, "id": {"S": f"health#{self.webhook}"}}
        )
        # Twice: once more in vain, then well. What makes a minute pass is that the due time is set back.
        for status, attempts in ((500, 2), (200, 3)):
            self.make_due(event)
            self.sink.status = status
            self.tick()
            ((again, _),) = self.sink.take()
            assert again["webhook-id"] == first["webhook-id"], "another attempt has another id"
            (delivery,) = self.call("GET", f"/v1/events/{event}", 200)["deliveries"]
            assert (delivery["status"], len(delivery["attempts"])) == ("due" if status == 500 else "delivered", attempts), delivery
        step("the tick tries again under the same id, until it is delivered")

    def follow(self):
        """What happened, as lists, and where a message went."""
        (event,) = [row["id"] for row in self.call("GET", "/v1/events?providerEventId=msg_1", 200)["data"]]
        listed = self.call("GET", f"/v1/events?type=live.*&source={self.source}", 200)["data"]
        assert event in [row["id"] for row in listed], listed
        rejected = self.call("GET", "/v1/receipts?status=rejected", 200)["data"]
        assert self.forged in [row["id"] for row in rejected], rejected
        delivery = f"{event}.{self.webhook}"
        listed = self.call("GET", f"/v1/deliveries?webhook={self.webhook}&status=delivered", 200)["data"]
        assert delivery in [row["id"] for row in listed], listed
        for query in ("status=due", "status=exhausted", "status=delivered", f"event={event}"):
            rows = self.call("GET", f"/v1/deliveries?{query}", 200)["data"]
            assert (delivery in [row["id"] for row in rows]) == (query in ("status=delivered", f"event={event}")), (query, rows)
        assert self.call("GET", f"/v1/webhooks/{self.webhook}/stats", 200)["delivered"] > 0
        step("what happened is listed")
        self.dynamodb.update_item(
            TableName="DeliveriesTable",
            Key={"event": {"S": event}, "webhook": {"S": self.webhook}},
            UpdateExpression="SET attempts[0].answer = :answer",
            ExpressionAttributeValues={":answer": {"S": "what it said"}},
        )
        assert self.call("GET", f"/v1/deliveries/{delivery}", 200)["attempts"][0]["answer"] == "what it said"
        self.call("DELETE", f"/v1/deliveries/{delivery}/answer", 204)
        assert "answer" not in self.call("GET", f"/v1/deliveries/{delivery}", 200)["attempts"][0]
        step("the answer of a destination is removed")
        told = self.call("GET", "/v1/trace?id=msg_1", 200)
        (traced,) = told["events"]
        assert (traced["id"], traced["receipt"]) == (event, told["receipts"][0]["id"]), told
        assert [(row["webhook"], row["delivery"]["status"]) for row in traced["matched"]] == [(self.webhook, "delivered")], traced
        step("a message is followed from its receipt to its delivery")

    def replay(self):
        """One event again, what failed again, and what was missed: by jobs that the tick works on."""
        webhook = f"/v1/webhooks/{self.webhook}"
        event = self.call("POST", "/v1/events", 202, {"type": "report.ready", "data": {}})["id"]
        assert failures(self.hub.invoke("FanOutFunction", self.events.event())) == []
        if not self.sink.received:
            # The function still leaves the webhook alone that failed a few seconds ago.
            self.make_due(event)
            self.tick()
        assert len(self.sink.take()) == 1
        since = self.age(event)

        job = self.call("POST", f"/v1/events/{event}/replay", 202, {"newMessageId": True})["id"]
        self.tick()
        ((arrived_headers, arrived),) = self.sink.take()
        assert Webhook(self.webhook_secret).verify(arrived, arrived_headers)["id"] == event
        assert arrived_headers["webhook-id"].startswith("msg_"), arrived_headers
        done = self.call("GET", f"/v1/jobs/{job}", 200)
        assert (done["status"], done["progress"]) == ("done", {"examined": 1, "requested": 1, "skipped": 0}), done
        step("an event is replayed under an id of its own, and the foreign package verifies it")

        delivery = {"event": {"S": event}, "webhook": {"S": self.webhook}}
        self.dynamodb.update_item(
            TableName="DeliveriesTable",
            Key=delivery,
            UpdateExpression="SET #status = :exhausted",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":exhausted": {"S": "exhausted"}},
        )
        self.begin_and_cancel(f"{webhook}/replay", {"since": since}, event)
        step("what a webhook failed to take is sent again, under the event's id")

        self.dynamodb.delete_item(TableName="DeliveriesTable", Key=delivery)
        self.begin_and_cancel(f"{webhook}/recover", {"since": since, "includeBeforeCreation": True}, event)
        step("what a webhook missed is sent to it")
        assert len(self.call("GET", "/v1/jobs?limit=3", 200)["data"]) == 3

    def begin_and_cancel(self, path, body, event):
        """A job that asks for one event; it would go on until what is new now is old enough."""
        job = self.call("POST", path, 202, body)["id"]
        self.tick()
        ((arrived_headers, _),) = self.sink.take()
        assert arrived_headers["webhook-id"] == event, arrived_headers
        assert self.call("GET", f"/v1/jobs/{job}", 200)["progress"]["requested"] == 1
        assert self.call("POST", f"/v1/jobs/{job}/cancel", 200)["status"] == "cancelled"

    def age(self, event):
        """Sets an event and its delivery back by two minutes; a time before both."""
        at = int((time.time() - 120) * 1000)
        for table, key in (
            ("EventsTable", {"id": {"S": event}}),
            ("DeliveriesTable", {"event": {"S": event}, "webhook": {"S": self.webhook}}),
        ):
            self.dynamodb.update_item(
                TableName=table,
                Key=key,
                UpdateExpression="SET #at = :at",
                ExpressionAttributeNames={"#at": "at"},
                ExpressionAttributeValues={":at": {"N": str(at)}},
            )
        return datetime.datetime.fromtimestamp(at / 1000 - 60, datetime.timezone.utc).isoformat()

    def tick(self):
        self.hub.invoke("RetryFunction", example("retry"))

    def make_due(self, event):
        """Sets the due time of an event's delivery back by an hour."""
        self.dynamodb.update_item(
            TableName="DeliveriesTable",
            Key={"event": {"S": event}, "webhook": {"S": self.webhook}},
            UpdateExpression="SET due = :due",
            ExpressionAttributeValues={":due": {"N": str(int((time.time() - 3600) * 1000))}},
        )

    def examples(self):
        """The example events stand for themselves: nothing that they name is in the tables, and each function says so."""
        for name, function, outcome in (
            ("receive", "ReceiveFunction", lambda answer: answer["statusCode"] == 404),
            ("receive-base64", "ReceiveFunction", lambda answer: answer["statusCode"] == 404),
            ("verify", "VerifyFunction", lambda answer: failures(answer) == []),
            ("fan-out", "FanOutFunction", lambda answer: failures(answer) == []),
            ("manage-list-sources", "ManageFunction", lambda answer: answer["statusCode"] == 401),
        ):
            answer = self.hub.invoke(function, example(name))
            assert outcome(answer), f"{name}: {answer}"
        assert self.sink.take() == []
        step("the example events are answered")

    def read_and_delete(self):
        changed = self.call("PATCH", f"/v1/webhooks/{self.webhook}", 200, {"rateLimit": 600, "headers": {"X-Team": "a"}})
        assert (changed["rateLimit"], changed["headers"]) == (600, ["X-Team"]), changed
        step("a webhook is changed, with its secrets")
        for kind in ("sources", "webhooks"):
            (registered,) = self.call("GET", f"/v1/{kind}", 200)["data"]
            read = self.call("GET", f"/v1/{kind}/{registered['id']}", 200)
            # How it does, and what its destination wants beside, is shown of one only.
            assert {name: value for name, value in read.items() if name not in ("health", "headers")} == registered, read
            self.call("DELETE", f"/v1/{kind}/{registered['id']}", 204)
            self.call("GET", f"/v1/{kind}/{registered['id']}", 404)
        step("what is registered is listed, read and deleted")


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


def main(arguments):
    mode, endpoint, *rest = arguments
    if (mode, len(rest)) not in (("sam", 0), ("emulator", 1)):
        sys.exit(__doc__)
    hub_class = SamHub if mode == "sam" else EmulatorHub
    document = template.load()
    bucket = Bucket()
    proxies = {
        function: Proxy(hub_class.HOST, Policy.of(document, function), endpoint, bucket)
        for function in template.resources(document, "AWS::Serverless::Function")
    }
    with tempfile.TemporaryFile("w+") as log:
        hub = None
        try:
            hub = hub_class({function: proxy.endpoint for function, proxy in proxies.items()}, log, *rest)
            flow = Flow(hub, template.client("dynamodb", endpoint), template.client("dynamodbstreams", endpoint), bucket)
            flow.run()
            denied = {function: proxy.denied for function, proxy in proxies.items() if proxy.denied}
            unused = {function: sorted(proxy.policy.unused()) for function, proxy in proxies.items() if proxy.policy.unused()}
            assert not denied, f"needed and not allowed by the function's role: {denied}"
            assert not unused, f"allowed by the function's role and never needed: {unused}"
            step("each function's role allows what it needs and nothing else")
            hub.close()
            hub = None
            log.seek(0)
            check_log(log.read(), flow.organization)
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read()[-20_000:])
            denied = {function: proxy.denied for function, proxy in proxies.items() if proxy.denied}
            if denied:
                print(f"not allowed by the function's role: {denied}", file=sys.stderr)
            raise
        finally:
            if hub:
                hub.close()
    print(f"{STEPS} passed, 0 failed")


if __name__ == "__main__":
    main(sys.argv[1:])
