"""Reads template.yaml for the scripts of this folder: makes its tables in a local DynamoDB, and says what environment its functions get.

    template.py tables ENDPOINT                  makes every table, named by its logical id
    template.py local ENDPOINT < IN > OUT        the template, its functions pointed at a local DynamoDB (for `sam local`)
    template.py binaries                         the functions' binaries, as options of cargo
    template.py built LAMBDA SAM                 whether both folders, cargo-lambda's and SAM's, hold the same functions
    template.py check                            whether Cargo.toml and tests/lambda.env, which cargo-lambda reads, say what the template says
"""

import filecmp
import pathlib
import re
import sys
import tomllib

import boto3
from samcli.yamlhelper import yaml_dump, yaml_parse

ROOT = pathlib.Path(__file__).resolve().parents[2]

# What DynamoDB's CreateTable takes of a table's properties in CloudFormation.
CREATE_TABLE = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes")


def load():
    """The template of the repository, its intrinsic functions in their long form."""
    return yaml_parse((ROOT / "template.yaml").read_text())


def resources(template, kind):
    """The resources of a kind: logical id and properties."""
    return {name: r.get("Properties", {}) for name, r in template["Resources"].items() if r["Type"] == kind}


def client(service, endpoint):
    """A client of a local DynamoDB, which takes any credentials."""
    return boto3.client(
        service, endpoint_url=endpoint, region_name="eu-central-1", aws_access_key_id="local", aws_secret_access_key="local"
    )


def create_tables(endpoint):
    """Makes the template's tables; each is named by its logical id, which is also what `!Ref` gives under `sam local`."""
    dynamodb = client("dynamodb", endpoint)
    tables = resources(load(), "AWS::DynamoDB::Table")
    for name, properties in tables.items():
        wanted = {key: properties[key] for key in CREATE_TABLE if key in properties}
        if "StreamSpecification" in properties:
            wanted["StreamSpecification"] = {"StreamEnabled": True, **properties["StreamSpecification"]}
        dynamodb.create_table(TableName=name, **wanted)
    return list(tables)


def local_environment(endpoint):
    """What a function needs beside its own environment to run on one machine."""
    return {
        "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
        # The proxy of tests/scripts/policies.py stands for the bucket too.
        "AWS_ENDPOINT_URL_S3": endpoint,
        # Deliveries may go to plain http on a private address: the sink of the test.
        "HOOKLINE_ALLOW_PRIVATE_DESTINATIONS": "1",
        # Off by default, since CloudWatch bills them.
        "EMBEDDED_METRICS": "enabled",
    }


def function_environment(name, endpoint):
    """A function's environment as the template gives it: tables by logical id, parameters by their defaults."""
    template = load()
    own = resources(template, "AWS::Serverless::Function")[name]["Environment"]["Variables"]
    shared = template["Globals"]["Function"]["Environment"]["Variables"]
    parameters = template["Parameters"]

    def value(v):
        if isinstance(v, dict):
            target = v["Ref"]
            return str(parameters[target]["Default"]) if target in parameters else target
        return str(v)

    return {key: value(v) for key, v in {**shared, **own}.items()} | local_environment(endpoint)


# What `sam local` is to take for bytes. A deployed HTTP API finds out by itself.
BINARY_TYPES = ["application/octet-stream", "application/gzip"]


def local_template(text, endpoints, payload_format=None):
    """`sam local` passes on only variables that the template names, so that they have to stand in it. Each function may have an endpoint
    of its own, and the HTTP API another payload format than the template's."""
    template = yaml_parse(text)
    for name, properties in resources(template, "AWS::Serverless::Function").items():
        properties["Environment"]["Variables"].update(local_environment(endpoints[name]))
        for event in properties.get("Events", {}).values():
            if event["Type"] == "HttpApi" and payload_format:
                event["Properties"]["PayloadFormatVersion"] = payload_format
    for properties in resources(template, "AWS::Serverless::HttpApi").values():
        properties["DefinitionBody"] = {
            "openapi": "3.0.1",
            "info": {"title": "Hookline", "version": "1"},
            "paths": {},
            "x-amazon-apigateway-binary-media-types": BINARY_TYPES,
        }
    return yaml_dump(template)


def binaries(template):
    """The functions and the binary of each."""
    functions = {n: r for n, r in template["Resources"].items() if r["Type"] == "AWS::Serverless::Function"}
    return {name: function["Metadata"]["BuildProperties"]["Binary"] for name, function in functions.items()}


def routes(template):
    """The routes of the HTTP API: method, path and function."""
    return [
        (event["Properties"]["Method"], event["Properties"]["Path"], function)
        for function, properties in resources(template, "AWS::Serverless::Function").items()
        for event in properties.get("Events", {}).values()
        if event["Type"] == "HttpApi"
    ]


def router(template):
    """The template's routes as cargo-lambda writes them: a greedy parameter is `{*name}`. It asks for no method."""
    names = binaries(template)
    return {re.sub(r"\{(\w+)\+\}", r"{*\1}", path): names[function] for _, path, function in routes(template)}


def cargo_lambda_environment():
    """What tests/lambda.env sets."""
    lines = (ROOT / "tests/lambda.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def check_cargo_lambda(template):
    """Fails where what cargo-lambda reads differs from the template."""
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text())
    written = cargo["workspace"]["metadata"]["lambda"]["watch"]["router"]
    wanted = router(template)
    assert written == wanted, f"[workspace.metadata.lambda.watch.router] in Cargo.toml is {written}, template.yaml has {wanted}"
    stores = {**resources(template, "AWS::DynamoDB::Table"), **resources(template, "AWS::S3::Bucket")}
    variables = [v for f in resources(template, "AWS::Serverless::Function").values() for v in f["Environment"]["Variables"].items()]
    needed = {name for name, value in variables if isinstance(value, dict) and value["Ref"] in stores}
    missing = needed - cargo_lambda_environment().keys()
    assert not missing, f"tests/lambda.env does not name {missing}"


def main(arguments):
    match arguments:
        case ["tables", endpoint]:
            print("made", *create_tables(endpoint))
        case ["local", endpoint]:
            functions = resources(load(), "AWS::Serverless::Function")
            sys.stdout.write(local_template(sys.stdin.read(), dict.fromkeys(functions, endpoint)))
        case ["binaries"]:
            print(*(f"--bin={name}" for name in binaries(load()).values()))
        case ["built", lambda_folder, sam_folder]:
            for function, binary in binaries(load()).items():
                files = (pathlib.Path(lambda_folder) / binary / "bootstrap", pathlib.Path(sam_folder) / function / "bootstrap")
                if not filecmp.cmp(*files, shallow=False):
                    sys.exit(f"{files[0]} and {files[1]} differ")
        case ["check"]:
            check_cargo_lambda(load())
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
