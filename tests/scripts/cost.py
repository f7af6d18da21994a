"""Measures what docs/COST.md cannot compute: processor time, round trips and log lines of the built functions, under the runtime interface
emulator against DynamoDB Local.

    cost.py [--quick] ENDPOINT BINARIES COST > docs/cost/measured.json
    cost.py --check FILE

ENDPOINT is a fresh DynamoDB Local with its tables made, BINARIES/FUNCTION/bootstrap are the binaries, COST is the program `cost` of the tests
(it makes the bodies). Processor time is the function's own process, from the scheduler; round trips are found by letting each answer of
DynamoDB, or of the destination, take longer: what an invocation takes longer by is that many of them, one after another.

With --quick everything is measured once only, and retries not at all: that shows that it can be measured, and its times are worth little.
--check looks whether such a file has each number that docs/cost/measured.json has."""

import datetime
import http.server
import json
import math
import os
import pathlib
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import template
from hubs import Emulator, EmulatorHub
from lambda_events import Stream
from standardwebhooks import Webhook

SIZES = (512, 1024, 4096, 16384, 65536)
WEBHOOKS = (0, 1, 10)
SINGLES = 60
BATCHES = 3
# How many invocations round trips are counted with: half of them at once, half with answers that come later.
COUNTED = 6
PUBLISHED = template.ROOT / "docs/cost/measured.json"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
# By how much answers are delayed to count them, in seconds: much more than an invocation takes.
DELAY = 0.1
# The same for a tick with much to do, which takes longer.
LONG_DELAY = 0.5


