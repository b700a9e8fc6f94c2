#!/usr/bin/env python3
"""The same illness twice: once with a language model, once by what was learned from it.

    MHOST_COUNTERPARTS=DIR python3 tests/bench/second_time.py [--think 1.5]

The model is aimock, a double that other people wrote; how to install it is in
tests/bench/double.py. `MHOST` names the binary (default: target/release/mhost). The double takes
--think seconds for each of its two answers (a look-up, then a plan), as a quick hosted model
does. A person approves both plans by the command line. Prints how long it took from the
incident to the plan that a person is asked about, and what the double was asked, by its own
count. Exits with 1 when the second time asked a model.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
from double import Aimock
from rig import Mhost, until

APP = r"""
[process.api]
command = '''bash -c "rm -f stuck again; echo up; while sleep 0.1; do [ -e again ] || continue; [ -e stuck ] || \
echo 'ERROR FluxError: phase inverter lost its anchor' >&2; touch stuck; done"'''
grace_period = "1s"
[process.api.health.script]
command = "test ! -e stuck"
interval = "200ms"
timeout = "150ms"
retries = 2
on_fail = "notify"
"""
PLAN = {
    "diagnosis": "the phase inverter lost its anchor, and only a new run finds it again",
    "confidence": 0.8, "severity": "critical", "evidence": [f"event:{n}" for n in range(1, 20)], "healthy": False,
    "actions": [{"action": "restart", "target": "api", "args": {}, "reason": "a new run"}],
}


FIXTURES = [
    {"match": {"hasToolResult": False}, "response": {"toolCalls": [
        {"name": "search_logs", "arguments": {"pattern": "FluxError"}}]}},
    {"match": {"hasToolResult": True}, "response": {"content": json.dumps(PLAN)}},
]
SETTINGS = """
[ai]
provider = "ollama"
model = "scripted"
tools = true
base_url = "{url}/v1"
context_tokens = 24000
[agent]
enabled = true
verify_window = "2s"
[brain]
chain = ["memory", "model"]
cooldown = "1s"
"""
PATIENCE = 120


def ill(mhost, times):
    """Falls ill; how long the plan took. A person says yes, and it is cured."""
    (mhost.folder / "again").write_text("")

    def asked():
        questions = mhost.json("agent", "actions")["actions"]
        return next((one for one in questions if one["state"] == "pending"), None)
    question = until(asked, "a person is asked", PATIENCE)
    mhost.call("agent", "approve", question["id"])

    def cured():
        rows = mhost.json("brain", "history")["history"]
        done = sum(len(row["actions"]) for row in rows)
        return rows[0] if done == times and rows[0]["outcome"] == "verified" else None
    return until(cured, "it is cured", PATIENCE)["decided_ms"], question["playbook"]


def learned(mhost):
    return [one for one in mhost.json("brain", "playbooks")["playbooks"] if one["source"] == "learned"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--think", type=float, default=1.5)
    think = parser.parse_args().think
    with tempfile.TemporaryDirectory(prefix="mhs", dir="/tmp") as folder:
        folder = Path(folder)
        with Aimock(folder / "f", FIXTURES, think) as double, \
                Mhost(folder / "m", SETTINGS.format(url=double.url)) as mhost:
            (mhost.folder / "mhost.toml").write_text(APP)
            mhost.call("start")
            first, by = ill(mhost, 1)
            requests = double.asked()
            print(f"first time:  {first:7} ms, {requests} requests, by {by}")
            until(lambda: learned(mhost), "something is learned", PATIENCE)
            time.sleep(3)
            second, by = ill(mhost, 2)
            more = double.asked() - requests
            print(f"second time: {second:7} ms, {more} requests, by {by}")
            print(f"{first / max(second, 1):.0f} times faster")
    return 1 if more else 0


if __name__ == "__main__":
    sys.exit(main())
