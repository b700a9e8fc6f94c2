#!/usr/bin/env python3
"""Requests that are lost while a server is reloaded again and again.

    cargo build --release --locked && cargo build --release --locked --example socket-server
    python3 tests/bench/reload.py [--reloads 20] [--requests 10000] [--only REGEX]

The servers are those of examples/sockets, two copies of each, on a socket of `listen`; wrk asks
them on loopback, once on connections that are kept and once on a new one for each request. Then,
under the same load, they are reloaded to a version that never becomes ready: the reload fails,
and the old copies answer on. `MHOST` names the binary (default: target/release/mhost); the Rust
server is looked for in `examples/` beside it. Needs wrk; a language that is not installed is
left out. It goes on until there were so many reloads and so many requests. A request is lost
when it is not answered with 200. Exits with 1 when one was.
"""

import argparse
import datetime
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
from rig import HERE, MHOST, Mhost, ms, p50, row

SOCKETS = HERE.parent.parent / "examples/sockets"
RUST = Path(MHOST).parent / "examples/socket-server"
# The program of each, and its line in `web.sh`, with the descriptor in $1.
SERVERS = {
    "python": (sys.executable, f"exec {sys.executable} {SOCKETS}/server.py $1"),
    "node": (shutil.which("node"), f"exec node {SOCKETS}/server.js $1"),
    "rust": (shutil.which(RUST), f"exec {RUST} <&$1"),
}
NEVER_READY = "exec sleep 1000000\n"
CONFIG = """
[process.web]
command = "sh web.sh ${{FD}}"
instances = 2
listen = ["tcp://127.0.0.1:{port}"]
[process.web.health.http]
url = "http://127.0.0.1:{port}/"
interval = "1s"
timeout = "900ms"
[process.web.reload]
timeout = "5s"
"""
# So often while wrk runs once: it only says at its end what became of its requests.
RELOADS_A_ROUND = 5
FAILING_RELOADS = 2
CONNECTIONS = 8
# Seconds after which it ends by itself, if nobody is left to stop it.
LONGEST = 900


class Load:
    """wrk, until it is stopped; then what became of the requests."""

    def __init__(self, port, headers):
        argv = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{LONGEST}s", "--timeout", "10s", *headers,
                f"http://127.0.0.1:{port}/"]
        self.wrk = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                    text=True)
        # Before anything happens, all its connections are open.
        time.sleep(0.3)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wrk.kill()
        self.wrk.wait()

    def stop(self):
        self.wrk.send_signal(signal.SIGINT)
        told, _ = self.wrk.communicate(timeout=30)
        answered = re.search(r"(\d+) requests in", told)
        if answered is None:
            raise RuntimeError(f"wrk said: {told}")
        lost = sum(int(count) for count in re.findall(r"(?:connect|read|write|timeout) (\d+)", told))
        lost += sum(int(count) for count in re.findall(r"Non-2xx or 3xx responses: (\d+)", told))
        return int(answered[1]), lost


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def run(mhost, port, headers, program, asked):
    """Requests, lost ones and the time of each reload; then the first two of a failing one."""
    script = mhost.folder / "web.sh"
    requests, lost, took = 0, 0, []
    while len(took) < asked.reloads or requests < asked.requests:
        with Load(port, headers) as load:
            for _ in range(RELOADS_A_ROUND):
                begun = time.monotonic()
                mhost.call("reload", "web", "--wait")
                took.append(time.monotonic() - begun)
            answered, broken = load.stop()
        requests, lost = requests + answered, lost + broken
    script.write_text(NEVER_READY)
    with Load(port, headers) as load:
        for _ in range(FAILING_RELOADS):
            done = mhost.run("reload", "web")
            if done.returncode != 6:
                raise RuntimeError(f"never ready, and yet: {done.returncode}, {done.stderr}")
        failing = load.stop()
    script.write_text(program)
    return requests, lost, took, failing


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reloads", type=int, default=20)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--only", default="", help="of python, node and rust")
    asked = parser.parse_args()
    if Mhost.program is None or shutil.which("wrk") is None:
        sys.exit(f"needs wrk and {MHOST}")
    today = datetime.date.today().isoformat()
    print(f"{today}, {platform.system()} {platform.release()}, {os.cpu_count()} cores, {MHOST}\n")
    row("Server", "Connections", "Requests", "Lost", "Reloads", "One takes, p50",
        "Requests beside a version that is never ready", "Lost")
    row(*["---"] * 8)
    all_lost = 0
    with tempfile.TemporaryDirectory(prefix="mhost-bench-") as folder:
        for language, (found, server) in SERVERS.items():
            if not re.search(asked.only, language):
                continue
            if found is None:
                print(f"{language} is not there", file=sys.stderr)
                continue
            port = free_port()
            program = f"{server}\n"
            with Mhost(Path(folder) / language) as mhost:
                (mhost.folder / "web.sh").write_text(program)
                (mhost.folder / "mhost.toml").write_text(CONFIG.format(port=port))
                mhost.call("start")
                for way, headers in (("kept", []), ("one each", ["-H", "Connection: close"])):
                    requests, lost, took, failing = run(mhost, port, headers, program, asked)
                    row(language, way, requests, lost, len(took), ms(p50(took)), *failing)
                    all_lost += lost + failing[1]
    return 1 if all_lost else 0


if __name__ == "__main__":
    sys.exit(main())