class DelayingProxy:
    """Hands connections on to a server, and its answers back, each a little later."""

    def __init__(self, host, port):
        self.target = (host, port)
        self.delay = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(self.target)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            asked = threading.Event()
            threading.Thread(target=self._hand_on, args=(client, server, asked, True), daemon=True).start()
            threading.Thread(target=self._hand_on, args=(server, client, asked, False), daemon=True).start()

    def _hand_on(self, source, sink, asked, is_request):
        try:
            while data := source.recv(65536):
                if is_request:
                    asked.set()
                elif asked.is_set():
                    # The first part of an answer: the others follow it at once.
                    asked.clear()
                    time.sleep(self.delay)
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Destination:
    """Takes every request, keeps the connection, and answers after a while."""

    def __init__(self):
        self.delay = 0
        self.status = 200
        destination = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                time.sleep(destination.delay)
                self.send_response(destination.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class MeasuredHub(EmulatorHub):
    """The functions with a log each."""

    def __init__(self, endpoint, binaries, folder):
        self.folder = pathlib.Path(folder)
        functions = template.resources(template.load(), "AWS::Serverless::Function")
        super().__init__(dict.fromkeys(functions, endpoint), None, binaries)

    def emulator(self, function, timeout=None):
        with (self.folder / function).open("wb") as log:
            return Emulator(function, self.endpoints[function], log, self.binaries, timeout)

    def processor_ms(self, function):
        """What the function's process has used so far; 0 before it was started by its first invocation."""
        emulator = self.emulators[function].process.pid
        total = 0
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                if parent == emulator:
                    threads = (stat.parent / "task").glob("*/schedstat")
                    total += sum(int(thread.read_text().split()[0]) for thread in threads)
            except OSError:
                continue
        return total / 1e6

    def log_bytes(self, function):
        """What the function itself has logged. The emulator's own lines are no JSON."""
        lines = (self.folder / function).read_bytes().splitlines()
        # CloudWatch counts 26 bytes for each event beside its text.
        return sum(len(line) + 26 for line in lines if line.startswith(b"{"))

    def measured(self, function, events):
        """Processor time and log of one invocation, over all of these."""
        processor, log = self.processor_ms(function), self.log_bytes(function)
        for event in events:
            answer = self.invoke(function, event)
            assert not (answer or {}).get("batchItemFailures"), answer
        # The log is written by a process that need not be as fast as its answer.
        time.sleep(0.05)
        processor, log = self.processor_ms(function) - processor, self.log_bytes(function) - log
        return {"cpuMs": round(processor / len(events), 3), "logBytes": round(log / len(events))}


class Organization:
    """An organization with a source and so many webhooks."""

    def __init__(self, hub, destination, webhooks):
        self.hub = hub
        made = hub.invoke("OperateFunction", {"action": "createOrganization", "name": f"with {webhooks} webhooks"})
        self.key = made["adminKey"]
        source = self._call("/v1/sources", {"name": "quartr", "preset": "quartr", "secret": SECRET})
        self.receiving = "/in/" + source["receivingUrl"].rpartition("/in/")[2]
        for i in range(webhooks):
            self._call("/v1/webhooks", {"name": f"webhook {i}", "url": destination.url})
        self.sent = 0

    def _call(self, path, body):
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        status, _, answer = self.hub.request("POST", path, headers, json.dumps(body).encode())
        assert status == 201, answer
        return json.loads(answer)

    def request(self, body):
        """The headers of one more message."""
        self.sent += 1
        name, now = f"msg_{id(self)}_{self.sent}", datetime.datetime.now(datetime.timezone.utc)
        return {
            "webhook-id": name,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(SECRET).sign(name, now, body.decode()),
            "content-type": "application/json",
            "user-agent": "Quartr-Webhooks/1.0",
        }

    def send(self, body, count):
        for _ in range(count):
            status, _, answer = self.hub.request("POST", self.receiving, self.request(body), body)
            assert status == 202, answer


def singles(event):
    return [{"Records": [record]} for record in event["Records"]]


def batches(event, size):
    records = event["Records"]
    return [{"Records": records[i : i + size]} for i in range(0, len(records), size)]


class Measurement:
    def __init__(self, endpoint, binaries, cost, folder, quick):
        self.quick = quick
        self.singles, self.batches, self.counted = (1, 1, 2) if quick else (SINGLES, BATCHES, COUNTED)
        host, _, port = endpoint.removeprefix("http://").partition(":")
        self.proxy = DelayingProxy(host, int(port))
        self.destination = Destination()
        streams = template.client("dynamodbstreams", endpoint)
        self.inbox, self.events = Stream(streams, "InboxTable"), Stream(streams, "EventsTable")
        self.bodies = {size: subprocess.check_output([cost, "body", str(size)]) for size in SIZES}
        functions = template.resources(template.load(), "AWS::Serverless::Function")
        self.batch = functions["VerifyFunction"]["Events"]["Inbox"]["Properties"]["BatchSize"]
        assert self.batch == functions["FanOutFunction"]["Events"]["Events"]["Properties"]["BatchSize"]
        # The last of all: what fails before it leaves no process.
        self.hub = MeasuredHub(self.proxy.url, binaries, folder)

    def received(self, organization, size, count):
        """Sends messages: the stream's event that they become."""
        organization.send(self.bodies[size], count)
        return self.inbox.event(60, count=count)

    def verified(self, organization, size, count):
        """Sends messages and verifies them: the stream's event that they become."""
        for event in batches(self.received(organization, size, count), self.batch):
            self.hub.invoke("VerifyFunction", event)
        return self.events.event(60, count=count)

    def rounds(self, function, make, of):
        """How many answers of `of` an invocation waits for, one after another."""

        def seconds(delay, event):
            of.delay = delay
            started = time.monotonic()
            self.hub.invoke(function, event)
            of.delay = 0
            return time.monotonic() - started

        events = make(self.counted)
        at_once, later = [seconds(0, e) for e in events[::2]], [seconds(DELAY, e) for e in events[1::2]]
        return max(0, round((statistics.median(later) - statistics.median(at_once)) / DELAY))

    def run(self):
        # First of all, while nothing waits: on a busy machine a delivery may be left to the schedule later on.
        hub, ticks = self.hub, self.idle_ticks()
        organizations = {w: Organization(hub, self.destination, w) for w in WEBHOOKS}
        init = self.warm(organizations)
        one = organizations[1]
        receive, verify, fan_out = [], [], []
        for size in SIZES:
            body = self.bodies[size]
            processor, log = hub.processor_ms("ReceiveFunction"), hub.log_bytes("ReceiveFunction")
            received = self.received(one, size, self.singles)
            receive.append({
                "bytes": size,
                "cpuMs": round((hub.processor_ms("ReceiveFunction") - processor) / self.singles, 3),
                "logBytes": round((hub.log_bytes("ReceiveFunction") - log) / self.singles),
            })  # fmt: skip
            verify.append({"bytes": size, "batch": 1} | hub.measured("VerifyFunction", singles(received)))
            self.events.event(60, count=self.singles)
            received = self.received(one, size, self.batches * self.batch)
            verify.append({"bytes": size, "batch": self.batch} | hub.measured("VerifyFunction", batches(received, self.batch)))
            self.events.event(60, count=self.batches * self.batch)
            for webhooks, organization in organizations.items():
                what = {"bytes": size, "webhooks": webhooks}
                events = singles(self.verified(organization, size, self.singles))
                fan_out.append(what | {"batch": 1} | hub.measured("FanOutFunction", events))
                events = batches(self.verified(organization, size, self.batches * self.batch), self.batch)
                fan_out.append(what | {"batch": self.batch} | hub.measured("FanOutFunction", events))
            print(f"{len(body)} bytes are measured", file=sys.stderr)
        self.count_rounds(organizations, receive, verify, fan_out)
        retry = {} if self.quick else {"retry": self.retry(one)}
        return {"receive": receive, "verify": verify, "fanOut": fan_out, "idleTick": ticks} | retry | {"initCpuMs": init}

    def idle_ticks(self):
        self.hub.invoke("RetryFunction", {})
        self.init = {"RetryFunction": round(self.hub.processor_ms("RetryFunction"), 1)}
        ticks = self.hub.measured("RetryFunction", [{}] * self.singles)
        ticks["roundTrips"] = self.rounds("RetryFunction", lambda count: [{}] * count, self.proxy)
        assert ticks["logBytes"] == 0, "a tick found something to do"
        return ticks

    def warm(self, organizations):
        """Wakes every function, and says what its start and its first invocation took."""
        init = {}
        for organization in organizations.values():
            for _ in range(3):
                self.hub.invoke("FanOutFunction", self.verified(organization, 1024, 2))
                init = init or {f: round(self.hub.processor_ms(f), 1) for f in ("ReceiveFunction", "VerifyFunction", "FanOutFunction")}
        return init | self.init

    def count_rounds(self, organizations, receive, verify, fan_out):
        one = organizations[1]
        self.proxy.delay = 0

        def requests(_):
            started = time.monotonic()
            one.send(self.bodies[1024], 1)
            return time.monotonic() - started

        at_once = statistics.median([requests(0) for _ in range(5)])
        self.proxy.delay = DELAY
        later = statistics.median([requests(0) for _ in range(5)])
        self.proxy.delay = 0
        self.inbox.event(60, count=10)
        trips = round((later - at_once) / DELAY)
        for row in receive:
            row["roundTrips"] = trips

        for batch in (1, self.batch):
            trips = self.rounds("VerifyFunction", lambda n: batches(self.received(one, 1024, n * batch), batch), self.proxy)
            for row in verify:
                if row["batch"] == batch:
                    row["roundTrips"] = trips
            self.events.new_records()
            for webhooks, organization in organizations.items():
                make = lambda n: batches(self.verified(organization, 1024, n * batch), batch)  # noqa: E731
                found = {
                    "roundTrips": self.rounds("FanOutFunction", make, self.proxy),
                    "destinationRounds": self.rounds("FanOutFunction", make, self.destination) if webhooks else 0,
                }
                for row in fan_out:
                    if (row["batch"], row["webhooks"]) == (batch, webhooks):
                        row.update(found)

    def retry(self, organization):
        """A tick that finds a batch of deliveries due, after the destination has failed for a while: at once, and with each kind of answer
        delayed."""

        def tick(of=None):
            self.destination.status = 500
            for event in batches(self.verified(organization, 1024, self.batch), self.batch):
                self.hub.invoke("FanOutFunction", event)
            # The first retry comes after a minute, a fifth more or less.
            time.sleep(75)
            self.destination.status = 200
            if of:
                of.delay = LONG_DELAY
            started = time.monotonic()
            measured = self.hub.measured("RetryFunction", [{}])
            seconds = time.monotonic() - started
            if of:
                of.delay = 0
            return measured, seconds

        # What was left to the schedule until now is not part of it.
        while self.hub.measured("RetryFunction", [{}])["logBytes"]:
            pass
        found, at_once = tick()
        trips, rounds = [max(1, round((tick(of)[1] - at_once) / LONG_DELAY)) for of in (self.proxy, self.destination)]
        return {"attempts": self.batch} | found | {"roundTrips": trips, "destinationRounds": rounds}


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def measure(endpoint, binaries, cost, quick):
    usual = template.local_environment
    # As a deployed function has it: the lines of metrics are not written unless somebody wants to pay for them.
    template.local_environment = lambda endpoint: usual(endpoint) | {"EMBEDDED_METRICS": "disabled"}
    with tempfile.TemporaryDirectory() as folder:
        measurement = Measurement(endpoint, binaries, cost, folder, quick)
        try:
            found = measurement.run()
        finally:
            measurement.hub.close()
    about = {
        "date": datetime.date.today().isoformat(),
        "command": "tests/scripts/cost.sh",
        "machine": f"{processor()}, {platform.machine()}, {os.cpu_count()} processors",
        "invocations": measurement.singles,
        "batches": measurement.batches,
    }
    json.dump(about | found, sys.stdout, indent=1)
    print()


def numbers(measured):
    """Each number by where it stands: the part, what it was measured with, and its name."""
    found = {}
    for part, rows in measured.items():
        for row in rows if isinstance(rows, list) else [rows] if isinstance(rows, dict) else []:
            given = {name: row[name] for name in ("bytes", "webhooks", "batch") if name in row}
            at = [f"{name} {value}" for name, value in given.items()]
            found |= {(part, *at, name): value for name, value in row.items() if name not in given}
    return found


def check(file):
    """Whether a quick measurement has every number, and none that cannot be."""
    found, wanted = numbers(json.loads(pathlib.Path(file).read_text())), numbers(json.loads(PUBLISHED.read_text()))
    wanted = {where for where in wanted if where[0] != "retry"}
    assert found.keys() == wanted, f"missing: {sorted(wanted - found.keys())}; new: {sorted(found.keys() - wanted)}"
    for where, number in found.items():
        # A function always takes time. Only an idle tick logs nothing, and not everything is waited for.
        takes_time = where[-1] == "cpuMs" or where[0] == "initCpuMs"
        assert math.isfinite(number) and (number > 0 if takes_time else number >= 0), f"{', '.join(where)}: {number}"
    print(f"{len(found)} passed, 0 failed")


def main(arguments):
    if arguments[:1] == ["--check"] and len(arguments) == 2:
        return check(arguments[1])
    quick = arguments[:1] == ["--quick"]
    if len(arguments) != 3 + quick:
        sys.exit(__doc__)
    measure(*arguments[quick:], quick)


if __name__ == "__main__":
    main(sys.argv[1:])
