"""Two ways to run the functions as Lambda runs them: under `sam local` in containers, and under the runtime interface emulator as plain
processes. Both answer `request` (HTTP) and `invoke` (a direct invocation)."""

import base64
import json
import os
import pathlib
import subprocess
import tempfile
import urllib.parse

import samcli
import template
from lambda_events import http_event
from net import free_ports, http, wait_for_port

# The emulator that SAM puts into its containers.
EMULATOR = pathlib.Path(samcli.__file__).parent / "local/rapid/aws-lambda-rie-x86_64"


class FunctionError(Exception):
    """An invocation that ended with an error."""


def checked(answer):
    """An invocation's result, when it is none of Lambda's error documents."""
    result = json.loads(answer) if answer.strip() else None
    if isinstance(result, dict) and "errorMessage" in result:
        raise FunctionError(result)
    return result


class SamHub:
    """`sam local start-api` for HTTP, `sam local invoke` for the rest."""

    # Where a container finds this machine.
    HOST = "172.17.0.1"

    def __init__(self, endpoints, log):
        build = template.ROOT / ".aws-sam/build"
        self.template = build / "local.yaml"
        self.template.write_text(template.local_template((build / "template.yaml").read_text(), endpoints))
        self.log = log
        (self.port,) = free_ports(1)
        self.api = self._sam("start-api", "--host", "127.0.0.1", "--port", str(self.port), "--warm-containers", "LAZY")
        wait_for_port(self.port, self.api)

    def _sam(self, command, *arguments, **options):
        return subprocess.Popen(
            ["sam", "local", command, "--template", str(self.template), "--skip-pull-image", *arguments],
            cwd=template.ROOT,
            stderr=self.log,
            stdout=options.get("stdout", self.log),
        )

    def request(self, method, path, headers=None, body=None, in_base64=False):
        return http(method, f"http://127.0.0.1:{self.port}{path}", headers, body)

    def invoke(self, function, event):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(event, file)
            file.flush()
            call = self._sam("invoke", function, "--event", file.name, stdout=subprocess.PIPE)
            answer, _ = call.communicate(timeout=300)
        if call.returncode != 0:
            raise FunctionError(f"sam local invoke {function} ended with {call.returncode}")
        return checked(answer)

    def close(self):
        self.api.terminate()
        self.api.wait(60)


class EmulatorHub:
    """Each function's own bootstrap under the runtime interface emulator; HTTP requests become events as the HTTP API makes them."""

    HOST = "127.0.0.1"

    def __init__(self, endpoints, log, binaries):
        self.routes = []
        self.processes = {}
        self.ports = {}
        for function, properties in template.resources(template.load(), "AWS::Serverless::Function").items():
            for event in properties.get("Events", {}).values():
                if event["Type"] == "HttpApi":
                    self.routes.append((event["Properties"]["Method"], event["Properties"]["Path"], function))
            self._start(function, properties, endpoints[function], log, binaries)
        for function, port in self.ports.items():
            wait_for_port(port, self.processes[function])

    def _start(self, function, properties, endpoint, log, binaries):
        port, runtime_api = free_ports(2)
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_LAMBDA_FUNCTION_NAME": function,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(properties["MemorySize"]),
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(properties["Timeout"]),
        } | template.function_environment(function, endpoint)
        bootstrap = pathlib.Path(binaries).resolve() / function / "bootstrap"
        self.processes[function] = subprocess.Popen(
            # It listens on all interfaces unless it is told both addresses.
            [EMULATOR, "--runtime-interface-emulator-address", f"127.0.0.1:{port}",
             "--runtime-api-address", f"127.0.0.1:{runtime_api}", bootstrap, "bootstrap"],
            env=environment, stdout=log, stderr=log, cwd=bootstrap.parent,
        )  # fmt: skip
        self.ports[function] = port

    def request(self, method, path, headers=None, body=None, in_base64=False):
        route, function, parameters = self._route(method, path.partition("?")[0])
        answer = self.invoke(function, http_event(route, method, path, headers or {}, body or b"", parameters, in_base64))
        content = answer.get("body") or ""
        content = base64.b64decode(content) if answer.get("isBase64Encoded") else content.encode()
        return answer["statusCode"], {k.lower(): v for k, v in answer.get("headers", {}).items()}, content

    def _route(self, method, path):
        for route_method, pattern, function in self.routes:
            prefix, _, parameter = pattern.partition("{")
            parameter = parameter.rstrip("}")
            rest = path.removeprefix(prefix)
            fits = path == pattern if not parameter else path.startswith(prefix) and rest and ("+" in parameter or "/" not in rest)
            if fits and route_method in ("ANY", method):
                parameters = {parameter.rstrip("+"): urllib.parse.unquote(rest)} if parameter else None
                return f"{route_method} {pattern}", function, parameters
        raise LookupError(f"no route for {method} {path}")

    def invoke(self, function, event):
        url = f"http://127.0.0.1:{self.ports[function]}/2015-03-31/functions/function/invocations"
        status, _, answer = http("POST", url, {"content-type": "application/json"}, json.dumps(event).encode())
        if status != 200:
            raise FunctionError(f"the invocation of {function} ended with {status}: {answer[:500]!r}")
        return checked(answer)

    def close(self):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(30)
