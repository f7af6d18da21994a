"""Three ways to run the functions as Lambda runs them: under `sam local` in containers, under the runtime interface emulator as plain
processes, and under `cargo lambda watch`. Each answers `request` (HTTP) and `invoke` (a direct invocation)."""

import base64
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import urllib.parse

import samcli
import template
from lambda_events import http_event, rest_event
from net import free_ports, http, stop, wait_for_port

# The emulator that SAM puts into its containers.
EMULATOR = pathlib.Path(samcli.__file__).parent / "local/rapid/aws-lambda-rie-x86_64"


class FunctionError(Exception):
    """An invocation that ended with an error."""


def checked(answer):
    """An invocation's result, when it is none of Lambda's error documents, and not the line that a timeout leaves."""
    try:
        result = json.loads(answer) if answer.strip() else None
    except ValueError:
        raise FunctionError(answer.decode(errors="replace")) from None
    if isinstance(result, dict) and "errorMessage" in result:
        raise FunctionError(result)
    return result


class SamHub:
    """`sam local start-api` for HTTP, `sam local invoke` for the rest."""

    # Where a container finds this machine.
    HOST = "172.17.0.1"
    # The payload formats in which it hands requests over.
    FORMATS = ("2.0", "1.0")

    def __init__(self, endpoints, log):
        self.build = template.ROOT / ".aws-sam/build"
        self.endpoints = endpoints
        self.log = log
        self.template = self._template("local.yaml")
        self.apis = {}
        try:
            self._start_api("2.0", self.template)
        except BaseException:
            self.close()
            raise

    def _template(self, name, payload_format=None):
        file = self.build / name
        file.write_text(template.local_template((self.build / "template.yaml").read_text(), self.endpoints, payload_format))
        return file

    def _start_api(self, payload_format, file):
        (port,) = free_ports(1)
        process = self._sam("start-api", file, "--host", "127.0.0.1", "--port", str(port), "--warm-containers", "LAZY")
        self.apis[payload_format] = (port, process)
        wait_for_port(port, process)

    def _sam(self, command, file, *arguments, **options):
        return subprocess.Popen(
            ["sam", "local", command, "--template", str(file), "--skip-pull-image", *arguments],
            cwd=template.ROOT,
            stderr=self.log,
            stdout=options.get("stdout", self.log),
        )

    def request(self, method, path, headers=None, body=None, in_base64=False, payload_format="2.0"):
        if payload_format not in self.apis:
            self._start_api(payload_format, self._template(f"local-{payload_format}.yaml", payload_format))
        port, _ = self.apis[payload_format]
        return http(method, f"http://127.0.0.1:{port}{path}", headers, body)

    def invoke(self, function, event):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(event, file)
            file.flush()
            with self._sam("invoke", self.template, function, "--event", file.name, stdout=subprocess.PIPE) as call:
                try:
                    answer, _ = call.communicate(timeout=300)
                except BaseException:
                    call.kill()
                    raise
        if call.returncode != 0:
            raise FunctionError(f"sam local invoke {function} ended with {call.returncode}")
        return checked(answer)

    def close(self):
        for _, process in self.apis.values():
            process.terminate()
        for _, process in self.apis.values():
            stop(process, 60)


class Emulator:
    """One function's own bootstrap under the runtime interface emulator."""

    def __init__(self, function, endpoint, log, binaries, timeout=None):
        properties = template.resources(template.load(), "AWS::Serverless::Function")[function]
        self.function = function
        self.port, runtime_api = free_ports(2)
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_LAMBDA_FUNCTION_NAME": function,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(properties["MemorySize"]),
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout or properties["Timeout"]),
        } | template.function_environment(function, endpoint)
        bootstrap = pathlib.Path(binaries).resolve() / function / "bootstrap"
        self.process = subprocess.Popen(
            # It listens on all interfaces unless it is told both addresses.
            [EMULATOR, "--runtime-interface-emulator-address", f"127.0.0.1:{self.port}",
             "--runtime-api-address", f"127.0.0.1:{runtime_api}", bootstrap, "bootstrap"],
            env=environment, stdout=log, stderr=log, cwd=bootstrap.parent,
        )  # fmt: skip

    def invoke(self, event):
        url = f"http://127.0.0.1:{self.port}/2015-03-31/functions/function/invocations"
        status, _, answer = http("POST", url, {"content-type": "application/json"}, json.dumps(event).encode())
        if status != 200:
            raise FunctionError(f"the invocation of {self.function} ended with {status}: {answer[:500]!r}")
        return checked(answer)

    def kill(self):
        """Kills the function's process, which gets no chance to do anything more; the emulator starts it anew for the next invocation."""
        killed = self._functions()
        for child in killed:
            os.kill(child, signal.SIGKILL)
        assert len(killed) == 1, f"{self.function} had {len(killed)} processes"

    def _functions(self):
        """The processes that the emulator has started."""
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task").iterdir()
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            # An emulator that is killed does not end its function.
            functions = self._functions()
            self.process.kill()
            self.process.wait()
            for function in functions:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(function, signal.SIGKILL)


