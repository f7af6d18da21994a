"""A hub of this machine as a process of its own, for scripts that speak to it over HTTP."""

import json
import pathlib
import subprocess
import time

from net import free_ports, http, stop, wait_for_port


class LocalHub:
    """The program `local` on free ports with a fresh organization, its data in a folder."""

    def __init__(self, program, data, *options, log=subprocess.DEVNULL):
        port, sink = free_ports(2)
        self.url, self.sink = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sink}/sink"
        self.process = subprocess.Popen(
            [program, *options, "--data", data, "--listen", f"127.0.0.1:{port}", "--sink", f"127.0.0.1:{sink}"], stdout=log, stderr=log,
        )  # fmt: skip
        try:
            wait_for_port(port, self.process)
            credentials = pathlib.Path(data) / "credentials.json"
            deadline = time.monotonic() + 30
            while not credentials.exists():
                assert time.monotonic() < deadline, "the hub made no key"
                time.sleep(0.05)
            self.key = json.loads(credentials.read_text())["adminKey"]
        except BaseException:
            self.close()
            raise

    def api(self, method, path, body=None):
        """A call that must succeed, with the organization's key."""
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        status, _, answer = http(method, f"{self.url}{path}", headers, json.dumps(body).encode() if body is not None else None)
        assert status < 300, (method, path, status, answer)
        return json.loads(answer) if answer else None

    def close(self):
        stop(self.process, 60)
