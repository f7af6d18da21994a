"""Holds docs/openapi.json against the rules of OpenAPI, its examples against their schemas, and a running hub against the document."""

import fcntl
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match
from local_hub import LocalHub
from net import http
from openapi_spec_validator import OpenAPIV31SpecValidator

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs/openapi.json"


def check_rules(document):
    """Yields what is against the specification."""
    for error in OpenAPIV31SpecValidator(document).iter_errors():
        yield f"{'/'.join(map(str, error.absolute_path))}: {error.message}"


def check_examples(document):
    """Yields examples and defaults that are not what their own schemas allow."""
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": document["components"]}

    def check(schema, value, at):
        validator = Draft202012Validator(whole | {"allOf": [schema]}, format_checker=FormatChecker())
        error = best_match(validator.iter_errors(value))
        if error:
            yield f"{at}: {error.message}"

    def walk(node, at):
        if isinstance(node, list):
            for index, item in enumerate(node):
                yield from walk(item, f"{at}/{index}")
        elif isinstance(node, dict):
            if isinstance(node.get("examples"), list):
                for index, example in enumerate(node["examples"]):
                    yield from check(node, example, f"{at}/examples/{index}")
            if "default" in node and ("type" in node or "$ref" in node):
                yield from check(node, node["default"], f"{at}/default")
            if "example" in node and "schema" in node:
                yield from check(node["schema"], node["example"], f"{at}/example")
            for name, member in node.items():
                if name not in ("example", "examples", "default"):
                    yield from walk(member, f"{at}/{name}")

    yield from walk(document, "")


def raise_loopback():
    """A network of its own begins with nothing up, not even itself. Elsewhere it is up already, and this may be forbidden."""
    with socket.socket() as one:
        name = b"lo"
        try:
            flags = struct.unpack_from("16sh", fcntl.ioctl(one, 0x8913, struct.pack("16sh14x", name, 0)))[1]
            fcntl.ioctl(one, 0x8914, struct.pack("16sh14x", name, flags | 1))
        except OSError:
            pass


class Hub(LocalHub):
    """A hub with something of each kind. As a deployed one, it takes only public https destinations."""

    def rejected_receipt(self):
        """A receipt that is rejected for good: its signature is a forger's."""
        source = self.api("POST", "/v1/sources", {"name": "forged", "preset": "quartr", "secret": "whsec_" + "A" * 43 + "="})
        path = source["receivingUrl"].partition("/in/")[2]
        headers = {"content-type": "application/json", "webhook-id": "msg_1", "webhook-timestamp": str(int(time.time())),
                   "webhook-signature": "v1," + "A" * 43 + "="}  # fmt: skip
        status, _, answer = http("POST", f"{self.url}/in/{path}", headers, b"{}")
        assert status == 202, (status, answer)
        receipt = json.loads(answer)["id"]
        deadline = time.monotonic() + 30
        while self.api("GET", f"/v1/receipts/{receipt}")["status"] != "rejected":
            assert time.monotonic() < deadline, "the receipt was not decided"
            time.sleep(0.1)
        return receipt

    def failed_delivery(self):
        """A delivery to a host that nobody has, and a job that makes it again."""
        webhook = self.api("POST", "/v1/webhooks", {"name": "nowhere", "url": "https://nowhere.invalid/hook"})
        self.api("POST", "/v1/events", {"type": "made.for.a.delivery", "data": 1})
        deadline = time.monotonic() + 30
        while not (deliveries := self.api("GET", f"/v1/deliveries?webhook={webhook['id']}")["data"]):
            assert time.monotonic() < deadline, "nothing was delivered"
            time.sleep(0.1)
        (delivery,) = deliveries
        job = self.api("POST", f"/v1/events/{delivery['event']}/replay", {})
        return {"DELIVERY": delivery["id"], "EVENT": delivery["event"], "WEBHOOK": webhook["id"], "JOB": job["id"]}


def check_hub(program, arguments):
    """Runs schemathesis on a hub; whether it found nothing."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        log = (folder / "hub.log").open("w")
        hub = Hub(program, folder / "data", "--public-only", log=log)
        try:
            with urllib.request.urlopen(f"{hub.url}/openapi.json") as served:
                assert served.read() == DOCUMENT.read_bytes(), "another document is served"
            made = {"RECEIPT": hub.rejected_receipt(), "HOOKS": ROOT / "tests/scripts/schemathesis_hooks.py"} | hub.failed_delivery()
            environment = os.environ | {f"HOOKLINE_{name}": str(value) for name, value in made.items()}
            run = subprocess.run(
                [pathlib.Path(sys.executable).with_name("schemathesis"), "--config-file", ROOT / "tests/schemathesis.toml", "run",
                 "--url", hub.url, "--header", f"Authorization: Bearer {hub.key}", *arguments, DOCUMENT],
                env=environment, cwd=folder,
            )  # fmt: skip
        finally:
            hub.close()
            log.close()
        failed = [line for line in (folder / "hub.log").read_text().splitlines() if "ERROR" in line]
        for line in failed:
            print(f"the hub logged: {line}")
        return run.returncode == 0 and not failed


def main(program, *arguments):
    raise_loopback()
    document = json.loads(DOCUMENT.read_text())
    results = []
    for name, problems in [("the rules of OpenAPI 3.1", check_rules(document)), ("the examples", check_examples(document))]:
        found = list(problems)
        results.append(not found)
        print(f"{name}: {'kept' if not found else 'broken'}")
        for problem in found:
            print(f"  {problem}")
    results.append(check_hub(program, arguments))
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
