"""What the parts of the flow share: the steps that are counted, a destination, messages as a provider signs them."""

import base64
import datetime
import hashlib
import hmac
import http.server
import json
import threading
import time

from standardwebhooks import Webhook

# How many steps have passed.
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


class Gate:
    """Where something is stopped in the middle: it waits there until it is let go."""

    # Longer than anything here takes, so that only a mistake comes to it.
    SECONDS = 60

    def __init__(self):
        self.reached, self.opened = threading.Event(), threading.Event()

    def stop(self):
        """Called by what is to be stopped."""
        self.reached.set()
        self.opened.wait(self.SECONDS)

    def wait(self):
        """Waits until something has been stopped."""
        assert self.reached.wait(self.SECONDS), "nothing came this far"

    def open(self):
        """Lets go what was stopped, and whatever comes now."""
        self.opened.set()


class Sink:
    """A destination that keeps what it gets."""

    def __init__(self, host):
        self.received = []
        self.status = 200
        # Where its answers wait, once a request has been received.
        self.gate = None
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                sink.received.append((dict(self.headers), body))
                if sink.gate:
                    sink.gate.stop()
                try:
                    self.send_response(sink.status)
                    self.send_header("content-length", "0")
                    self.end_headers()
                except ConnectionError:
                    # Whoever asked is gone.
                    self.close_connection = True

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((host, 0), Handler)
        self.server.daemon_threads = True
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


def signed(secret, message_id, body, at=None):
    """The headers of Standard Webhooks, made by the package; of bytes that are no text, which it does not take, made as it does."""
    at = at or datetime.datetime.now(datetime.timezone.utc)
    try:
        signature = Webhook(secret).sign(message_id, at, body.decode())
    except UnicodeDecodeError:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        text = f"{message_id}.{int(at.timestamp())}.".encode() + body
        signature = "v1," + base64.b64encode(hmac.digest(key, text, hashlib.sha256)).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
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
