#!/usr/bin/env python3
"""How soon a press is heard and acted on, what an idle bot costs, and what a storm says.

    python3 tests/bench/chat.py [--presses 100] [--approvals 20] [--events 1000] [--idle 45]

Telegram is a small server on loopback; times are counted from the moment at which it hands the
press out. "Started" is when the new program writes its first byte. The storm is programs that
crash again and again while the agent may act by itself; every `sendMessage` is counted, and the
numbers in the last digest are held against what mhost itself remembers. Memory is that of an idle
daemon with one bot of each platform, connected to servers of `platforms.py`. `MHOST` names the binary
(default: target/release/mhost). Prints figures; asserts only that everything came about.
"""

import argparse
import contextlib
import datetime
import json
import os
import platform
import re
import statistics
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.dont_write_bytecode = True
from platforms import Discord, Slack
from rig import QUIET, Beats, Mhost, build_bare, memory_of, ms, row, until

ADMIN, GROUP = 42, -100
BOT = """
[bot]
auto_alerts = false
channels = ["telegram:-100"]
rate_limit = 600
[bot.telegram]
token = "1:abc"
base_url = "{url}"
[bot.users]
"telegram:42" = "admin"
"""
DRAINED = """
const META = #{ name: "drained", version: 1, description: "Restart a drained pool", on: ["tick"],
                cooldown: "1s", max_per_hour: 1000 };
fn matches(c) { c.state == "online" && c.log_count("pool is drained", "3s") >= 3 }
fn reason(c) { `${c.name} says that its pool is drained` }
fn plan(c) { [ restart() ] }
fn verify(c) { if c.age_s < 1.0 { () } else { c.log_count("pool is drained", "1s") == 0 } }
"""


class Telegram(ThreadingHTTPServer):
    """The few methods that a bot calls, and when it called them."""

    daemon_threads = True
    name = "Telegram"
    bot = BOT

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.change = threading.Condition()
        self.updates, self.number = [], 0
        self.given, self.heard = {}, {}
        self.messages, self.sent, self.edits = {}, 0, 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def press(self, chat, message, payload):
        """Presses a button; the id of the press."""
        with self.change:
            self.number += 1
            self.updates.append({"update_id": self.number, "callback_query": {
                "id": str(self.number), "chat_instance": "1", "data": payload,
                "from": {"id": ADMIN, "is_bot": False, "first_name": "Ana"},
                "message": {"message_id": message, "date": int(time.time()), "text": "…",
                            "chat": {"id": chat, "type": "group", "title": "ops"},
                            "from": {"id": 1, "is_bot": True, "first_name": "mhost"}}}})
            self.change.notify_all()
            return str(self.number)

    def button(self, label, used=()):
        """The message and payload of the newest button in the group that begins with that."""
        with self.change:
            for number, message in reversed(self.messages.items()):
                for one in sum(message["rows"], []):
                    if one["text"].startswith(label) and message["chat"] == GROUP \
                            and one["callback_data"] not in used:
                        return number, one["callback_data"]
        return None

    def call(self, method, asked):
        with self.change:
            if method == "getupdates":
                deadline = time.monotonic() + asked.get("timeout", 0)
                while True:
                    new = [one for one in self.updates if one["update_id"] >= asked.get("offset", 0)]
                    left = deadline - time.monotonic()
                    if new or left <= 0:
                        for one in new:
                            self.given.setdefault(str(one["update_id"]), time.monotonic())
                        return new
                    self.change.wait(left)
            if method == "answercallbackquery":
                self.heard.setdefault(asked["callback_query_id"], time.monotonic())
                self.change.notify_all()
                return True
            if method in ("sendmessage", "editmessagetext"):
                number = asked.get("message_id") or len(self.messages) + 1
                self.sent += method == "sendmessage"
                self.edits += method == "editmessagetext"
                rows = (asked.get("reply_markup") or {}).get("inline_keyboard", [])
                self.messages[number] = {"chat": asked["chat_id"], "text": asked["text"], "rows": rows}
                self.change.notify_all()
                return {"message_id": number, "date": int(time.time()), "text": asked["text"],
                        "chat": {"id": asked["chat_id"], "type": "group", "title": "ops"}}
            if method == "getme":
                return {"id": 1, "is_bot": True, "first_name": "mhost", "username": "mhost_bot"}
            return True


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        method = self.path.rpartition("/")[2].lower()
        result = self.server.call(method, json.loads(body or b"{}"))
        answer = json.dumps({"ok": True, "result": result}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            # The daemon was ended in the middle of a long poll.
            pass


def p95(values):
    return statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0]


def times(what, heard, started):
    for name, values in [("acknowledged", heard), ("started", started)]:
        row(f"{what} → {name}", len(values), ms(statistics.median(values)), ms(p95(values)))


def connected(mhost):
    until(lambda: any(one["connected"] for one in mhost.json("bot", "status")["bots"]), "the bot is connected")


def restarts(folder, bare, count):
    """A button that restarts a program."""
    with Telegram() as telegram, Mhost(folder, BOT.format(url=telegram.url)) as mhost:
        beats = Beats(folder / "beats")
        mhost.start([("api", [bare, "beat", beats.path], {})])
        beats.next()
        connected(mhost)
        heard, started = [], []
        for _ in range(count):
            press = telegram.press(GROUP, 1, "o:restart api")
            until(lambda: press in telegram.heard, "the press is heard", pause=0.001)
            _, at = beats.next()
            heard.append(telegram.heard[press] - telegram.given[press])
            started.append(at - telegram.given[press])
            # As fast as a person may press in the long run.
            time.sleep(0.25)
        beats.close()
        times("press of Restart", heard, started)


