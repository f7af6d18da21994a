"""Runs the tour of README.md as a newcomer would, command by command against a hub of this machine, and holds what comes back against what
stands there: the same lines, the same JSON members, the same values but for what differs with each run (ids, secrets, times, durations).

    readme.py LOCAL            checks; LOCAL is the binary of `local`
    readme.py LOCAL --update   writes what came back into README.md

An id that README.md shows is remembered with the one that took its place in this run, so that later commands name what is really there. A
command whose answer is not as it should be yet is run again until it is, or a deadline passes: what it asks about comes in the background."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
# A replay waits until what is new has settled, and for the minute's tick.
DEADLINE = 150

# What differs with each run. (A key's prefix is the beginning of a secret.)
VARIES = [
    re.compile(pattern)
    for pattern in (
        r"(?:src|rcp|wh|key|aud|job|org)_[0-9A-HJKMNP-TV-Z]{26}",
        r"evt_[0-9a-f]{40}",
        r"msg_[0-9a-f]{24,}",
        r"(?:whsec|whsk|hk|in)_[A-Za-z0-9_+/=-]{4,}",
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z",
        r"\b[0-9a-f]{32}\b",
    )
]
# Members whose values differ, whatever they are.
VARYING_MEMBERS = {"durationMs", "lastUsed", "next"}


class Shell:
    """A shell that stays, as the newcomer's does: variables and functions are there for the next command."""

    def __init__(self, environment):
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"], cwd=ROOT, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, command):
        """What a command prints."""
        end = "end-of-the-command"
        self.process.stdin.write(f"{command}\nprintf '\\n{end}\\n'\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.rstrip("\n") == end:
                return "".join(lines).strip("\n")
            lines.append(line)
        raise RuntimeError(f"the shell ended with: {command}")


class Tour:
    """The blocks of README.md, and what this run has in the place of what they show."""

    def __init__(self, shell):
        self.shell = shell
        self.known = {}
        self.token = ""
        self.steps = 0

    def translate(self, text):
        for shown, present in self.known.items():
            text = text.replace(shown, present)
        return text

    def block(self, text):
        """A block of commands with what they print; as it came out this time."""
        told = []
        for command, shown in commands(text):
            deadline = time.monotonic() + DEADLINE
            while True:
                # An ingest token that is not written out is the one that was shown last.
                printed = self.shell.run(self.translate(command).replace("in_…", self.token))
                self.token = next(iter(re.findall(r"in_[A-Za-z0-9_-]{32}", printed)), self.token)
                trouble = self.compare(shown, printed)
                # What asks can be asked again.
                only_asks = not re.search(r" (-d|-X|send) ", command)
                if trouble is None or not only_asks or time.monotonic() > deadline:
                    break
                time.sleep(0.05)
            if trouble is not None:
                raise SystemExit(f"README.md: {command}\n  {trouble}\nshown:   {shown}\nprinted: {printed}")
            self.steps += 1
            # What is left out stays left out.
            printed = self.translate(shown) if "…" in shown else printed
            told.append(f"$ {self.translate(command)}\n" + (f"{printed}\n" if shown else ""))
        return "".join(told)

    def compare(self, shown, printed):
        """What is not as it is shown; `None` when all is."""
        if not shown:
            # Nothing is said of it but that it works: an error of the API would be a problem.
            return f"it is refused: {printed}" if '"urn:hookline:problem:' in printed else None
        shown_lines, printed_lines = shown.splitlines(), printed.splitlines()
        if shown_lines[-1] == "…":
            shown_lines.pop()
            del printed_lines[len(shown_lines) :]
        if len(shown_lines) != len(printed_lines):
            return "other lines"
        pairs = {}
        if shown.startswith("{\n"):
            trouble = differs(json.loads(shown), json.loads(printed), "", pairs)
            self.known.update(pairs if trouble is None else {})
            return trouble
        for shown_line, printed_line in zip(shown_lines, printed_lines):
            trouble = self.compare_line(shown_line, printed_line, pairs)
            if trouble is not None:
                return trouble
        self.known.update(pairs)
        return None

    def compare_line(self, shown, printed, pairs):
        if "…" in shown:
            return None if elided(shown, pairs, printed) else f"another line: {printed}"
        if shown.startswith(("{", "[")):
            try:
                return differs(json.loads(shown), json.loads(printed), "", pairs)
            except json.JSONDecodeError as error:
                return f"no JSON: {error}"
        return None if plain(shown, pairs, printed) else f"another line: {printed}"


def plain(shown, pairs, printed):
    """Whether two texts are the same but for what varies."""
    for pattern in VARIES:
        pairs.update(dict(zip(pattern.findall(shown), pattern.findall(printed))))
        shown, printed = pattern.sub("*", shown), pattern.sub("*", printed)
    numbers = re.compile(r"\d+(?:\.\d+)?(?= ms)")
    return re.sub(r" +", " ", numbers.sub("*", shown)) == re.sub(r" +", " ", numbers.sub("*", printed))


def elided(shown, pairs, printed):
    """The same of a line that leaves something out. Of its ids the first is remembered: of the others it is not known which is which."""
    for pattern in VARIES:
        pairs.update(dict(list(zip(pattern.findall(shown), pattern.findall(printed)))[:1]))
        shown, printed = pattern.sub("*", shown), pattern.sub("*", printed)
    # A secret whose rest is left out, and all of it.
    shown = re.sub(r"(?:whsec|hk|in)_…", "*", shown)
    return re.fullmatch(".*".join(map(re.escape, shown.split("…"))), printed) is not None


def differs(shown, printed, at, pairs):
    """Where two JSON values differ in more than what varies; `None` where they do not."""
    if type(shown) is not type(printed):
        return None if at.rpartition("/")[2] in VARYING_MEMBERS else f"{at}: {printed!r}"
    if isinstance(shown, dict):
        if list(shown) != list(printed):
            return f"{at}: members {list(printed)}"
        return next((d for name in shown if (d := differs(shown[name], printed[name], f"{at}/{name}", pairs)) is not None), None)
    if isinstance(shown, list):
        if len(shown) != len(printed):
            return f"{at}: {len(printed)} entries"
        return next((d for i, (a, b) in enumerate(zip(shown, printed)) if (d := differs(a, b, f"{at}/{i}", pairs)) is not None), None)
    if at.rpartition("/")[2] in VARYING_MEMBERS:
        return None
    if isinstance(shown, str):
        return None if plain(shown, pairs, printed) else f"{at}: {printed!r}"
    return None if shown == printed else f"{at}: {printed!r}"


def commands(block):
    """The commands of a console block, each with the lines that it prints."""
    command, shown = None, []
    for line in block.splitlines():
        if command is not None and command.endswith("\\") and not shown:
            command += "\n" + line
        elif line.startswith("$ "):
            if command is not None:
                yield command, "\n".join(shown)
            command, shown = line[2:], []
        else:
            shown.append(line)
    if command is not None:
        yield command, "\n".join(shown)


def wait_for(process, url):
    deadline = time.monotonic() + DEADLINE
    while subprocess.run(["curl", "-s", "-o", "/dev/null", url]).returncode != 0:
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("the hub did not start")
        time.sleep(0.05)


def main(arguments):
    local, update = pathlib.Path(arguments[0]).resolve(), "--update" in arguments
    text = README.read_text()
    begin, end = text.index("## A tour in two minutes"), text.index("## Deploy")
    with tempfile.TemporaryDirectory() as folder:
        hub = subprocess.Popen([local, "--data", folder], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            key = next(found[0] for line in hub.stdout if (found := re.findall(r"hk_[A-Za-z0-9_-]{43}", line)))
            wait_for(hub, "http://127.0.0.1:8080/v1/sources")
            # `cargo run -p local -- …` of the tour is this binary, with this hub's folder.
            environment = os.environ | {"HOOKLINE_TOUR_KEY": key}
            shell = Shell(environment)
            shell.run(f"cargo() {{ shift 4; if [[ $1 == -- ]]; then shift; fi; '{local}' --data '{folder}' \"$@\"; }}")
            shell.run(f"KEY={key} H=http://127.0.0.1:8080")
            tour = Tour(shell)
            block = re.compile(r"```console\n(.*?)```", re.S)
            told = block.sub(lambda found: f"```console\n{tour.block(found[1])}```", text[begin:end])
        finally:
            hub.send_signal(signal.SIGINT)
            hub.wait(timeout=DEADLINE)
    if update:
        README.write_text(text[:begin] + told + text[end:])
    print(f"{tour.steps} passed, 0 failed")


if __name__ == "__main__":
    main(sys.argv[1:])
