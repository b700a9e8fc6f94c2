#!/usr/bin/env python3
"""Which lines of the supervisor do the tests run?

    cargo install llvm_profparser --locked
    python3 tests/coverage.py [--report]

Builds that one crate with rustc's own counters, in target/coverage, and runs all tests of the
workspace: most of the supervisor is tested by living daemons. The counters lie in files that are
mapped into memory, so that also what a `kill -9` ends is counted. Then it prints the files with
the most lines that nothing ran, and the share of all; tests and fakes are not counted.
`--report` only reads what a former run has left.
"""

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "coverage"
COUNTS = TARGET / "counts"
SOURCE = ROOT / "supervisor/src"
WRAPPER = """#!/bin/sh
rustc=$1
shift
case " $* " in
*" --crate-name supervisor "*)
    exec "$rustc" "$@" -C instrument-coverage -C llvm-args=-runtime-counter-relocation ;;
esac
# What is linked with it must bring the part that writes the counters.
exec "$rustc" "$@" -C link-arg=-Wl,-u,__llvm_profile_runtime
"""
# Files that are tests, or fakes for them.
OF_TESTS = re.compile(r"(^|/)(tests|table|races|testing|simulation)(\.rs$|/)")
TESTS_BEGIN = re.compile(r"^#\[cfg\(test\)\]\nmod \w+ \{", re.MULTILINE)
LINE = re.compile(r"^\s*(\d+)\|\s*([\d.]+[kMGT]?)\|")
SHOWN = 30


def main():
    if "--report" not in sys.argv:
        COUNTS.mkdir(parents=True, exist_ok=True)
        for old in COUNTS.iterdir():
            old.unlink()
        cargo([])
    programs = executables()
    print(report(programs))


def cargo(more):
    wrapper = TARGET / "wrapper.sh"
    wrapper.write_text(WRAPPER)
    wrapper.chmod(0o755)
    env = {**os.environ, "CARGO_TARGET_DIR": str(TARGET), "RUSTC_WORKSPACE_WRAPPER": str(wrapper),
           "LLVM_PROFILE_FILE": f"{COUNTS}/%m%c.profraw"}
    words = ["cargo", "test", "--workspace", "--locked", "--no-fail-fast", *more]
    return subprocess.run(words, cwd=ROOT, env=env, text=True,
                          stdout=subprocess.PIPE if more else None).stdout


def executables():
    """All that was built from the crate: its own tests, and those of the binary."""
    told = cargo(["--no-run", "--message-format=json"])
    messages = (json.loads(line) for line in told.splitlines() if line.startswith("{"))
    return {one["executable"] for one in messages if one.get("executable")}


def ran(programs):
    """For each file: the numbers of its lines that could run, and whether they did."""
    seen = defaultdict(dict)
    counts = [word for one in COUNTS.glob("*.profraw") for word in ("--instr-profile", str(one))]
    for program in programs:
        told = subprocess.run(["cov", "show", *counts, "--object", program], capture_output=True,
                              text=True, errors="replace").stdout
        file = None
        for line in told.splitlines():
            if line.startswith("/"):
                file = Path(line.strip())
            elif (found := LINE.match(line)) and file and file.is_relative_to(SOURCE):
                number = int(found[1])
                seen[file][number] = seen[file].get(number, False) or found[2] != "0"
    return seen


def report(programs):
    rows, could, did = [], 0, 0
    for file, lines in ran(programs).items():
        name = str(file.relative_to(SOURCE))
        if OF_TESTS.search(name):
            continue
        text = file.read_text()
        begin = TESTS_BEGIN.search(text)
        last = text[:begin.start()].count("\n") if begin else len(text)
        lines = {number: hit for number, hit in lines.items() if number <= last}
        missed = sorted(number for number, hit in lines.items() if not hit)
        rows.append((len(missed), len(lines), name, missed))
        could, did = could + len(lines), did + len(lines) - len(missed)
    rows.sort(reverse=True)
    shown = [f"{missed:5} of {lines:4}  {name}  {numbers[:8]}" for missed, lines, name, numbers
             in rows[:SHOWN]]
    share = f"{did} of {could} lines in {len(rows)} files: {did / max(could, 1):.1%}"
    return "\n".join([*shown, share])


if __name__ == "__main__":
    main()
