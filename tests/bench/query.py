"""Questions over two million lines, a third of them JSON: against ripgrep and jq on the raw file.

Also how fast the index takes lines, and what segments and index take on the disk."""

import os
import random
import shutil
import subprocess
import time
from pathlib import Path

from rig import MHOST, Mhost, ms, p50, row, until

LINES = int(os.environ.get("LINES", 2_000_000))
TURNS = int(os.environ.get("TURNS", 20))
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


def took(argv, env=None, turns=TURNS):
    """Wall times of a command, sorted."""
    times = []
    for _ in range(turns):
        begun = time.monotonic()
        subprocess.run(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append(time.monotonic() - begun)
    return sorted(times)


def p95(times):
    return times[min(len(times) - 1, int(len(times) * 0.95))]


def size(folder, *ends):
    return sum(path.stat().st_size for path in folder.iterdir() if path.name.endswith(ends))


def thread_cpu(pid, name):
    """Processor time of one thread, in seconds."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            return int((task / "schedstat").read_text().split()[0]) / 1e9
    return 0


def run(folder, _bare):
    raw = folder / "raw.log"
    write_lines(raw)
    with Mhost(folder / "query") as mhost:
        mhost.start([("warm", ["/bin/true"], {"autorestart": "false"})])
        env = {**os.environ, "MHOST_HOME": str(mhost.home)}

        def view():
            out = subprocess.run([MHOST, "logs", "--count-by", "process", "--json"], env=env,
                                 capture_output=True, text=True).stdout
            return out

        begun = time.monotonic()
        cat = [shutil.which("cat"), str(raw)]
        mhost.start([("api", cat, {"autorestart": "false"})])
        until(lambda: f'"count":{LINES}' in view().replace(" ", ""), "all lines are kept", 120)
        kept = time.monotonic() - begun
        logs = mhost.home / "logs"

        def settled():
            # A busy index writes its write-ahead log all the time, and its thread runs.
            before = thread_cpu(mhost.pid(), "log index")
            time.sleep(3)
            return thread_cpu(mhost.pid(), "log index") - before < 0.05

        until(settled, "the index has caught up", 600)
        cpu = thread_cpu(mhost.pid(), "log index")
        row("index pace", 1, f"{LINES / cpu:,.0f} lines/s of its processor time",
            f"{cpu:.1f} s with compression; kept after {kept:.1f} s", "≥ 60,000 lines/s per core")
        taken = size(logs, ".log", ".zst", ".idx"), size(logs, ".sqlite", ".sqlite-wal")
        row("bytes on disk", 1, f"{sum(taken) / raw.stat().st_size:.2f} × raw",
            f"segments {taken[0] >> 20} MiB + index {taken[1] >> 20} MiB, raw "
            f"{raw.stat().st_size >> 20} MiB", "≤ 1")
        rg = shutil.which("rg")
        jq = shutil.which("jq")
        questions = [
            ("a rare word", ["--search", "rareneedle"], rg and [rg, "rareneedle", str(raw)], TURNS),
            ("a common word, last 100", ["--search", "database"],
             rg and [rg, "-w", "database", str(raw)], TURNS),
            ("level = error, one hour", ["--where", "level = 'error'", "--since", "1h"],
             jq and [jq, "-R", 'fromjson? | select(.level == "error")', str(raw)], 1),
            ("count by process", ["--count-by", "process"],
             jq and [jq, "-n", "-R", "reduce inputs as $l (0; . + 1)", str(raw)], 1),
        ]
        for what, flags, other, turns in questions:
            own = took([MHOST, "logs", "api", *flags], env)
            shown = f"p50 {ms(p50(own))}, p95 {ms(p95(own))}"
            if not other:
                row(what, TURNS, "", shown + "; the other program is not installed", "faster")
                continue
            theirs = took(other, turns=turns)
            row(what, TURNS, f"{p50(own) / p50(theirs):.3f} × as long",
                f"{shown}; {Path(other[0]).name} {ms(p50(theirs))}", "faster; p95 < 50 ms")
