"""From the moment a leak passes its memory limit to the end of the program that leaks."""

import sys
import textwrap
from pathlib import Path

from peer import Pm2
from rig import Mhost, ms, p50, row, until

RUNS = 10
LIMIT_MB = 256
MB_PER_SECOND = 50
# A restart loop is what the playbooks would end.
SETTINGS = '[brain]\nautonomy = "manual"\n'

# Writes down the time and its resident bytes with every step.
LEAK = f"""
    import os, sys, time
    record = os.open(sys.argv[1] + "." + str(os.getpid()), os.O_CREAT | os.O_WRONLY, 0o600)
    page = os.sysconf("SC_PAGE_SIZE")
    kept = []
    begun = time.monotonic()
    while True:
        while len(kept) < (time.monotonic() - begun) * {MB_PER_SECOND}:
            kept.append(b"x" * (1 << 20))
        rss = int(open("/proc/self/statm").read().split()[1]) * page
        os.write(record, b"%d %d\\n" % (time.monotonic_ns(), rss))
        time.sleep(0.005)
"""


def run(folder, _bare):
    script = folder / "leak.py"
    script.write_text(textwrap.dedent(LEAK))
    with Mhost(folder / "mhost", SETTINGS) as mhost:
        records = folder / "ours"
        argv = [sys.executable, str(script), str(records)]
        more = {"max_memory": f'"{LIMIT_MB}MB"', "restart_delay": '"100ms"',
                "max_restart_delay": '"100ms"'}
        mhost.start([("leak", argv, more)])
        lives = ended(records, RUNS, 120)
    took, most = [after for after, _ in lives], max(share for _, share in lives)
    row(f"leak of {MB_PER_SECOND} MB/s passes {LIMIT_MB} MB → it is gone, p50", len(lives),
        f"{ms(p50(took))} (worst {ms(max(took))}), at most {most:.3f} × the limit",
        beside(folder, script), "≤ 1.5 s, < 1.1 ×")


def beside(folder, script):
    if Pm2.program is None:
        return "pm2: not installed"
    records = folder / "theirs"
    with Pm2(folder / "pm2") as pm2:
        argv = [sys.executable, str(script), str(records)]
        pm2.start([("leak", argv, {"max_memory_restart": f"{LIMIT_MB}M"})])
        after, share = ended(records, 1, 120)[0]
    return f"pm2: {ms(after)}, {share:.2f} ×"


def ended(records, count, seconds):
    """Of so many lives: how long each was above its limit, and its most as a share of it."""
    def over():
        files = sorted(records.parent.glob(f"{records.name}.*"), key=lambda file: file.stat().st_mtime)
        done = [file for file in files if not Path(f"/proc/{file.suffix[1:]}").exists()]
        return done[:count] if len(done) >= count else None
    limit = LIMIT_MB << 20
    lives = []
    for file in until(over, f"{count} lives are over", seconds, 0.05):
        steps = [[int(word) for word in line.split()] for line in file.read_text().splitlines()]
        passed = next(at for at, rss in steps if rss > limit)
        lives.append(((steps[-1][0] - passed) / 1e9, max(rss for _, rss in steps) / limit))
    return lives
