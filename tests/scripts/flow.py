"""The whole way over the built functions: an organization, a source and a webhook are made; a webhook signed by a foreign implementation
of Standard Webhooks comes in, is verified, and arrives, signed, at a sink, where that implementation verifies it. Streams are carried by
hand: what a function wrote is read from DynamoDB Local and given to the next one, as an event source mapping does.

    flow.py sam ENDPOINT               over `sam local`, after `sam build`
    flow.py emulator ENDPOINT FOLDER   over the runtime interface emulator; FOLDER/FUNCTION/bootstrap are the binaries. Functions are also
                                       killed there in the middle, and run out of time
    flow.py cargo-lambda ENDPOINT      over `cargo lambda watch` and `cargo lambda invoke`

ENDPOINT is DynamoDB Local with its tables made. The functions reach it through a proxy each, which holds them to their IAM policy. (Under
cargo-lambda they share one, which does not.)"""

import base64
import datetime
import json
import sys
import tempfile

import flow_base
import template
from flow_base import Sink, expect, sample, signed, step
from flow_events import Events
from flow_faults import faults
from flow_forms import forms
from flow_log import check_log
from flow_operator import operator
from flow_team import team
from hubs import CargoLambdaHub, EmulatorHub, SamHub
from lambda_events import Stream, example
from policies import AnythingGoes, Bucket, Policy, Proxy


class Flow(Events):
    """The steps, over one hub."""

    # For the parts that stand in files of their own.
    sample, signed = staticmethod(sample), staticmethod(signed)

    def __init__(self, hub, dynamodb, streams, bucket, proxies):
        self.hub = hub
        self.proxies = proxies
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
        forms(self, step)
        team(self, step)
        operator(self, step)
        if isinstance(self.hub, EmulatorHub):
            faults(self, step)
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


def check_policies(proxies):
    """Each function's role allowed what it needed, and nothing that it did not."""
    denied = {function: proxy.denied for function, proxy in proxies.items() if proxy.denied}
    unused = {function: sorted(proxy.policy.unused()) for function, proxy in proxies.items() if proxy.policy.unused()}
    assert not denied, f"needed and not allowed by the function's role: {denied}"
    assert not unused, f"allowed by the function's role and never needed: {unused}"
    step("each function's role allows what it needs and nothing else")


def make_proxies(mode, host, endpoint, bucket):
    """The proxy of each function before DynamoDB Local."""
    document = template.load()
    functions = template.resources(document, "AWS::Serverless::Function")
    if mode == "cargo-lambda":
        return dict.fromkeys(functions, Proxy(host, AnythingGoes(), endpoint, bucket))
    return {function: Proxy(host, Policy.of(document, function), endpoint, bucket) for function in functions}


HUBS = {"sam": (SamHub, 0), "emulator": (EmulatorHub, 1), "cargo-lambda": (CargoLambdaHub, 0)}


def main(arguments):
    mode, endpoint, *rest = arguments
    hub_class, count = HUBS.get(mode, (None, None))
    if len(rest) != count:
        sys.exit(__doc__)
    bucket = Bucket()
    proxies = make_proxies(mode, hub_class.HOST, endpoint, bucket)
    with tempfile.TemporaryFile("w+") as log:
        hub = None
        try:
            hub = hub_class({function: proxy.endpoint for function, proxy in proxies.items()}, log, *rest)
            flow = Flow(hub, template.client("dynamodb", endpoint), template.client("dynamodbstreams", endpoint), bucket, proxies)
            flow.run()
            if mode != "cargo-lambda":
                check_policies(proxies)
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
    print(f"{flow_base.STEPS} passed, 0 failed")


if __name__ == "__main__":
    main(sys.argv[1:])
