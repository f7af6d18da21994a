"""Cold starts: each built function next to a bare lambda_http function and to the receive step in Node.js and in Python, started in turn.

    cold_start.py BUILD HELLO NODE PYTHON [--rounds N] [--markdown]

BUILD is the folder of `sam build`, HELLO the bare function's binary, NODE the folder with the bundled Node.js function, PYTHON that of
Python's packages.

What is measured of a start: from its process to its first call of the Runtime API's `next` (init), from the event to its answer (first
invocation, the first requests to DynamoDB included), and the most memory it had. This script is the Runtime API
(https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html), and a process beside it DynamoDB: a stub over TLS that answers at once,
so that what is compared is what the functions do. Starts are interleaved and medians compared, because machines are noisy; the answer is
a ratio. It ends with an error when a function has become slower, next to the bare one, than the limits below."""

import argparse
import http.server
import json
import os
import pathlib
import random
import selectors
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

import template
from lambda_events import example, http_event
from net import free_ports, wait_for_port

# What a function's init is to take, in inits of the bare function, and what it may take, so that a busy machine fails nobody; what
# receive's init and first put may take, in those of the others.
GOAL_INIT, MOST_INIT, MOST_RECEIVE = 1.6, 2.2, 1 / 5

ROOTS = template.ROOT / "shared/store/roots/amazon-trust-services.pem"
COLD_START = template.ROOT / "tests/cold-start"
# Where each SDK finds whom to trust beside whom it knows.
BUNDLES = ("AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
NEXT = "/2018-06-01/runtime/invocation/next"


def receive_event():
    body = json.dumps({"type": "live.audio.updated", "data": {"id": 328350, "title": "x" * 900}}).encode()
    headers = {"content-type": "application/json", "webhook-id": "msg_1", "webhook-timestamp": "1742909460", "webhook-signature": "v1,x"}
    token = "in_" + "x" * 32
    return http_event("ANY /in/{token}", "POST", f"/in/{token}", headers, body, {"token": token})


def events():
    """What each function gets first: something that makes it speak to DynamoDB."""
    return {
        "ReceiveFunction": receive_event(),
        "VerifyFunction": example("verify"),
        "FanOutFunction": example("fan-out"),
        "RetryFunction": example("retry"),
        "ManageFunction": example("manage-list-sources"),
        "OperateFunction": {"action": "listOrganizations"},
    }


# What each must answer, so that no error is measured.
EXPECTED = {
    "ReceiveFunction": lambda answer: answer["statusCode"] == 202,
    "VerifyFunction": lambda answer: answer == {"batchItemFailures": []},
    "FanOutFunction": lambda answer: answer == {"batchItemFailures": []},
    "RetryFunction": lambda answer: answer is None,
    "ManageFunction": lambda answer: answer["statusCode"] == 401,
    "OperateFunction": lambda answer: answer["data"] == [],
    "bare lambda_http": lambda answer: answer["statusCode"] == 200,
    "receive in Node.js": lambda answer: answer["statusCode"] == 202,
    "receive in Python": lambda answer: answer["statusCode"] == 202,
}


class Stub(http.server.BaseHTTPRequestHandler):
    """DynamoDB with one door and nothing else in it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        answer = json.dumps(self.answer(self.headers["x-amz-target"].rpartition(".")[2], request)).encode()
        self.send_response(200)
        self.send_header("content-type", "application/x-amz-json-1.0")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    @staticmethod
    def answer(operation, request):
        match operation:
            case "GetItem" if request["Key"].get("id", {}).get("S", "").startswith("tok#"):
                return {
                    "Item": {
                        "id": request["Key"]["id"],
                        "v": {"N": "1"},
                        "tenant": {"S": "org_01JQ6ZQ0M0000000000000000A"},
                        "source": {"S": "src_01JQ6ZQ0M0000000000000000A"},
                        "enabled": {"BOOL": True},
                        "methods": {"L": [{"S": "POST"}]},
                        "requiredHeaders": {"L": [{"S": "webhook-signature"}]},
                        "salt": {"S": "salt"},
                        "successStatus": {"N": "202"},
                    }
                }
            case "Query" | "Scan":
                return {"Items": [], "Count": 0, "ScannedCount": 0}
            case "BatchGetItem":
                return {"Responses": {}, "UnprocessedKeys": {}}
            case _:
                return {}

    def log_message(self, *_):
        pass


def serve_stub(port, certificate):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Stub)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


def make_certificate(folder):
    """A certificate for 127.0.0.1 that is its own authority, and the bundle that trusts it beside the roots that a function always reads."""
    key, certificate, both, bundle = (folder / name for name in ("key.pem", "certificate.pem", "stub.pem", "bundle.pem"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", "/CN=stub",
         "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    both.write_text(key.read_text() + certificate.read_text())
    bundle.write_text(ROOTS.read_text() + certificate.read_text())
    return both, bundle


class RuntimeApi:
    """What a function asks for its next event, for one start."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ, None)

    def request(self, process, seconds=30):
        """The next whole request: when it came, its path, its body, and the connection to answer on."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for key, _ in self.selector.select(0.5):
                if key.data is None:
                    connection, _ = self.listener.accept()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self.selector.register(connection, selectors.EVENT_READ, bytearray())
                    continue
                data = key.fileobj.recv(1 << 20)
                at = time.perf_counter()
                if not data:
                    self.selector.unregister(key.fileobj)
                    key.fileobj.close()
                    continue
                key.data.extend(data)
                if whole := parse(key.data):
                    key.data.clear()
                    return at, *whole, key.fileobj
            if process.poll() is not None:
                raise RuntimeError(f"it ended with {process.returncode}")
        raise TimeoutError("the function did not ask for anything")

    def close(self):
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()


def parse(data):
    """The path and body of an HTTP request, once it is whole."""
    head, separator, body = bytes(data).partition(b"\r\n\r\n")
    if not separator:
        return None
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        if not body.endswith(b"0\r\n\r\n"):
            return None
        whole, rest = b"", body
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            whole, rest = whole + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        return first.split()[1], whole
    return (first.split()[1], body) if len(body) >= int(headers.get("content-length", 0)) else None


def peak_mib(pid):
    """The most memory that a process has had."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


def start(name, command, environment, event, folder, is_invoked):
    """One cold start: init and first invocation in milliseconds, memory in MiB. One that is not invoked trusts what it trusts in AWS, and not
    what the stub needs, which has to be read from a file first."""
    if not is_invoked:
        environment = {key: value for key, value in environment.items() if key not in BUNDLES}
    api = RuntimeApi()
    log = tempfile.TemporaryFile()
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment | {"AWS_LAMBDA_RUNTIME_API": api.address}, cwd=folder, stdout=log, stderr=log
    )
    try:
        ready, path, _, connection = api.request(process)
        if path != NEXT:
            raise RuntimeError(f"it called {path}")
        if not is_invoked:
            return (ready - began) * 1000, None, None
        body = json.dumps(event).encode()
        answer = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n"
            f"Lambda-Runtime-Deadline-Ms: {int(time.time() * 1000) + 60_000}\r\n"
            "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-central-1:123456789012:function:f\r\n"
            f"Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        invoked = time.perf_counter()
        connection.sendall(answer.encode() + body)
        answered, path, body, connection = api.request(process)
        connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        if not path.endswith("/response") or not EXPECTED[name](json.loads(body or b"null")):
            raise RuntimeError(f"{path}: {body[:500]!r}")
        return (ready - began) * 1000, (answered - invoked) * 1000, peak_mib(process.pid)
    except Exception as error:
        log.seek(0)
        raise RuntimeError(f"{name}: {error}\n{log.read().decode()[-2000:]}") from error
    finally:
        process.kill()
        process.wait()
        api.close()
        log.close()