class EmulatorHub:
    """Each function under an emulator of its own; HTTP requests become events as API Gateway makes them."""

    HOST = "127.0.0.1"
    FORMATS = ("2.0", "1.0")

    def __init__(self, endpoints, log, binaries):
        self.endpoints, self.log, self.binaries = endpoints, log, binaries
        document = template.load()
        self.routes = template.routes(document)
        functions = template.resources(document, "AWS::Serverless::Function")
        self.emulators = {}
        try:
            for name in functions:
                self.emulators[name] = self.emulator(name)
            for emulator in self.emulators.values():
                wait_for_port(emulator.port, emulator.process)
        except BaseException:
            self.close()
            raise

    def emulator(self, function, timeout=None):
        """Another emulator of a function, with a timeout of its own, in seconds; it listens after a moment."""
        return Emulator(function, self.endpoints[function], self.log, self.binaries, timeout)

    def request(self, method, path, headers=None, body=None, in_base64=False, payload_format="2.0"):
        route, pattern, function, parameters = self._route(method, path.partition("?")[0])
        if payload_format == "2.0":
            event = http_event(f"{route} {pattern}", method, path, headers or {}, body or b"", parameters, in_base64)
        else:
            event = rest_event(pattern, method, path, headers or {}, body or b"", parameters, in_base64)
        answer = self.invoke(function, event)
        content = answer.get("body") or ""
        content = base64.b64decode(content) if answer.get("isBase64Encoded") else content.encode()
        answered = {k.lower(): v for k, v in answer.get("headers", {}).items()}
        answered |= {k.lower(): ",".join(v) for k, v in answer.get("multiValueHeaders", {}).items()}
        return answer["statusCode"], answered, content

    def _route(self, method, path):
        for route_method, pattern, function in self.routes:
            prefix, _, parameter = pattern.partition("{")
            parameter = parameter.rstrip("}")
            rest = path.removeprefix(prefix)
            fits = path == pattern if not parameter else path.startswith(prefix) and rest and ("+" in parameter or "/" not in rest)
            if fits and route_method in ("ANY", method):
                parameters = {parameter.rstrip("+"): urllib.parse.unquote(rest)} if parameter else None
                return route_method, pattern, function, parameters
        raise LookupError(f"no route for {method} {path}")

    def invoke(self, function, event):
        return self.emulators[function].invoke(event)

    def close(self):
        for emulator in self.emulators.values():
            emulator.process.terminate()
        for emulator in self.emulators.values():
            emulator.close()


class CargoLambdaHub:
    """`cargo lambda watch` with the routes of Cargo.toml and the variables of tests/lambda.env, `cargo lambda invoke` for the rest. It
    gives one environment to all functions, so that they share an endpoint too."""

    HOST = "127.0.0.1"
    # It knows no other.
    FORMATS = ("2.0",)

    def __init__(self, endpoints, log):
        (endpoint,) = set(endpoints.values())
        self.binaries = template.binaries(template.load())
        self.log = log
        (self.port,) = free_ports(1)
        self.folder = tempfile.TemporaryDirectory()
        variables = template.cargo_lambda_environment() | template.local_environment(endpoint)
        environment = pathlib.Path(self.folder.name) / "env"
        environment.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
        self.process = subprocess.Popen(
            # A template without CORS settings leaves OPTIONS to the functions.
            ["cargo", "lambda", "watch", *self._address(), "--ignore-changes", "--disable-cors", "--env-file", environment],
            cwd=template.ROOT, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            wait_for_port(self.port, self.process)
        except BaseException:
            self.close()
            raise

    def _address(self):
        return "-A", "127.0.0.1", "-P", str(self.port)

    def request(self, method, path, headers=None, body=None, in_base64=False, payload_format="2.0"):
        return http(method, f"http://127.0.0.1:{self.port}{path}", headers, body)

    def invoke(self, function, event):
        file = pathlib.Path(self.folder.name) / "event.json"
        file.write_text(json.dumps(event))
        call = subprocess.run(
            ["cargo", "lambda", "invoke", self.binaries[function], *self._address(), "--data-file", file],
            cwd=template.ROOT, stdout=subprocess.PIPE, stderr=self.log, timeout=60,
        )  # fmt: skip
        if call.returncode != 0:
            raise FunctionError(f"cargo lambda invoke {self.binaries[function]} ended with {call.returncode}")
        return checked(call.stdout)

    def close(self):
        self._signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self.process.wait()
        self.folder.cleanup()

    def _signal(self, number):
        """Sends a signal to it and to the functions that it started, as far as they are still there."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
