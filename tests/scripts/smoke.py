#!/usr/bin/env python3
"""Sends a signed webhook through a deployed hub and waits until it is delivered. Needs Python and nothing else.

    HOOKLINE_API_KEY=hk_… smoke.py URL --destination https://yours.example/hook
    smoke.py URL --key-file FILE --destination https://yours.example/hook

URL is the stack's output ApiUrl, or the domain of your own. The key, of the role admin or editor, comes from the environment or a file, so that
no list of processes shows it. The destination is any public https URL of yours that answers a POST with 2xx; without one the message is
followed as far as its event, and the exit code says that no delivery was seen.

It makes a source and a webhook, sends a message, then a forged copy and the same message again, and deletes both, whatever happened. (The
receipts, the event and its delivery stay until their time is over; the audit trail shows who did it.) The event's type begins with
`hookline.`: of the organization's other webhooks only those get it whose filters name such types.

Exit codes:
    0   delivered; the forged copy was rejected and the duplicate dropped
    2   wrong arguments
    3   the same but for the delivery: there was no --destination
    10  no connection, or one that broke off
    11  the key opens nothing here, or may not do this
    12  the API refused, or answered otherwise than it should
    13  the receiving URL did not take the message
    14  the message did not become an event
    15  it was not delivered
    16  a forged copy was not rejected
    17  a duplicate was not dropped
    18  all went well, but what was made could not be deleted
    130 interrupted
"""

import argparse
import base64
import hashlib
import hmac
import http.client
import json
import os
import secrets
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

NO_DESTINATION, NO_CONNECTION, NO_ENTRY, REFUSED, NOT_TAKEN, NOT_VERIFIED, NOT_DELIVERED, FORGED, DUPLICATE, LEFT = 3, *range(10, 19)
EVENT_TYPE = "hookline.smoke.test"


class Failure(Exception):
    """What went wrong, and the exit code that says so."""

    def __init__(self, code, reason):
        super().__init__(reason)
        self.code = code


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """A hub redirects nobody, and the key is for nobody else."""

    def redirect_request(self, *_):
        return None


HTTP = urllib.request.build_opener(NoRedirects)


def request(method, url, headers, body=None, timeout=30):
    """The status and the body of an answer; an error's status is one too."""
    try:
        try:
            with HTTP.open(urllib.request.Request(url, data=body, method=method, headers=headers), timeout=timeout) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
    except (OSError, http.client.HTTPException) as error:
        # The last: an answer that breaks off, or is none.
        host = urllib.parse.urlsplit(url).netloc
        raise Failure(NO_CONNECTION, f"no connection to {host}: {getattr(error, 'reason', None) or repr(error)}") from None


def told(body):
    """What an answer says of its reason, in one line."""
    try:
        answer = json.loads(body)
        return " ".join(str(answer[name]) for name in ("title", "detail", "pointer", "message") if name in answer)
    except (ValueError, TypeError):
        return body[:200].decode(errors="replace")