def subjects(build, hello, node, python, endpoint, bundle):
    """What is started: name, command, environment, event, folder."""
    common = {
        "PATH": os.environ["PATH"],
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
        "AWS_LAMBDA_FUNCTION_NAME": "cold-start",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_LOG_GROUP_NAME": "log",
        "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
        "SOURCES_TABLE": "SourcesTable",
        "INBOX_TABLE": "InboxTable",
    } | dict.fromkeys(BUNDLES, str(bundle))
    yield "bare lambda_http", [hello.resolve()], common, receive_event(), hello.parent
    for function, event in events().items():
        environment = common | template.function_environment(function, endpoint)
        yield function, [(build / function / "bootstrap").resolve()], environment, event, build / function
    yield "receive in Node.js", ["node", (node / "bootstrap.mjs").resolve()], common, receive_event(), node
    environment = common | {"PYTHONPATH": str(python.resolve())}
    yield "receive in Python", ["python3", "-m", "awslambdaric", "receive.handler"], environment, receive_event(), COLD_START / "python"


def measure(subjects, rounds):
    """Medians of init, first invocation and memory, by name. The first round only warms the machine's caches."""
    found = {name: [] for name, *_ in subjects}
    for number in range(rounds + 1):
        for name, command, environment, event, folder in random.sample(subjects, len(subjects)):
            init, _, _ = start(name, command, environment, event, folder, is_invoked=False)
            _, first, memory = start(name, command, environment, event, folder, is_invoked=True)
            if number > 0:
                found[name].append((init, first, memory))
    return {name: tuple(statistics.median(values) for values in zip(*starts)) for name, starts in found.items()}


