"""Tries docs/deploy/built_for.py on folders that look like SAM's, and on a samconfig.toml as `sam deploy --guided` writes it.

    built_for_check.py
"""

import pathlib
import re
import subprocess
import sys
import tempfile

from samcli.commands.deploy.guided_config import GuidedConfig
from samcli.lib.config.samconfig import SamConfig

ROOT = pathlib.Path(__file__).resolve().parents[2]
MACHINES = {"x86_64": 62, "arm64": 183, "another machine": 243}


def build(folder, machines):
    """Functions, each of which is nothing but the head of an executable."""
    for number, name in enumerate(machines):
        file = folder / f".aws-sam/build/Function{number}/bootstrap"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"#!/bin/sh\n" if name == "no Linux" else b"\x7fELF".ljust(18, b"\x02") + MACHINES[name].to_bytes(2, "little") + bytes(44))


def guided(folder, architecture):
    """The repository's samconfig.toml, with what `sam deploy --guided` saves in it."""
    text = (ROOT / "samconfig.toml").read_text()
    (folder / "samconfig.toml").write_text(text)
    saved = {"PublicUrl": {"Value": "", "Hidden": False}, "Architecture": {"Value": architecture, "Hidden": False}}
    config = SamConfig(str(folder))
    GuidedConfig("template.yaml", "parameters")._save_parameter_overrides(["deploy"], "default", saved, config)
    config.flush()
    assert re.search(f"Architecture=.*{architecture}", (folder / "samconfig.toml").read_text())


def main():
    # What is built, what was saved, what is asked for: the status, and words of the answer.
    cases = [
        ([], None, [], 1, "nothing is built"),
        (["x86_64", "x86_64"], None, [], 0, "2 functions are built for x86_64"),
        (["arm64"], None, [], 1, "Function0 is built for arm64, and x86_64 is wanted"),
        (["arm64"], None, ["arm64"], 0, "1 functions are built for arm64"),
        (["arm64", "x86_64"], None, ["arm64"], 1, "Function1 is built for x86_64, and arm64 is wanted"),
        (["x86_64"], "arm64", [], 1, "Function0 is built for x86_64, and arm64 is wanted"),
        (["arm64"], "arm64", [], 0, "1 functions are built for arm64"),
        (["x86_64"], "x86_64", [], 0, "1 functions are built for x86_64"),
        (["no Linux"], None, [], 1, "is built for no Linux"),
        (["another machine"], None, [], 1, "is built for another machine"),
    ]
    for machines, saved, given, status, words in cases:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            build(folder, machines)
            if saved:
                guided(folder, saved)
            command = [sys.executable, ROOT / "docs/deploy/built_for.py", *given, "--in", folder]
            run = subprocess.run(command, capture_output=True, text=True)
        assert (run.returncode, words in run.stdout + run.stderr) == (status, True), (machines, saved, given, run)
    print("  ok docs/deploy/built_for.py")
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()