class Smoke:
    def __init__(self, url, key, deadline):
        self.url, self.key, self.deadline = url.rstrip("/"), key, deadline
        self.started = time.monotonic()
        # By its name what was made is found again when the answer that told its id was lost.
        self.name = f"smoke test {secrets.token_hex(6)}"
        self.made = []

    def say(self, stage, text):
        print(f"{(time.monotonic() - self.started) * 1000:9.0f} ms  {stage:<10} {text}", flush=True)

    def api(self, method, path, wanted, body=None):
        """A call of the API: the answer's JSON, when it has the status that it should have."""
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        status, answer = request(method, self.url + path, headers, json.dumps(body).encode() if body is not None else None)
        if status in (401, 403):
            raise Failure(NO_ENTRY, f"{method} {path}: {status} {told(answer)}")
        if status != wanted:
            raise Failure(REFUSED, f"{method} {path}: {status} {told(answer)}")
        try:
            return json.loads(answer) if answer else None
        except ValueError:
            raise Failure(REFUSED, f"{method} {path}: {status}, and no JSON") from None

    def until(self, look, code, reason):
        """What `look` gives, as soon as it gives something; asked for more and more seldom."""
        end, pause = time.monotonic() + self.deadline, 0.1
        while True:
            found = look()
            if found is not None:
                return found
            if time.monotonic() >= end:
                raise Failure(code, f"{reason} within {self.deadline} s")
            time.sleep(min(pause, max(0.0, end - time.monotonic())))
            pause = min(pause * 1.5, 3)

    def run(self, destination):
        self.api("GET", "/v1/sources?limit=1", 200)
        self.say("connected", f"to {self.url}; the key opens the API")
        self.register(destination)
        body = json.dumps({"type": EVENT_TYPE, "timestamp": now(), "data": {"smoke": secrets.token_hex(8)}}).encode()
        message = f"msg_smoke_{secrets.token_hex(12)}"
        headers = signed(self.secret, message, body)
        event = self.accepted(self.send(headers, body))
        if destination:
            self.delivered(event)
        self.rejected(signed(new_secret(), f"{message}_forged", body), body)
        self.dropped(headers, body, event)

    def register(self, destination):
        self.secret = new_secret()
        source = self.make("/v1/sources", {"name": self.name, "preset": "standard-webhooks", "secret": self.secret})
        self.receiving = source["receivingUrl"]
        self.say("made", f"the source {source['id']}")
        if destination:
            webhook = {"name": self.name, "url": destination, "filter": {"types": [EVENT_TYPE]}}
            self.webhook = self.make("/v1/webhooks", webhook)["id"]
            self.say("made", f"the webhook {self.webhook}")

    def make(self, kind, body):
        """Makes one, and remembers that there may be one, before the answer says so."""
        self.made.append([kind, None])
        made = self.api("POST", kind, 201, body)
        self.made[-1][1] = made["id"]
        return made

    def send(self, headers, body):
        """Sends to the receiving URL; the receipt."""
        status, answer = request("POST", self.receiving, headers, body)
        if status != 202:
            raise Failure(NOT_TAKEN, f"the receiving URL answered {status} {told(answer)}")
        try:
            return json.loads(answer)["id"]
        except (ValueError, KeyError, TypeError):
            raise Failure(NOT_TAKEN, "the receiving URL answered 202 without a receipt") from None

    def outcome(self, receipt, code):
        """What became of a receipt, once it is decided."""

        def look():
            found = self.api("GET", f"/v1/receipts/{receipt}", 200)
            return None if found["status"] == "received" else found

        return self.until(look, code, f"nothing became of {receipt}")

    def accepted(self, receipt):
        self.say("stored", f"202, {receipt}")
        found = self.outcome(receipt, NOT_VERIFIED)
        if found["status"] != "accepted":
            raise Failure(NOT_VERIFIED, f"{receipt} is {found['status']}: {found.get('detail', '')}")
        (event,) = found["events"]
        self.say("verified", event)
        return event

    def delivered(self, event):
        shown = []

        def look():
            deliveries = self.api("GET", f"/v1/events/{event}", 200)["deliveries"]
            delivery = next((d for d in deliveries if d["webhook"] == self.webhook), None)
            attempts = delivery["attempts"] if delivery else []
            for attempt in attempts[len(shown) :]:
                shown.append(f"{attempt.get('status') or attempt.get('error')} in {attempt['durationMs']} ms")
                self.say("attempt", f"{len(shown)}: {shown[-1]}")
            if delivery and delivery["status"] in ("exhausted", "cancelled"):
                raise Failure(NOT_DELIVERED, f"the delivery is {delivery['status']}; attempts: {', '.join(shown) or 'none'}")
            return delivery if delivery and delivery["status"] == "delivered" else None

        try:
            self.until(look, NOT_DELIVERED, "not delivered")
        except Failure as failure:
            if failure.code == NOT_DELIVERED and shown:
                raise Failure(NOT_DELIVERED, f"{failure}; the destination answered: {', '.join(shown)}") from None
            raise
        self.say("delivered", f"to {self.webhook}")

    def rejected(self, headers, body):
        receipt = self.send(headers, body)
        found = self.outcome(receipt, FORGED)
        if found["status"] != "rejected":
            raise Failure(FORGED, f"a forged copy is {found['status']}: {receipt}")
        self.say("rejected", f"a forged copy, {receipt}: {found.get('reason', '')}")

    def dropped(self, headers, body, event):
        receipt = self.send(headers, body)
        found = self.outcome(receipt, DUPLICATE)
        if (found["status"], found.get("event")) != ("duplicate", event):
            raise Failure(DUPLICATE, f"the same message again is {found['status']}: {receipt}")
        self.say("dropped", f"the same message again, {receipt}")

    def clean_up(self):
        """Deletes what was made, the last first; what could not be deleted."""
        left = []
        for kind, known in reversed(self.made):
            at = f"{kind}/{known}" if known else f"{kind} named {self.name!r}"
            try:
                for found in [known] if known else self.named(kind):
                    at = f"{kind}/{found}"
                    self.api("DELETE", at, 204)
                    self.say("deleted", at)
            except (Failure, KeyError, TypeError, ValueError) as failure:
                left.append(f"{at} ({failure})")
        return left

    def named(self, kind):
        """The ids of those that bear the name of this run."""
        found, path = [], f"{kind}?limit=100"
        while path:
            page = self.api("GET", path, 200)
            found += [row["id"] for row in page["data"] if row["name"] == self.name]
            path = page["next"] and f"{kind}?limit=100&cursor={urllib.parse.quote(page['next'], safe='')}"
        return found


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def new_secret():
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def signed(secret, message, body):
    """The headers of a message, as Standard Webhooks says: https://www.standardwebhooks.com"""
    at = str(int(time.time()))
    text = f"{message}.{at}.".encode() + body
    signature = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), text, hashlib.sha256)
    return {
        "content-type": "application/json",
        "webhook-id": message,
        "webhook-timestamp": at,
        "webhook-signature": "v1," + base64.b64encode(signature).decode(),
    }


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", metavar="URL", help="the stack's output ApiUrl")
    parser.add_argument("--destination", metavar="URL", help="where the message is to be delivered: yours, public, https")
    parser.add_argument("--key-file", metavar="FILE", help="holds the API key; without it HOOKLINE_API_KEY does")
    parser.add_argument("--deadline", metavar="SECONDS", type=float, default=90, help="how long each stage may take (90)")
    given = parser.parse_args()
    url = urllib.parse.urlsplit(given.url)
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in ("127.0.0.1", "::1", "localhost")):
        parser.error("URL must be https, so that nobody reads the key (http on this machine only)")
    try:
        key = open(given.key_file).read().strip() if given.key_file else os.environ.get("HOOKLINE_API_KEY", "").strip()
    except OSError as error:
        parser.error(f"--key-file: {error.strerror}")
    if not key.startswith("hk_") or not key.isascii() or not key.isprintable():
        parser.error("no API key: set HOOKLINE_API_KEY or give --key-file; a key begins with hk_")
    return given, key


def main():
    given, key = arguments()
    smoke = Smoke(given.url, key, given.deadline)
    code = 0 if given.destination else NO_DESTINATION
    try:
        smoke.run(given.destination)
    except Failure as failure:
        code = failure.code
        print(f"FAILED: {failure}", file=sys.stderr)
    except (KeyError, TypeError, ValueError) as error:
        code = REFUSED
        print(f"FAILED: what answers at {given.url} is no hub, or one of another version: {error!r}", file=sys.stderr)
    except KeyboardInterrupt:
        code = 130
        print("interrupted", file=sys.stderr)
    finally:
        left = smoke.clean_up()
        for path in left:
            print(f"NOT DELETED: {path}", file=sys.stderr)
    if left and code in (0, NO_DESTINATION):
        code = LEFT
    if code == 0:
        print("all is well: stored, verified, delivered; a forged copy rejected, a duplicate dropped")
    elif code == NO_DESTINATION:
        print("stored and verified; a forged copy rejected, a duplicate dropped. Whether it would be delivered was NOT checked: give --destination")
    return code


if __name__ == "__main__":
    sys.exit(main())
