"""The operator's part of the flow: suspension, recovery of lost streams, failed records, erasure."""

import datetime
import json


def operator(flow, step):
    """An organization of its own goes through all that `operate` can do to one, and is gone at the end."""
    Operator(flow, step).run()


class Operator:
    def __init__(self, flow, step):
        self.flow, self.step = flow, step

    def operate(self, action, **fields):
        return self.flow.hub.invoke("OperateFunction", {"action": action, **fields})

    def request(self, message):
        """Sends a message of the provider; the answer's status and JSON."""
        body = self.flow.sample()
        headers = self.flow.signed(self.flow.secret, message, body)
        status, _, answer = self.flow.hub.request("POST", self.receiving, headers, body)
        return status, json.loads(answer)

    def call(self, method, path, status, body=None):
        own, self.flow.api = self.flow.api, self.api
        try:
            return self.flow.call(method, path, status, body)
        finally:
            self.flow.api = own

    def run(self):
        self.flow.sink.status = 200
        made = self.operate("createOrganization", name="Short-lived")
        self.organization = made["organization"]["id"]
        self.api = {"authorization": f"Bearer {made['adminKey']}"}
        listed = self.operate("listOrganizations")["data"]
        assert self.organization in [o["id"] for o in listed], listed
        self.operate("setQuota", organization=self.organization, quota={"sources": 1})
        source = {"name": "quartr-prod", "preset": "quartr", "secret": self.flow.secret}
        self.receiving = "/in/" + self.call("POST", "/v1/sources", 201, source)["receivingUrl"].rpartition("/in/")[2]
        self.call("POST", "/v1/sources", 409, source)
        self.call("POST", "/v1/webhooks", 201, {"name": "sink", "url": self.flow.sink.url})
        self.step("operate lists organizations, and a quota holds")
        self.suspend()
        self.recover()
        self.redrive()
        self.erase()

    def suspend(self):
        self.operate("suspendOrganization", organization=self.organization, reason="unpaid")
        assert self.call("GET", "/v1/sources", 403)["type"].endswith(":suspended")
        assert self.request("msg_s")[0] == 503
        self.operate("resumeOrganization", organization=self.organization)
        self.call("GET", "/v1/sources", 200)
        self.step("a suspended organization gets 403, its senders 503, and is resumed")

    def recover(self):
        since = datetime.datetime.now(datetime.timezone.utc).isoformat()
        status, receipt = self.request("msg_1")
        assert status == 202, receipt
        self.record = self.flow.inbox.event()  # lost
        recovered = self.operate("recoverReceipts", since=since)
        assert (recovered["done"], recovered["recovered"]) == (True, 1), recovered
        again = self.flow.inbox.event(name="MODIFY")
        assert self.flow.hub.invoke("VerifyFunction", again)["batchItemFailures"] == []
        self.event = self.flow.events.event()["Records"][0]["dynamodb"]["Keys"]["id"]["S"]  # lost
        recovered = self.operate("recoverEvents", since=since)
        assert (recovered["done"], recovered["recovered"]) == (True, 1), recovered
        self.flow.sink.take()
        self.flow.tick()
        arrived = [headers["webhook-id"] for headers, _ in self.flow.sink.take()]
        assert arrived.count(self.event) == 1, arrived
        for action in ("recoverReceipts", "recoverEvents"):
            assert self.operate(action, since=since)["recovered"] == 0
        self.step("what both streams lost is recovered and delivered once")
        usage = self.operate("usage", organization=self.organization, since=since)
        assert (usage["events"], usage["deliveries"], usage["webhooks"]) == (1, 1, 1), usage
        self.step("usage counts it")

    def redrive(self):
        self.flow.bucket.objects["aws/lambda/a.json"] = json.dumps({"payload": json.dumps(self.record)}).encode()
        driven = self.operate("redriveFailedRecords")
        assert (driven["done"], driven["examined"], driven["kept"]) == (True, 1, 0), driven
        assert not self.flow.bucket.objects
        self.step("a failed record is driven again, and is done with")

    def erase(self):
        self.flow.bucket.objects["aws/lambda/b.json"] = json.dumps({"payload": self.record}).encode()
        erased = self.operate("eraseEvent", organization=self.organization, event=self.event)
        assert (erased["done"], erased["erased"]["events"], erased["erased"]["failedRecords"]) == (True, 1, 1), erased
        self.call("GET", f"/v1/events/{self.event}", 404)
        erased = self.operate("eraseEntity", organization=self.organization, entityId="328350")
        assert (erased["done"], erased["erased"]["events"]) == (True, 0), erased
        self.step("an event is erased, and its failed record too")
        gone = self.operate("deleteOrganization", organization=self.organization, confirm=self.organization)
        assert gone["done"], gone
        self.call("GET", "/v1/sources", 401)
        listed = self.operate("listOrganizations")["data"]
        assert self.organization not in [o["id"] for o in listed], listed
        self.step("an organization is deleted with everything")
