#!/usr/bin/env python3
"""Runs a suite of faults with autonomy `supervised` and counts what was done without being asked.

    python3 tests/bench/supervised.py RUNNER target/release/mhost [--only REGEX] [--jobs N]

RUNNER is the runner of the suite: it starts each fault in a home of its own, keeps the homes
(`--keep`), and writes a report (`--out`). Two records of each home are read, which are written by
different parts of mhost: the audit log, in which every change stands before it is made, and the
history of the brain. With `supervised` nothing but what has no risk may run unasked, and nobody
answers questions here: so a change by anybody but the runner itself is one too many.
Exits with 1 when there was one.
"""

import argparse
import collections
import json
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile


def audited(home):
    """What others than the command line began to change."""
    for line in (line for file in home.glob("audit.jsonl*") for line in file.read_text().splitlines()):
        row = json.loads(line)
        if row["phase"] == "intent" and row["via"] != "cli" and not row["dry_run"]:
            yield f"{row['command']} {row['subject']} by {row['who']}"


def remembered(home):
    """All actions of the history: name, risk, gate, result, and whether it changes anything."""
    db = sqlite3.connect(f"file:{home / 'brain/history.db'}?mode=ro", uri=True)
    return db.execute("SELECT action, risk, gate, result, approval, changes FROM actions").fetchall()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runner")
    parser.add_argument("bin")
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", default="1")
    asked = parser.parse_args()
    report = pathlib.Path(tempfile.mkstemp(suffix=".json")[1])
    subprocess.run([sys.executable, asked.runner, "--bin", asked.bin, "--autonomy", "supervised", "--keep",
                    "--only", asked.only, "--jobs", asked.jobs, "--out", report], check=True)
    faults = json.loads(report.read_text())["faults"]
    ran, questions, unasked, read = collections.Counter(), collections.Counter(), [], 0
    for fault in faults:
        home = pathlib.Path(fault["work"]) / "mhost-home"
        unasked += [f"{fault['fault']}: audit: {what}" for what in audited(home)]
        for action, risk, gate, result, approval, changes in remembered(home):
            read += 1
            if approval:
                questions[action] += 1
            elif gate == "run" and result is not None:
                ran[f"{action} ({risk})"] += 1
                if risk != "none" or changes:
                    unasked.append(f"{fault['fault']}: history: {action} {risk} {result}")
        shutil.rmtree(fault["work"], ignore_errors=True)
    report.unlink()
    print(f"{len(faults)} faults, {read} rows of history")
    print("ran unasked:", dict(ran))
    print("asked for:  ", dict(questions))
    print(f"above risk none and unasked: {len(unasked)}")
    for one in unasked:
        print("  " + one)
    return 1 if unasked or not faults else 0


if __name__ == "__main__":
    sys.exit(main())