def approvals(folder, bare, count):
    """A question of the agent, and a yes."""
    settings = '[brain]\nautonomy = "supervised"\n[agent]\npoll_interval = "200ms"\nmax_actions_per_hour = 1000\n' \
        'max_actions_per_process_per_hour = 1000\n'
    with Telegram() as telegram, Mhost(folder, BOT.format(url=telegram.url) + settings) as mhost:
        playbooks = mhost.home / "brain/playbooks"
        playbooks.mkdir(parents=True)
        (playbooks / "drained.rhai").write_text(DRAINED)
        beats = Beats(folder / "beats")
        names = [f"api{n}" for n in range(count)]
        script = "{bare} beat {beats} & rm -f {ill}; while sleep 0.2; do [ ! -e {ill} ] || echo TypeError: pool is drained; done"
        mhost.start([(name, ["/bin/bash", "-c", script.format(bare=bare, beats=beats.path, ill=folder / f"{name}.ill")],
                      {"grace_period": '"1s"'}) for name in names])
        for _ in names:
            beats.next()
        connected(mhost)
        heard, started, used = [], [], set()
        for name in names:
            (folder / f"{name}.ill").touch()
            # In a flood the question is behind the digest's button.
            def asked():
                found = telegram.button("Approve", used)
                if not found and (questions := telegram.button("Questions")):
                    telegram.press(GROUP, *questions)
                    time.sleep(2)
                return found
            message, payload = until(asked, f"{name} is asked about", pause=0.1)
            used.add(payload)
            press = telegram.press(GROUP, message, payload)
            until(lambda: press in telegram.heard, "the press is heard", pause=0.001)
            _, at = beats.next()
            heard.append(telegram.heard[press] - telegram.given[press])
            started.append(at - telegram.given[press])
        beats.close()
        times("press of Approve", heard, started)


def memory(folder, wait):
    """The daemon without and with a bot that waits, of each platform."""
    alone = None
    for server in [None, Telegram, Slack, Discord]:
        name = server.name if server else "no bot"
        with server() if server else contextlib.nullcontext() as at:
            settings = server.bot.format(url=at.url) if server else ""
            with Mhost(folder / name.split()[0], settings) as mhost:
                mhost.start([("quiet", QUIET, {})])
                if server:
                    connected(mhost)
                time.sleep(wait)
                pid = mhost.pid()
                own = memory_of(pid, "Private_Clean") + memory_of(pid, "Private_Dirty")
                alone = alone or own
                row(f"idle daemon, {name}", 1, f"PSS {memory_of(pid) / 1024:.1f} MiB",
                    f"private {own / 1024:.1f} MiB ({(own - alone) / 1024:+.1f})")


def storm(folder, events):
    """Programs that crash as often as they may."""
    each = 20
    names = [f"app{n}" for n in range(events // each)]
    settings = '[brain]\nautonomy = "supervised"\n'
    with Telegram() as telegram, Mhost(folder, BOT.format(url=telegram.url) + settings) as mhost:
        mhost.start([("calm", QUIET, {})])
        connected(mhost)
        mhost.define([(name, ["/bin/sh", "-c", "sleep 0.3; exit 3"],
                       {"restart_delay": '"100ms"', "max_restarts": each - 1, "max_restart_delay": '"100ms"'}) for name in names])
        mhost.call("start", "--no-wait")
        until(lambda: all(one["state"].startswith("errored") for one in mhost.processes()
                          if one["name"] != "calm"), "all gave up", seconds=180, pause=0.5)
        time.sleep(20)
        crashes = sum(len([event for event in mhost.json("history", name, "-n", "200")["events"]
                           if event["kind"] == "crash"]) for name in names[:3]) * len(names) // 3
        digest = [one["text"] for one in telegram.messages.values() if "more incidents" in one["text"]]
        counted = int(re.search(r"(\d+) more incidents", digest[-1])[1]) if digest else 0
        known = {one["incident"] for one in mhost.json("brain", "history", "-n", "1000")["history"]
                 if not one.get("merged_into")}
        row("a storm of crashes → messages", f"about {crashes}", telegram.sent, f"{telegram.edits} edits")
        row("incidents: own messages and counted in the digest", len(known), telegram.sent - len(digest), counted)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presses", type=int, default=100)
    parser.add_argument("--approvals", type=int, default=20)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--idle", type=int, default=45, help="seconds until memory is measured")
    parser.add_argument("--only", choices=["presses", "approvals", "memory", "storm"])
    asked = parser.parse_args()
    if Mhost.program is None:
        sys.exit("there is no such mhost: build it with `cargo build --release --locked`, or name it by MHOST")
    print(f"{datetime.date.today().isoformat()}, {platform.system()} {platform.release()}, "
          f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    row("What", "N", "p50", "p95")
    row(*["---"] * 4)
    with tempfile.TemporaryDirectory(prefix="mhc", dir="/tmp") as folder:
        folder = Path(folder)
        bare = build_bare(folder)
        parts = {
            "presses": lambda: restarts(folder / "r", bare, asked.presses),
            "approvals": lambda: approvals(folder / "a", bare, asked.approvals),
            "memory": lambda: memory(folder / "m", asked.idle),
            "storm": lambda: storm(folder / "s", asked.events),
        }
        for name, part in parts.items():
            if asked.only in (None, name):
                part()


if __name__ == "__main__":
    main()
