"""Reads template.yaml for the scripts of this folder: makes its tables in a local DynamoDB, and says what environment its functions get.

    template.py tables ENDPOINT                  makes every table, named by its logical id
    template.py local ENDPOINT < IN > OUT        the template, its functions pointed at a local DynamoDB (for `sam local`)
"""

import pathlib
import sys

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


def local_template(text, endpoints):
    """`sam local` passes on only variables that the template names, so that they have to stand in it. Each function may have an endpoint
    of its own."""
    template = yaml_parse(text)
    for name, properties in resources(template, "AWS::Serverless::Function").items():
        properties["Environment"]["Variables"].update(local_environment(endpoints[name]))
    return yaml_dump(template)


def main(arguments):
    match arguments:
        case ["tables", endpoint]:
            print("made", *create_tables(endpoint))
        case ["local", endpoint]:
            functions = resources(load(), "AWS::Serverless::Function")
            sys.stdout.write(local_template(sys.stdin.read(), dict.fromkeys(functions, endpoint)))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
