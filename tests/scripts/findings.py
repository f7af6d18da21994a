"""Holds template.yaml to cfn-lint, with its informational rules, and to checkov. None may find anything that is not answered, by a comment
`checkov:skip=<check>:<reason>` in the resource; each must find something in a spoiled copy; and no answer may be left that nothing asks for.

    findings.py FOLDER       FOLDER has the programs cfn-lint and checkov
"""

import contextlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import template

ANSWER = re.compile(r" *# checkov:skip=(\w+):(.*)\n")
# What is changed in a copy, and the rule that must find it.
SPOILED_FOR_CFN_LINT = [
    ("MemorySize: 512", "MemorySizes: 512", "E3002"),
    ("!Ref ReceiveLogGroup}", "!Ref ReceiveLogs}", "E1020"),
    ("    DeletionPolicy: Delete\n", "", "I3011"),
]
SPOILED_FOR_CHECKOV = [("BlockPublicAcls: true", "BlockPublicAcls: false", "CKV_AWS_53")]


def spoiled(text, changes):
    """A copy with all changes, each of which must change something."""
    for old, new, _ in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


@contextlib.contextmanager
def written(text):
    """A file with the text."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "template.yaml"
        file.write_text(text)
        yield file


def cfn_lint(folder, text):
    """The rules by which cfn-lint finds something, with what it says."""
    with written(text) as file:
        run = subprocess.run([folder / "cfn-lint", "-c", "I", "--format", "json", "-t", file], capture_output=True, text=True)
    # Its exit status is a sum of bits for errors, warnings and hints; 1 is trouble of its own.
    assert run.returncode != 1, run.stderr
    return [(f["Rule"]["Id"], f"line {f['Location']['Start']['LineNumber']}: {f['Message']}") for f in json.loads(run.stdout)]


def checkov(folder, text):
    """What checkov finds, and what of that is answered: sets of checks and resources."""
    with written(text) as file:
        command = [folder / "checkov", "-f", file, "--framework", "cloudformation", "secrets", "--skip-download", "-o", "json"]
        run = subprocess.run(command, capture_output=True, text=True)
    reports = json.loads(run.stdout)
    reports = reports if isinstance(reports, list) else [reports]
    assert any(r["summary"]["passed"] for r in reports), run.stdout + run.stderr
    found = {kind: {(c["check_id"], c["resource"]) for r in reports for c in r["results"][kind]} for kind in ("failed_checks", "skipped_checks")}
    return found["failed_checks"], found["skipped_checks"]


def problems(folder, text):
    """Everything that is wrong, check by check."""
    yield "cfn-lint", [f"{rule} {message}" for rule, message in cfn_lint(folder, text)]
    missed = [rule for old, new, rule in SPOILED_FOR_CFN_LINT if rule not in dict(cfn_lint(folder, spoiled(text, [(old, new, rule)])))]
    yield "cfn-lint on spoiled copies", [f"{rule} finds nothing" for rule in missed]
    failed, answered = checkov(folder, text)
    yield "checkov", [f"{check} on {resource} is neither mended nor answered" for check, resource in sorted(failed)]
    short = [check for check, reason in ANSWER.findall(text) if len(reason.split()) < 5]
    yield "reasons", [f"{check} is answered without a reason" for check in short]
    bare, _ = checkov(folder, spoiled(ANSWER.sub("", text), SPOILED_FOR_CHECKOV))
    found = {check for check, _ in bare - answered}
    wanted = {check for _, _, check in SPOILED_FOR_CHECKOV}
    yield "checkov on a spoiled copy", [f"{check} finds nothing" for check in wanted - found]
    yield "answers", [f"nothing asks for the answer to {check} on {resource}" for check, resource in sorted(answered - bare)]


def main(arguments):
    if len(arguments) != 1:
        sys.exit(__doc__)
    text = (template.ROOT / "template.yaml").read_text()
    passed = failed = 0
    for name, found in problems(pathlib.Path(arguments[0]), text):
        for problem in found:
            print(f"  FAILED {name}: {problem}")
        if found:
            failed += 1
        else:
            passed += 1
            print(f"  ok {name}", flush=True)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
