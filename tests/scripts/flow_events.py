"""Events on their way: received, verified, delivered, tried again, followed, replayed."""

import base64
import datetime
import json
import time

from flow_base import TRACE, expect, failures, sample, signed, step
from lambda_events import example
from standardwebhooks import Webhook


class Events:
    """The steps of `flow.Flow` that are about events."""

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

    def deliver_what_is_left(self, events):
        """Has the tick deliver what fan-out left to it of these events: a webhook that it knew nothing of, and had to wait for."""
        for event in events:
            for _ in range(5):
                due = [d for d in self.call("GET", f"/v1/events/{event}", 200)["deliveries"] if d["status"] == "due"]
                if not due:
                    break
                for delivery in due:
                    self.make_due(event, delivery["webhook"])
                self.tick()
            assert not due, due

    def make_due(self, event, webhook=None):
        """Sets the due time of an event's delivery back by an hour."""
        self.dynamodb.update_item(
            TableName="DeliveriesTable",
            Key={"event": {"S": event}, "webhook": {"S": webhook or self.webhook}},
            UpdateExpression="SET due = :due",
            ExpressionAttributeValues={":due": {"N": str(int((time.time() - 3600) * 1000))}},
        )
