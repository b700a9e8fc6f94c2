"""What all benches share: the supervisors under test, a pipe of signs of life, the figures."""

import json
import os
import select
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Whole, since it is run from other folders.
MHOST = os.path.abspath(os.environ.get("MHOST", HERE.parent.parent / "target/release/mhost"))
TICK = os.sysconf("SC_CLK_TCK")
SLEEP = shutil.which("sleep") or "/bin/sleep"
QUIET = [SLEEP, "1000000"]


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def ms(seconds):
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def p50(values):
    return statistics.median(values)


def build_bare(folder):
    bare = folder / "bare"
    subprocess.run(["cc", "-O2", "-o", bare, HERE / "bare.c"], check=True)
    return str(bare)


def until(condition, what, seconds=60, pause=0.02):
    """Looks again and again until the condition gives something, and gives that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(pause)
    raise TimeoutError(f"not within {seconds} s: {what}")


def cpu_of_run(argv, env):
    """Runs a program to its end; user and system time of it and its children, in seconds."""
    pid = os.posix_spawn(argv[0], argv, env, file_actions=[
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    ])
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise RuntimeError(f"{argv} ended with {status}")
    return usage.ru_utime + usage.ru_stime


def cpu_of(pid):
    """User and system time of a running process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory_of(pid, key="Pss"):
    """A figure of smaps_rollup in KiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1])
    raise KeyError(key)


class Beats:
    """A FIFO to which every new child writes its pid and the time."""

    def __init__(self, path):
        os.mkfifo(path)
        self.path = str(path)
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self.rest = b""

    def next(self, seconds=30):
        """The pid and the time in seconds of the next child."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self.rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise TimeoutError("no sign of life")
            self.rest += os.read(self.fd, 65536)
        line, _, self.rest = self.rest.partition(b"\n")
        pid, at = line.split()
        return int(pid), int(at) / 1e9

    def close(self):
        os.close(self.fd)


class Mhost:
    """A daemon in a home of its own."""

    name = "mhost"
    program = shutil.which(MHOST)

    def __init__(self, folder, settings=""):
        if self.program is None:
            sys.exit(f"there is no {MHOST}: build it with `cargo build --release --locked`")
        self.folder = folder
        folder.mkdir(parents=True)
        home = folder / "home"
        home.mkdir(mode=0o700)
        (home / "config.toml").write_text(settings)
        self.home = home
        self.env = {"PATH": os.environ["PATH"], "MHOST_HOME": str(home), "HOME": str(folder)}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.call("daemon", "stop", check=False)

    def run(self, *args):
        """Runs a command to its end, whichever that is."""
        return subprocess.run([self.program, *args], env=self.env, cwd=self.folder,
                              capture_output=True, text=True)

    def call(self, *args, check=True):
        done = self.run(*args)
        if check and done.returncode != 0:
            raise RuntimeError(f"mhost {args} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def json(self, *args):
        return json.loads(self.call(*args, "--json"))

    def define(self, processes):
        """Writes mhost.toml; `processes` is a list of (name, argv, more keys)."""
        with open(self.folder / "mhost.toml", "w") as file:
            for name, argv, more in processes:
                command, args = argv[0], json.dumps(argv[1:])
                file.write(f"[process.{name}]\ncommand = {json.dumps(command)}\nargs = {args}\n")
                file.writelines(f"{key} = {value}\n" for key, value in more.items())

    def start(self, processes):
        self.define(processes)
        self.call("start")

    def pid(self):
        return int((self.home / "mhost.pid").read_text())

    def guard(self):
        fields = Path(f"/proc/{self.pid()}/stat").read_text().rpartition(")")[2].split()
        return int(fields[1])

    def processes(self):
        return self.json("list")["processes"]


def end(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def refuse_debug_build():
    """Figures of a debug build say nothing: it is many times slower."""
    if Mhost.program is None:
        sys.exit(f"there is no {MHOST}: build it with `cargo build --release --locked`")
    # A check that optimised builds do not have.
    if b"attempt to add with overflow" in Path(Mhost.program).read_bytes():
        sys.exit(f"{MHOST} is a debug build: build it with `cargo build --release --locked`")
