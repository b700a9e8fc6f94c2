#!/usr/bin/env python3
"""The same illness twice: once with a language model, once by what was learned from it.

    python3 tests/bench/second_time.py AIMOCK [--mhost target/release/mhost] [--think 1.5]

AIMOCK is the folder of the npm package @copilotkit/aimock, a model double that other people wrote.
It takes --think seconds for each of its two answers (a look-up, then a plan), as a quick hosted
model does. A person approves both plans by the command line. Prints how long it took from the
incident to the plan that a person is asked about, and what the double was asked, by its own count.
Exits with 1 when the second time asked a model.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
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


def until(condition, what, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise SystemExit(f"not within {seconds} s: {what}")


class Double:
    def __init__(self, package, think, folder):
        fixtures = {"fixtures": [
            {"match": {"hasToolResult": False}, "response": {"toolCalls": [
                {"name": "search_logs", "arguments": {"pattern": "FluxError"}}]}},
            {"match": {"hasToolResult": True}, "response": {"content": json.dumps(PLAN)}},
        ]}
        (folder / "fixtures").mkdir()
        (folder / "fixtures/f.json").write_text(json.dumps(fixtures))
        self.child = subprocess.Popen(
            ["node", pathlib.Path(package) / "dist/cli.js", "-p", "0", "--strict", "--chaos-latency",
             str(int(think * 1000)), "-f", folder / "fixtures"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.child.stdout:
            if "listening on " in line:
                self.url = line.split("listening on ")[1].strip()
                break

    def asked(self):
        with urllib.request.urlopen(self.url + "/__aimock/journal") as answer:
            journal = json.load(answer)
            rows = journal if isinstance(journal, list) else journal["entries"]
            return sum("chat/completions" in row["path"] for row in rows)


class Mhost:
    def __init__(self, binary, folder, url):
        self.binary, self.folder, self.home = os.path.abspath(binary), folder, folder / "h"
        self.home.mkdir()
        (self.home / "config.toml").write_text(
            f'[ai]\nprovider = "ollama"\nmodel = "scripted"\ntools = true\nbase_url = "{url}/v1"\n'
            'context_tokens = 24000\n[agent]\nenabled = true\nverify_window = "2s"\n'
            '[brain]\nchain = ["memory", "model"]\ncooldown = "1s"\n')
        (folder / "mhost.toml").write_text(APP)

    def run(self, *args):
        env = {**os.environ, "MHOST_HOME": str(self.home)}
        return subprocess.run([self.binary, *args], env=env, cwd=self.folder, capture_output=True, text=True)

    def json(self, *args):
        done = self.run(*args, "--json")
        if done.returncode != 0:
            raise SystemExit(f"{args}: {done.stderr}")
        return json.loads(done.stdout)

    def ill(self, times):
        """Falls ill; how long the plan took. A person says yes, and it is cured."""
        (self.folder / "again").write_text("")
        asked = until(lambda: next((one for one in self.json("agent", "actions")["actions"]
                                    if one["state"] == "pending"), None), "a person is asked")
        done = self.run("agent", "approve", asked["id"])
        if done.returncode != 0:
            raise SystemExit(done.stderr)

        def cured():
            rows = self.json("brain", "history")["history"]
            done = sum(len(row["actions"]) for row in rows)
            return rows[0] if done == times and rows[0]["outcome"] == "verified" else None
        row = until(cured, "it is cured")
        return row["decided_ms"], asked["playbook"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("aimock")
    parser.add_argument("--mhost", default=str(HERE.parent.parent / "target/release/mhost"))
    parser.add_argument("--think", type=float, default=1.5)
    asked = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="mhs", dir="/tmp"))
    double = Double(asked.aimock, asked.think, work)
    mhost = Mhost(asked.mhost, work, double.url)
    try:
        if mhost.run("start").returncode != 0:
            raise SystemExit("it does not start")
        first, by = mhost.ill(1)
        requests = double.asked()
        print(f"first time:  {first:7} ms, {requests} requests, by {by}")
        until(lambda: [one for one in mhost.json("brain", "playbooks")["playbooks"] if one["source"] == "learned"],
              "something is learned")
        time.sleep(3)
        second, by = mhost.ill(2)
        more = double.asked() - requests
        print(f"second time: {second:7} ms, {more} requests, by {by}")
        print(f"{first / max(second, 1):.0f} times faster")
    finally:
        mhost.run("daemon", "stop")
        double.child.terminate()
        shutil.rmtree(work, ignore_errors=True)
    return 1 if more else 0


if __name__ == "__main__":
    sys.exit(main())
