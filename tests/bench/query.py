"""Questions over two million lines, a third of them JSON: against ripgrep and jq on the raw file.

Also what it costs to take these lines, against the peers; how fast the index takes them; and
what segments and index take on the disk. Every answer is compared with that of the other
program first: a fast wrong answer ends the bench.

Times on the wall are what a person waits; CPU is that of the command and, for mhost, of the
daemon while it answers. Where other work runs on the machine, read the CPU.
"""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from peer import Pm2, Supervisord
from rig import MHOST, Mhost, cpu_of, ms, p50, row, until

LINES = int(os.environ.get("LINES", 2_000_000))
TURNS = int(os.environ.get("TURNS", 20))
# Room for all of them in one stream.
SETTINGS = '[logs]\nraw_keep = 100\n'
WORDS = ("request user session cache database worker queue connection timeout retry disk memory "
         "handler upload token index commit replica shard leader").split()


def write_lines(path):
    """Lines of about 110 bytes; one has the rare word."""
    rng = random.Random(7)
    with open(path, "w") as file:
        for n in range(LINES):
            words = " ".join(rng.choices(WORDS, k=5))
            kind = n % 3
            if n == LINES // 3 * 2:
                file.write(f"INFO the rareneedle is in line {n}\n")
            elif kind == 0:
                level = "error" if rng.random() < 0.01 else "info"
                status = rng.choice((200, 200, 200, 404, 500, 503))
                file.write(f'{{"level":"{level}","msg":"{words}","status":{status},'
                           f'"took":{rng.randrange(5000)},"path":"/api/{rng.choice(WORDS)}"}}\n')
            elif kind == 1:
                file.write(f"2026-03-28T14:32:{n % 60:02}Z INFO {words} id={n} "
                           f"host=10.0.{n % 256}.{n % 199} took={rng.randrange(5000)}\n")
            else:
                file.write(f"[INFO] {words} finished after {rng.randrange(90000)} ms "
                           f"in {rng.choice(WORDS)} {rng.randrange(1 << 20):x}\n")


class Times:
    """Wall and CPU of a number of runs of one command."""

    def __init__(self, turns, argv, env=None, daemon=None, stdin=None):
        self.walls, self.cpus = [], []
        before = cpu_of(daemon) if daemon else 0
        for _ in range(turns):
            begun = time.monotonic()
            child = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE,
                                     stderr=subprocess.DEVNULL, text=True)
            self.out = child.stdout.read()
            child.stdout.close()
            _, _, usage = os.wait4(child.pid, 0)
            child.returncode = 0
            self.walls.append(time.monotonic() - begun)
            self.cpus.append(usage.ru_utime + usage.ru_stime)
        self.walls.sort()
        # Ticks of 10 ms say little about one run, and enough about many.
        self.cpu = p50(self.cpus) + (cpu_of(daemon) - before if daemon else 0) / turns

    def p95(self):
        return self.walls[min(len(self.walls) - 1, int(len(self.walls) * 0.95))]

    def told(self):
        return f"p50 {ms(p50(self.walls))}, p95 {ms(self.p95())}, CPU {ms(self.cpu)}"


def size(folder, *ends):
    return sum(path.stat().st_size for path in folder.iterdir() if path.name.endswith(ends))


def thread_cpu(pid, name):
    """Processor time of one thread, in seconds."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            return int((task / "schedstat").read_text().split()[0]) / 1e9
    raise KeyError(name)


def ask(mhost, method):
    """One call to the daemon, without the cost of a command."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(mhost.home / "mhost.sock"))
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {}}
        line.sendall(json.dumps(request).encode() + b"\n")
        with line.makefile() as answers:
            return json.loads(answers.readline())["result"]


def run(folder, bare):
    raw = folder / "raw.log"
    write_lines(raw)
    with Mhost(folder / "query", SETTINGS) as mhost:
        capture(folder, bare, mhost, raw)
        index(mhost, raw)
        questions(mhost, raw)


def capture(folder, bare, mhost, raw):
    """The same lines through each supervisor: time of the child, CPU of the supervisor."""
    result = folder / "took"
    replay = [bare, "replay", str(raw), str(result)]
    ended = lambda: result.exists() and result.read_text().endswith("\n")
    mhost.start([("warm", ["/bin/true"], {"autorestart": "false"})])
    index_before = thread_cpu(mhost.pid(), "log index")
    before = cpu_of(mhost.pid())
    mhost.start([("api", replay, {"autorestart": "false"})])
    until(ended, "the child's end", 300)
    # The index works at a low priority in a thread of its own, and has a line of its own here.
    derived = thread_cpu(mhost.pid(), "log index") - index_before
    cpu = cpu_of(mhost.pid()) - before - derived
    own = int(result.read_text()) / 1e9
    row(f"{LINES:,} mixed lines in blocks of 4 KiB", 1,
        f"child {own:.2f} s, daemon CPU {cpu:.2f} s", f"index beside it {derived:.2f} s", "")
    for peer, key in ((Supervisord, "stdout_logfile"), (Pm2, "out_file")):
        if peer.program is None:
            row(f"the same, {peer.name}", 0, "", "not installed", "child not slower")
            continue
        result.unlink()
        more = {key: str(folder / f"{peer.name}.log")}
        if peer is Supervisord:
            more |= {"autorestart": "false", "startsecs": 0, "stdout_logfile_maxbytes": 0}
        else:
            more |= {"autorestart": False}
        with peer(folder / peer.name) as other:
            before = 0
            if peer is Pm2:
                other.call("ping")
                other.pid = int((other.folder / "home/pm2.pid").read_text())
                before = cpu_of(other.pid)
            other.start([("api", replay, more)])
            until(ended, "the child's end", 300)
            kept = Path(more[key])
            until(lambda: kept.stat().st_size >= raw.stat().st_size, "all lines are kept", 60)
            used = cpu_of(other.pid) - before
        theirs = int(result.read_text()) / 1e9
        row(f"the same, {peer.name}", 1, f"child {own / theirs:.2f} × as long",
            f"child {theirs:.2f} s, supervisor CPU {used:.2f} s", "child not slower")


