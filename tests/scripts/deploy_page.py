"""Runs the first webhook of docs/DEPLOY.md, its commands as they stand there, against a hub on this machine in the place of the deployed one.

    deploy_page.py LOCAL       LOCAL is the binary of `local`
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from local_hub import LocalHub

ROOT = pathlib.Path(__file__).resolve().parents[2]
BEGIN = "<!-- checked: tests/scripts/deploy_page.py"
# In seconds: all of it takes one or two.
DEADLINE = 60


def blocks():
    """The commands of the checked part, block by block, but for the one that needs a destination on the internet."""
    page = (ROOT / "docs/DEPLOY.md").read_text()
    part = page[page.index(BEGIN) :].partition("\n## ")[0]
    found = re.findall(r"^```sh\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)
    return [block for block in found if "smoke.py" not in block]


def main(arguments):
    if len(arguments) != 1:
        sys.exit(__doc__)
    local = pathlib.Path(arguments[0]).resolve()
    commands = blocks()
    assert len(commands) == 3, commands
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder) / "data"
        hub = LocalHub(local, data)
        try:
            order = json.dumps({"action": "createOrganization", "name": "Example"})
            made = subprocess.run([local, "--data", data, "operate", order], check=True, capture_output=True, text=True, timeout=DEADLINE)
            environment = os.environ | {
                "H": hub.url,
                "DESTINATION": hub.sink,
                "KEY": json.loads(made.stdout)["adminKey"],
            }
            done = subprocess.run(
                ["bash", "-eu", "-o", "pipefail", "-c", "\n".join(commands)],
                env=environment, capture_output=True, text=True, timeout=DEADLINE,
            )  # fmt: skip
        finally:
            hub.close()
    assert done.returncode == 0, done.stdout + done.stderr
    decoder = json.JSONDecoder()
    webhook, end = decoder.raw_decode(done.stdout)
    assert webhook["secret"].startswith("whsec_"), done.stdout
    delivery = json.loads(done.stdout[end:])
    assert (delivery["status"], delivery["webhook"], delivery["attempts"][0]["status"]) == ("delivered", webhook["id"], 200), delivery
    print("  ok the first webhook of docs/DEPLOY.md is delivered")
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main(sys.argv[1:])