def show(medians, markdown):
    bare, receive = medians["bare lambda_http"], medians["ReceiveFunction"]
    if markdown:
        print("| | init ms | × bare | first invocation ms | both, × receive | peak MiB |\n|---|---:|---:|---:|---:|---:|")
    for name, (init, first, memory) in medians.items():
        ratios = init / bare[0], (init + first) / (receive[0] + receive[1])
        if markdown:
            print(f"| {name} | {init:.1f} | {ratios[0]:.2f} | {first:.1f} | {ratios[1]:.2f} | {memory:.0f} |")
        else:
            print(f"  {name:18} init {init:6.1f} ms ({ratios[0]:5.2f} × bare), first invocation {first:6.1f} ms, peak {memory:5.1f} MiB")


def judge(medians):
    """How many of the limits hold, and what is told of those that do not."""
    bare, receive = medians["bare lambda_http"][0], sum(medians["ReceiveFunction"][:2])
    held = {f"{name}: init at most {MOST_INIT} times the bare one's": medians[name][0] <= MOST_INIT * bare for name in events()}
    for name in ("receive in Node.js", "receive in Python"):
        held[f"receive, with its first put, at most a fifth of {name}"] = receive <= MOST_RECEIVE * sum(medians[name][:2])
    for name in events():
        if medians[name][0] > GOAL_INIT * bare:
            print(f"  beyond the goal of {GOAL_INIT} times the bare one's init: {name}")
    for limit, holds in held.items():
        if not holds:
            print(f"  not held: {limit}")
    print(f"{sum(held.values())} passed, {len(held) - sum(held.values())} failed")
    return all(held.values())


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("build", type=pathlib.Path)
    arguments.add_argument("hello", type=pathlib.Path)
    arguments.add_argument("node", type=pathlib.Path)
    arguments.add_argument("python", type=pathlib.Path)
    arguments.add_argument("--rounds", type=int, default=15)
    arguments.add_argument("--markdown", action="store_true")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        certificate, bundle = make_certificate(pathlib.Path(folder))
        (port,) = free_ports(1)
        stub = subprocess.Popen([sys.executable, __file__, "stub", str(port), certificate])
        try:
            wait_for_port(port, stub)
            endpoint = f"https://127.0.0.1:{port}"
            all_of_them = list(subjects(given.build, given.hello, given.node, given.python, endpoint, bundle))
            medians = measure(all_of_them, given.rounds)
        finally:
            stub.kill()
            stub.wait()
    show(medians, given.markdown)
    sys.exit(0 if judge(medians) else 1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["stub"]:
        serve_stub(int(sys.argv[2]), sys.argv[3])
    else:
        main()
