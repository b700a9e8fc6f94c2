#!/usr/bin/env python3
"""What each question to a model takes and costs: every command of `mhost ai`, and `agent ask`.

    MHOST_COUNTERPARTS=DIR python3 tests/bench/asking.py [--runs 10] [--think 0]

The model is aimock, a double that other people wrote: it answers at once, or after --think
seconds; how to install it is in tests/bench/double.py. `MHOST` names the binary (default:
target/release/mhost). One process has crashed for good and one runs. Tokens are those of all
rounds of the last run, as the double counts them: a quarter of the letters of the messages;
`agent ask` remembers what was asked before. The own time of mhost is that of the whole command
without the double's; the little that the relay between them takes is in it, too. Prints figures
and asserts only that each command ends well.
"""

import argparse
import datetime
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
from double import Aimock, Relay
from rig import Mhost, ms, p50, row, until

PROCESSES = """
[process.shop]
command = "bash -c 'echo serving 3 shelves; sleep 0.2; echo ERROR ledger drift: shelf B7 counts -3 apples >&2; exit 9'"
restart_delay = "100ms"
max_restarts = 3
[process.web]
command = "bash -c 'echo ready; exec sleep 100000'"
max_memory = "64MB"
"""
SETTINGS = """
[ai]
provider = "ollama"
model = "scripted"
tools = true
base_url = "{url}/v1"
context_tokens = 24000
requests_per_minute = 10000
max_calls_per_hour = 10000
"""
COMMANDS = [
    ["ai", "diagnose", "shop"],
    ["ai", "ask", "why is shop down?"],
    ["ai", "explain", "web"],
    ["ai", "fix", "shop"],
    ["ai", "logs", "shop"],
    ["ai", "logs", "shop", "what went wrong?"],
    ["ai", "predict"],
    ["ai", "optimize", "web"],
    ["ai", "anomaly"],
    ["ai", "compare", "shop", "20m..10m", "10m"],
    ["ai", "report"],
    ["ai", "postmortem", "shop"],
    ["ai", "suggest"],
    ["ai", "config", "a web server on port 8080"],
    ["agent", "ask", "what about shop?"],
]
WORDS = "The shelf B7 of shop counts below zero, and the program ends by itself when it sees that. " * 8
LOOK = {"toolCalls": [{"name": "search_logs", "arguments": {"process": "shop", "pattern": "ledger"}}]}
PLAN = {
    "diagnosis": "shelf B7 counts below zero, and shop refuses to sell", "confidence": 0.7,
    "severity": "critical", "evidence": [f"log:{n}" for n in range(1, 9)], "healthy": False, "actions": [],
}
FIX = {"changes": [{"key": "max_restarts", "value": 5, "why": "it may heal"}], "note": None}
QUERY = {"search": "ledger drift", "where": None, "since": "1h", "limit": 50}
TOML = '[process.web]\ncommand = "python3 -m http.server 8080"\n'


def rules(words, answer, **more):
    """A fixture for the prompts with these words in their rules."""
    content = answer if isinstance(answer, str) else json.dumps(answer)
    response = answer if answer is LOOK else {"content": content}
    return {"match": {"systemMessage": words, **more}, "response": response}


FIXTURES = [
    rules("Find out before you propose", LOOK, hasToolResult=False),
    rules("Find out before you propose", PLAN, hasToolResult=True),
    rules("give the exact mhost command", LOOK, hasToolResult=False),
    rules("give the exact mhost command", WORDS, hasToolResult=True),
    rules("You write configuration files", TOML),
    rules("You turn a question about logs", QUERY),
    rules("You may only change keys", FIX),
    rules("on-call engineer", WORDS),
]


def measured(mhost, relay, command, runs):
    """One row of the table."""
    walls, owns, rounds = [], [], []
    for _ in range(runs):
        relay.taken()
        begun = time.monotonic()
        done = mhost.run(*command)
        walls.append(time.monotonic() - begun)
        rounds = relay.taken()
        owns.append(walls[-1] - sum(seconds for seconds, _, _ in rounds))
        if done.returncode != 0 or not rounds:
            sys.exit(f"mhost {command} asked {len(rounds)} times and ended with "
                     f"{done.returncode}: {done.stderr}")
    words = " ".join(f'"{one}"' if " " in one else one for one in command)
    row(f"`mhost {words}`", runs, len(rounds), sum(prompt for _, prompt, _ in rounds),
        sum(answer for _, _, answer in rounds), ms(p50(walls)), ms(p50(owns)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--think", type=float, default=0)
    asked = parser.parse_args()
    if Mhost.program is None:
        sys.exit("there is no such mhost: build it with `cargo build --release --locked`, or name it by MHOST")
    print(f"{datetime.date.today().isoformat()}, {platform.system()} {platform.release()}, "
          f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory(prefix="mha", dir="/tmp") as folder:
        folder = Path(folder)
        with Aimock(folder / "f", FIXTURES, asked.think) as double, Relay(double.url) as relay, \
                Mhost(folder / "m", SETTINGS.format(url=relay.url)) as mhost:
            (mhost.folder / "mhost.toml").write_text(PROCESSES)
            mhost.run("start", "--no-wait")
            until(lambda: any(one["state"].startswith("errored") for one in mhost.processes()), "shop gives up")
            row("Command", "N", "Rounds", "Prompt tokens", "Completion tokens", "p50", "of which mhost")
            row(*["---"] * 7)
            for command in COMMANDS:
                measured(mhost, relay, command, asked.runs)


if __name__ == "__main__":
    main()
