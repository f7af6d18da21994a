"""Runs smoke.py against a hub of this machine, over HTTP: where all is well, and where each thing is not. After each nothing is left of it.

    smoke_test.py LOCAL       LOCAL is the binary of `local`
"""

import http.server
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading

from local_hub import LocalHub
from net import free_ports, http as call

SMOKE = pathlib.Path(__file__).parent / "smoke.py"
# A deadline that a failing destination is waited for.
SECONDS = 5


class Destination:
    """Answers each POST with its status."""

    def __init__(self):
        self.status, self.received = 200, 0
        destination = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                destination.received += 1
                self.send_response(destination.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}/hook"
        threading.Thread(target=server.serve_forever, daemon=True).start()


class Hub(LocalHub):
    """A hub that tells what it knows of."""

    def registered(self):
        """What is registered now."""
        return {row["id"] for kind in ("sources", "webhooks") for row in self.api("GET", f"/v1/{kind}")["data"]}


def smoke(url, *options, key="", key_in_environment=True):
    """The exit code and all that smoke.py printed. In Python's isolated mode: it may need nothing that is installed beside it."""
    environment = {"PATH": os.environ["PATH"]} | ({"HOOKLINE_API_KEY": key} if key_in_environment else {})
    ended = subprocess.run(
        [sys.executable, "-I", SMOKE, url, "--deadline", str(SECONDS), *options],
        env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
    )  # fmt: skip
    assert key not in ended.stdout or not key, "the key was printed"
    return ended.returncode, ended.stdout


def stages(printed):
    return re.findall(r"^ +\d+ ms +(\w+)", printed, re.M)


def something_else():
    """The URL of something that answers everything with 200 and JSON, and is no hub."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(200 if self.command == "GET" else 201)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_POST = answer

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def breaking_off(hub, method, path):
    """The URL of something that hands requests on to the hub, and answers back; those to such requests break off before their end."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def hand_on(self):
            body = self.rfile.read(int(self.headers.get("content-length") or 0)) or None
            headers = {name: self.headers[name] for name in ("authorization", "content-type")}
            status, _, answer = call(self.command, hub.url + self.path, headers, body)
            broken = (self.command, self.path.partition("?")[0]) == (method, path)
            self.send_response(status)
            if status != 204:
                self.send_header("content-length", str(len(answer) + broken))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_DELETE = hand_on

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def cases(hub, destination, folder):
    """Each case: what it shows, the options, the exit code, and what is printed."""
    key_file = folder / "key"
    key_file.write_text(hub.key + "\n")
    there = ("--destination", destination.url)
    free = f"http://127.0.0.1:{free_ports(1)[0]}"
    yield "delivered", 200, (hub.url, *there), {"key": hub.key}, 0, "all is well"
    yield "the key from a file", 200, (hub.url, *there, "--key-file", str(key_file)), {"key_in_environment": False}, 0, "all is well"
    yield "without a destination", 200, (hub.url,), {"key": hub.key}, 3, "NOT checked"
    yield "a destination that answers 500", 500, (hub.url, *there), {"key": hub.key}, 15, "the destination answered: 500"
    yield "a destination that wants no more", 410, (hub.url, *there), {"key": hub.key}, 15, "exhausted; attempts: 410"
    yield "a destination that is no URL", 200, (hub.url, "--destination", "nowhere"), {"key": hub.key}, 12, "/url"
    yield "a wrong key", 200, (hub.url, *there), {"key": "hk_" + "x" * 43}, 11, "401"
    yield "no key", 200, (hub.url, *there), {"key_in_environment": False}, 2, "no API key"
    yield "nobody there", 200, (free, *there), {"key": hub.key}, 10, "no connection"
    for kind in ("source", "webhook"):
        url = breaking_off(hub, "POST", f"/v1/{kind}s")
        yield f"the answer to a {kind} breaks off", 200, (url, *there), {"key": hub.key}, 10, f"deleted    /v1/{kind}s/"
    url = breaking_off(hub, "GET", "/v1/sources")
    yield "an error breaks off", 200, (url, *there), {"key": "hk_" + "x" * 43}, 10, "IncompleteRead"
    yield "something else there", 200, (something_else(), *there), {"key": hub.key}, 12, "is no hub"
    yield "a URL that others can read along", 200, ("http://hub.example", *there), {"key": hub.key}, 2, "must be https"


def main(program):
    passed = 0
    with tempfile.TemporaryDirectory() as folder:
        hub = Hub(pathlib.Path(program).resolve(), pathlib.Path(folder) / "data")
        try:
            destination = Destination()
            before = hub.registered()
            # Somebody who wants everything is not sent this.
            bystander = Destination()
            before.add(hub.api("POST", "/v1/webhooks", {"name": "bystander", "url": bystander.url})["id"])
            for what, status, options, settings, code, text in cases(hub, destination, pathlib.Path(folder)):
                destination.status = status
                got, printed = smoke(*options, **settings)
                assert got == code and text in printed, f"{what}: exit code {got} instead of {code}\n{printed}"
                assert hub.registered() == before, f"{what}: something was left\n{printed}"
                if code == 0:
                    expected = "connected made made stored verified attempt delivered rejected dropped deleted deleted"
                    assert " ".join(stages(printed)) == expected, printed
                print(f"  ok {what}: exit code {got}", flush=True)
                passed += 1
            assert bystander.received == 0 < destination.received
        finally:
            hub.close()
    print(f"{passed} passed, 0 failed")


if __name__ == "__main__":
    main(*sys.argv[1:])