def index(mhost, raw):
    """How fast it took the lines, and what all of it takes on the disk."""
    logs = mhost.home / "logs"

    def caught_up():
        view = ask(mhost, "logs.index")["index"]
        if view.get("problem"):
            raise RuntimeError(view["problem"])
        return view["lines"] >= LINES and view["behind_bytes"] == 0

    until(caught_up, "the index has caught up", 900)
    cpu = thread_cpu(mhost.pid(), "log index")

    def packed():
        # Sealed segments are compressed once their lines are in the index.
        return not list(logs.glob("api-0.out.*.log"))

    until(packed, "sealed segments are compressed", 300)
    with_packing = thread_cpu(mhost.pid(), "log index")
    wal = logs / "logs.sqlite-wal"
    # The write-ahead log of a flood goes into the file once there is time.
    until(lambda: not wal.exists() or wal.stat().st_size == 0, "the index has settled", 60)
    row("index pace", LINES, f"{LINES / cpu:,.0f} lines/s of its processor time",
        f"{cpu:.1f} s; {with_packing:.1f} s with compression", "≥ 60,000 lines/s per core")
    segments = size(logs, ".log", ".zst", ".idx")
    derived = size(logs, ".sqlite", ".sqlite-wal", ".sqlite-shm")
    whole = raw.stat().st_size
    row("bytes on disk", LINES, f"{(segments + derived) / whole:.2f} × raw",
        f"segments {segments >> 20} MiB + index {derived >> 20} MiB, raw {whole >> 20} MiB", "≤ 1")


def questions(mhost, raw):
    rg, jq = shutil.which("rg"), shutil.which("jq")
    jq_errors = [jq, "-R", '-r', 'fromjson? | select(.level == "error") | .msg', str(raw)]
    hour = ["--since", "1h"]
    error = ["--where", "level = 'error'", *hour]
    common = ["--search", "database"]
    # What is asked, of whom, how both answers are made comparable, and how often the other.
    table = [
        ("a rare word", ["--search", "rareneedle", "--raw"],
         rg and [rg, "--no-filename", "rareneedle", str(raw)], str, TURNS),
        ("a common word, counted", [*common, "--count-by", "process", "--json"],
         rg and [rg, "-cw", "database", str(raw)], total, TURNS),
        ("a common word, the last 100", [*common, "--raw"],
         rg and ["sh", "-c", f"{rg} -w database {raw} | tail -n 100"], str, TURNS),
        ("level = error in an hour, counted", [*error, "--count-by", "process", "--json"],
         jq and ["sh", "-c", f"{quoted(jq_errors)} | wc -l"], total, 1),
        ("the same, the last 100", [*error, "--format", "jsonl"],
         jq and ["sh", "-c", f"{quoted(jq_errors)} | tail -n 100"], messages, 1),
        ("--count-by process", ["--count-by", "process", "--json"],
         jq and [jq, "-n", "-R", "reduce inputs as $l (0; . + 1)", str(raw)], total, 1),
        ("the same, ripgrep counting lines", ["--count-by", "process", "--json"],
         rg and [rg, "-c", "", str(raw)], total, TURNS),
    ]
    for what, flags, other, form, turns in table:
        own = Times(TURNS, [MHOST, "logs", "api", *flags], mhost.env, mhost.pid())
        goal = "faster, p95 < 50 ms" if what == "a rare word" else "faster"
        if not other:
            row(what, TURNS, own.told(), "the other program is not installed", goal)
            continue
        theirs = Times(turns, other)
        if form(own.out) != form(theirs.out):
            sys.exit(f"{what}: mhost answers {form(own.out)[:200]!r}, "
                     f"the other {form(theirs.out)[:200]!r}")
        row(what, f"{TURNS} and {turns}",
            f"{ratio(p50(own.walls), p50(theirs.walls))} as long, "
            f"{ratio(own.cpu, theirs.cpu)} the CPU; {own.told()}",
            theirs.told(), goal)


def ratio(own, theirs):
    return f"{own / theirs:.2g} ×"


def quoted(argv):
    return " ".join("'" + word.replace("'", "'\\''") + "'" for word in argv)


def total(out):
    """The number of lines that were counted."""
    if out.startswith("{"):
        return str(sum(one["count"] for one in json.loads(out)["counts"]))
    return out.strip()


def messages(out):
    """The texts of the lines, also of whole JSON records."""
    lines = out.splitlines()
    if lines and lines[0].startswith("{"):
        lines = [json.loads(json.loads(line)["message"])["msg"] for line in lines]
    return "\n".join(lines)
