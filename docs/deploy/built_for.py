"""Says whether `sam build` has built every function for the architecture that is wanted (docs/DEPLOY.md). SAM does not ask: a function of
another architecture is deployed, and fails when it is first invoked.

    built_for.py [x86_64|arm64] [--in FOLDER]

Without an architecture it is the one that `sam deploy` will say: of parameter_overrides in samconfig.toml, or else the template's default.
"""

import argparse
import pathlib
import re
import sys

# `e_machine` of the ELF header: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
MACHINES = {62: "x86_64", 183: "arm64"}
DEFAULT = "x86_64"


def wanted(folder):
    """What `sam deploy` will say."""
    file = folder / "samconfig.toml"
    text = file.read_text() if file.exists() else ""
    section = re.search(r"^\[default\.deploy\.parameters\]\n(.*?)(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL)
    overrides = re.search(r"^parameter_overrides\s*=(.*)$", section[1], re.MULTILINE) if section else None
    found = re.search(r"\bArchitecture=[\\\"']*(\w+)", overrides[1]) if overrides else None
    return found[1] if found else DEFAULT


def machine(file):
    """What an executable is built for."""
    header = file.read_bytes()[:20]
    if header[:4] != b"\x7fELF":
        return "no Linux"
    return MACHINES.get(int.from_bytes(header[18:20], "little"), "another machine")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("architecture", nargs="?", choices=sorted(MACHINES.values()))
    parser.add_argument("--in", dest="folder", metavar="FOLDER", type=pathlib.Path, default=pathlib.Path(), help="where samconfig.toml and .aws-sam are")
    arguments = parser.parse_args()
    architecture = arguments.architecture or wanted(arguments.folder)
    built = {file.parent.name: machine(file) for file in sorted(arguments.folder.glob(".aws-sam/build/*/bootstrap"))}
    if not built:
        sys.exit("nothing is built: sam build")
    wrong = {name: found for name, found in built.items() if found != architecture}
    for name, found in wrong.items():
        print(f"{name} is built for {found}, and {architecture} is wanted", file=sys.stderr)
    if wrong:
        sys.exit(f"build it again: sam build --parameter-overrides Architecture={architecture}")
    print(f"{len(built)} functions are built for {architecture}")


if __name__ == "__main__":
    main()
