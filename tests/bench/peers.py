#!/usr/bin/env python3
"""Installs the peers, builds mhost as it is shipped, and measures all of them in one run.

    python3 tests/bench/peers.py                     everything, about fifteen minutes
    python3 tests/bench/peers.py list restart leak   some of it; see tests/bench/run.py
    python3 tests/bench/peers.py table               mhost and three peers in one table; see table.py

The peers go into target/peers: supervisord of the Python package index, pm2 of npm. s6 and wrk
are packages of the system: root gets them by apt-get. It needs cargo, a C compiler, python3 with
venv, and npm; a peer that cannot be installed is left out, and that is said.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PEERS = TARGET / "peers"
SUPERVISOR = "supervisor==4.3.0"
PM2 = "pm2@7.0.4"


def main():
    subprocess.run(["cargo", "build", "--release", "--workspace", "--locked"], cwd=ROOT, check=True)
    env = {**os.environ, "MHOST": str(TARGET / "release/mhost")}
    venv, npm = PEERS / "supervisor", PEERS / "pm2"
    if installed(venv / "bin/supervisord", [sys.executable, "-m", "venv", venv],
                 [venv / "bin/pip", "install", "--quiet", SUPERVISOR]):
        env["SUPERVISOR_BIN"] = str(venv / "bin")
    if installed(npm / "node_modules/.bin/pm2", ["npm", "install", "--silent", "--no-audit",
                                                 "--no-fund", "--prefix", npm, PM2]):
        env["PM2_BIN"] = str(npm / "node_modules/.bin")
    for program in ("s6-svscan", "wrk"):
        of_the_system(program)
    words = sys.argv[1:]
    script = "table.py" if words[:1] == ["table"] else "run.py"
    run = [sys.executable, ROOT / "tests/bench" / script, *words[script == "table.py":]]
    sys.exit(subprocess.run(run, cwd=ROOT, env=env).returncode)


def installed(program, *commands):
    """Is it there, after these commands if it was not before?"""
    if program.exists():
        return True
    program.parent.mkdir(parents=True, exist_ok=True)
    try:
        for command in commands:
            subprocess.run([str(word) for word in command], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{program.name} is left out: {error}", file=sys.stderr)
    return program.exists()


def of_the_system(program):
    """Gets the package of a program, where that can be done."""
    if shutil.which(program) is None and os.getuid() == 0 and shutil.which("apt-get"):
        package = {"s6-svscan": "s6"}.get(program, program)
        subprocess.run(["apt-get", "install", "-qq", "-y", package], stdout=subprocess.DEVNULL)
    if shutil.which(program) is None:
        print(f"{program} is not installed: its column or row is left out", file=sys.stderr)


if __name__ == "__main__":
    main()
