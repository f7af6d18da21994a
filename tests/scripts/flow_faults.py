"""Functions that are killed in the middle and functions that run out of time, over the runtime interface emulator: what is given again, as an
event source mapping and the schedule do, is neither lost nor taken for something new. And streams that lost a part of what they carried.

Nothing here waits for luck: a function is stopped at a gate, in the destination or before its table, and killed while it stands there."""

import base64
import datetime
import json
import threading
import time

from flow_base import Gate, Sink, expect, failures
from hubs import FunctionError
from net import wait_for_port
from policies import Hold


def faults(flow, step):
    """All of it, with an organization of its own."""
    Faults(flow, step).run()


class Faults:
    def __init__(self, flow, step):
        self.flow, self.hub, self.step = flow, flow.hub, step
        self.sink = Sink(flow.hub.HOST)
        self.messages = 0

    def run(self):
        made = self.hub.invoke("OperateFunction", {"action": "createOrganization", "name": "Faults"})
        self.organization = made["organization"]["id"]
        self.api = {"authorization": f"Bearer {made['adminKey']}"}
        source = {"name": "quartr-prod", "preset": "quartr", "secret": self.flow.secret}
        self.receiving = "/in/" + self.call("POST", "/v1/sources", 201, source)["receivingUrl"].rpartition("/in/")[2]
        self.webhook = self.call("POST", "/v1/webhooks", 201, {"name": "sink", "url": self.sink.url})["id"]
        # What others erased is told by the streams too.
        for stream in (self.flow.inbox, self.flow.events):
            stream.new_records()
        self.kill_receive()
        self.kill_verify()
        self.kill_fan_out()
        self.time_out()
        self.hang()
        self.lose_streams()
        self.kill_retry()

    # -- what the steps are made of

    def call(self, method, path, status, body=None):
        headers = self.api | ({"content-type": "application/json"} if body is not None else {})
        return expect(self.hub.request(method, path, headers, json.dumps(body).encode() if body is not None else None), status)

    def message(self):
        """Another message of the provider: its headers and its body."""
        self.messages += 1
        body = self.flow.sample()
        return self.flow.signed(self.flow.secret, f"msg_fault_{self.messages}", body), body

    def send(self, message):
        return self.hub.request("POST", self.receiving, *message)

    def received(self):
        """A message that was received: its receipt and its stream record."""
        receipt = expect(self.send(self.message()), 202)["id"]
        return receipt, self.flow.inbox.event()

    def verified(self):
        """A message that became an event: the event's id and its stream record."""
        receipt, record = self.received()
        assert failures(self.hub.invoke("VerifyFunction", record)) == []
        return self.event_of(receipt)

    def event_of(self, receipt):
        """The event that a receipt became: its id and its stream record. (Beside it may stand what we tell of the webhook's health.)"""
        (event,) = self.call("GET", f"/v1/receipts/{receipt}", 200)["events"]
        announced = self.flow.events.event()
        records = [record for record in announced["Records"] if record["dynamodb"]["Keys"]["id"]["S"] == event]
        assert len(records) == 1, announced
        return event, {"Records": records}

    def status(self, receipt):
        return self.call("GET", f"/v1/receipts/{receipt}", 200)["status"]

    def delivery(self, event):
        """The one delivery of an event: its status, and how many attempts are recorded."""
        (delivery,) = self.call("GET", f"/v1/events/{event}", 200)["deliveries"]
        return delivery["status"], len(delivery["attempts"])

    def arrived(self):
        """The ids under which something has arrived since the last call."""
        return [headers["webhook-id"] for headers, _ in self.sink.take()]

    def hold(self, function, operation, table, when):
        """Holds up what a function asks of a table, before or after it is done; the gate where it waits."""
        gate = Gate()
        self.flow.proxies[function].hold = Hold(operation, table, when, gate)
        return gate

    def let_go(self, gate):
        """Nothing is held up any more."""
        for proxy in self.flow.proxies.values():
            proxy.hold = None
        self.sink.gate = None
        gate.open()

    def killed(self, function, work, gate):
        """Begins some work, and kills the function that does it when that stands at the gate."""
        outcome = []

        def begin():
            try:
                outcome.append(work())
            except FunctionError as error:
                outcome.append(error)

        thread = threading.Thread(target=begin, daemon=True)
        thread.start()
        gate.wait()
        self.hub.emulators[function].kill()
        thread.join(Gate.SECONDS)
        self.let_go(gate)
        (ended,) = outcome
        assert isinstance(ended, FunctionError) and "Runtime.ExitError" in str(ended), ended

    def tick(self):
        self.hub.invoke("RetryFunction", {})

    def make_due(self, event):
        self.flow.make_due(event, self.webhook)

    # -- killed

    def kill_receive(self):
        """Before its put: nothing is stored, and nobody was told otherwise. After it: what comes again is a duplicate."""
        for when, stored in (("before", 0), ("after", 1)):
            message = self.message()
            gate = self.hold("ReceiveFunction", "PutItem", "InboxTable", when)
            self.killed("ReceiveFunction", lambda: self.send(message), gate)
            records = self.flow.inbox.new_records()
            assert len(records) == stored, records
            # The provider had no answer, and sends again.
            again = expect(self.send(message), 202)["id"]
            second = self.flow.inbox.event()
            lost = [r["dynamodb"]["Keys"]["id"]["S"] for r in records]
            for receipt, status in [*((r, "accepted") for r in lost), (again, "duplicate" if lost else "accepted")]:
                # In the order in which the stream has them.
                record = second if receipt == again else self.flow.inbox.as_event(records)
                assert failures(self.hub.invoke("VerifyFunction", record)) == []
                assert self.status(receipt) == status, receipt
            event, record = self.event_of(lost[0] if lost else again)
            assert failures(self.hub.invoke("FanOutFunction", record)) == []
            assert self.arrived() == [event]
            self.step(f"receive killed {when} its put: no 202 without a stored receipt, and what is sent again is delivered once")

    def kill_verify(self):
        for when in ("before", "after"):
            receipt, record = self.received()
            gate = self.hold("VerifyFunction", "PutItem", "EventsTable", when)
            self.killed("VerifyFunction", lambda: self.hub.invoke("VerifyFunction", record), gate)
            assert failures(self.hub.invoke("VerifyFunction", record)) == []
            assert self.status(receipt) == "accepted", "our own retry was taken for a duplicate"
            event, announced = self.event_of(receipt)
            assert failures(self.hub.invoke("FanOutFunction", announced)) == []
            assert self.arrived() == [event]
            assert self.flow.events.new_records() == []
            self.step(f"verify killed {when} its put: the batch again makes one event, delivered once")

    def kill_fan_out(self):
        event, record = self.verified()
        gate = self.sink.gate = Gate()
        self.killed("FanOutFunction", lambda: self.hub.invoke("FanOutFunction", record), gate)
        assert self.call("GET", f"/v1/events/{event}", 200)["deliveries"] == [], "an outcome that nobody knows was recorded"
        assert failures(self.hub.invoke("FanOutFunction", record)) == []
        assert self.arrived() == [event, event], "the attempt that was broken off is made again, under the same id"
        assert self.delivery(event) == ("delivered", 1)
        self.step("fan-out killed after the destination had the request: the batch again sends it under the same id, and records it once")

        event, record = self.verified()
        gate = self.hold("FanOutFunction", "PutItem", "DeliveriesTable", "after")
        self.killed("FanOutFunction", lambda: self.hub.invoke("FanOutFunction", record), gate)
        assert failures(self.hub.invoke("FanOutFunction", record)) == []
        assert self.arrived() == [event], "what is recorded was sent again"
        assert self.delivery(event) == ("delivered", 1)
        self.step("fan-out killed after it recorded the outcome: the batch again sends nothing")

    def kill_retry(self):
        event = self.left_due()
        self.make_due(event)
        gate = self.sink.gate = Gate()
        self.killed("RetryFunction", self.tick, gate)
        assert self.arrived() == [event]
        self.tick()
        assert self.arrived() == [], "another tick sent under a lease that was not its own"
        self.expire_leases()
        self.tick()
        assert self.arrived() == [event]
        assert self.delivery(event) == ("delivered", 2)
        self.step("retry killed in the middle of an attempt: once its lease has ended another tick delivers, under the same id")

    def left_due(self):
        """An event whose first attempt failed."""
        event, record = self.verified()
        self.sink.status = 500
        assert failures(self.hub.invoke("FanOutFunction", record)) == []
        self.sink.status = 200
        assert self.arrived() == [event]
        assert self.delivery(event) == ("due", 1)
        return event

    def expire_leases(self):
        """What makes a minute and a half pass: the leases' ends are set back."""
        leases = self.flow.dynamodb.query(
            TableName="RegistryTable", KeyConditionExpression="pk = :lease", ExpressionAttributeValues={":lease": {"S": "lease"}}
        )["Items"]
        assert any(int(lease["until"]["N"]) > time.time() * 1000 for lease in leases), "nobody holds a lease"
        for lease in leases:
            self.flow.dynamodb.update_item(
                TableName="RegistryTable",
                Key={"pk": lease["pk"], "sk": lease["sk"]},
                UpdateExpression="SET #until = :past",
                ExpressionAttributeNames={"#until": "until"},
                ExpressionAttributeValues={":past": {"N": str(int(time.time() * 1000) - 1)}},
            )

    # -- out of time

    def with_timeout(self, function, seconds, event):
        """One invocation of a function that has so many seconds."""
        emulator = self.hub.emulator(function, seconds)
        try:
            wait_for_port(emulator.port, emulator.process)
            return emulator.invoke(event)
        finally:
            emulator.close()

    def time_out(self):
        # A destination that never answers, with time for one attempt: the attempt ends before the function does.
        event, record = self.verified()
        gate = self.sink.gate = Gate()
        assert failures(self.with_timeout("FanOutFunction", 10, record)) == []
        self.let_go(gate)
        assert self.arrived() == [event]
        assert self.delivery(event) == ("due", 1)
        self.make_due(event)
        self.tick()
        assert (self.arrived(), self.delivery(event)) == ([event], ("delivered", 2))
        self.step("fan-out with a destination that never answers: the attempt is recorded in time, and retry delivers")

        # Without time for an attempt none is begun: it needs three seconds, and two for what comes after.
        event, record = self.verified()
        assert failures(self.with_timeout("FanOutFunction", 5, record)) == []
        assert (self.arrived(), self.delivery(event)) == ([], ("due", 0))
        self.make_due(event)
        self.with_timeout("RetryFunction", 20, {})
        assert (self.arrived(), self.delivery(event)) == ([], ("due", 0)), "retry began what it had no time for"
        self.tick()
        assert (self.arrived(), self.delivery(event)) == ([event], ("delivered", 1))
        self.step("fan-out and retry with too little time for an attempt leave the delivery due")

        # A table that never answers outlasts the function: the runtime ends it.
        for function, table in (("VerifyFunction", "EventsTable"), ("FanOutFunction", "DeliveriesTable")):
            receipt, record = self.received()
            if function == "FanOutFunction":
                assert failures(self.hub.invoke("VerifyFunction", record)) == []
                event, record = self.event_of(receipt)
            gate = self.hold(function, "PutItem", table, "before")
            # Long enough for fan-out to begin an attempt, shorter than a call of DynamoDB is waited for.
            try:
                raise AssertionError(f"{function} ended in time: {self.with_timeout(function, 6, record)}")
            except FunctionError as error:
                assert "timed out" in str(error), error
            self.let_go(gate)
            assert failures(self.hub.invoke(function, record)) == []
            if function == "VerifyFunction":
                event, record = self.event_of(receipt)
                assert failures(self.hub.invoke("FanOutFunction", record)) == []
            assert set(self.arrived()) == {event}
            assert self.delivery(event) == ("delivered", 1)
            self.step(f"{function} ended by its timeout: the batch again loses nothing, under the same id")

    def hang(self):
        """A table that does not answer, and a function with time enough: it says so."""
        message = self.message()
        gate = self.hold("ReceiveFunction", "PutItem", "InboxTable", "before")
        status, headers, _ = self.send(message)
        assert status == 503 and int(headers["retry-after"]) > 0, (status, headers)
        self.let_go(gate)
        assert self.flow.inbox.new_records() == []
        self.step("receive with a table that never answers: 503 with Retry-After, and nothing is stored")

        event, record = self.verified()
        gate = self.hold("FanOutFunction", "PutItem", "DeliveriesTable", "before")
        (sequence,) = failures(self.hub.invoke("FanOutFunction", record))
        assert sequence == record["Records"][0]["dynamodb"]["SequenceNumber"], sequence
        self.let_go(gate)
        assert failures(self.hub.invoke("FanOutFunction", record)) == []
        assert set(self.arrived()) == {event}
        assert self.delivery(event) == ("delivered", 1)
        self.step("fan-out with a table that never answers hands the record back, and it is delivered when it comes again")

    # -- lost streams

    def lose_streams(self):
        """Of five messages one goes its way, one loses its receipt's record, one its event's, one is forged, one is not yet verified: what was
        lost is found and delivered once, also when the lost records turn up after all."""
        since = datetime.datetime.now(datetime.timezone.utc).isoformat()
        operate = lambda action: self.hub.invoke("OperateFunction", {"action": action, "since": since})
        whole, record = self.verified()
        assert failures(self.hub.invoke("FanOutFunction", record)) == []
        receipt, lost_receipt = self.received()
        eventless, lost_event = self.verified()
        headers, body = self.message()
        forgery = "v1," + base64.b64encode(bytes(32)).decode()
        forged = expect(self.send((headers | {"webhook-signature": forgery}, body)), 202)["id"]
        assert failures(self.hub.invoke("VerifyFunction", self.flow.inbox.event())) == []

        recovered = operate("recoverReceipts")
        assert (recovered["done"], recovered["recovered"]) == (True, 1), recovered
        assert failures(self.hub.invoke("VerifyFunction", self.flow.inbox.event(name="MODIFY"))) == []
        found, record = self.event_of(receipt)
        assert failures(self.hub.invoke("FanOutFunction", record)) == []
        assert (self.status(receipt), self.status(forged)) == ("accepted", "rejected")
        recovered = operate("recoverEvents")
        assert (recovered["done"], recovered["recovered"]) == (True, 1), recovered
        self.tick()
        assert sorted(self.arrived()) == sorted([whole, found, eventless])
        self.step("of what the streams lost, receipts and events are found and delivered, each once")

        assert failures(self.hub.invoke("VerifyFunction", lost_receipt)) == []
        assert failures(self.hub.invoke("FanOutFunction", lost_event)) == []
        self.tick()
        assert (self.arrived(), self.flow.events.new_records()) == ([], [])
        assert [operate(action)["recovered"] for action in ("recoverReceipts", "recoverEvents")] == [0, 0]
        assert [self.delivery(event) for event in (whole, found, eventless)] == [("delivered", 1)] * 3
        self.step("lost records that turn up after all change nothing")
