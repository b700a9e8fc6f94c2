"""200 trivial processes, from the command to the last one's first sign of life."""

import subprocess
import time

from rig import Beats, Mhost, end, ms, p50, row

COUNT = 200
RUNS = 5


def run(folder, bare):
    ours, theirs = [], []
    for turn in range(RUNS):
        beats = Beats(folder / f"beats{turn}")
        at = time.monotonic()
        spawner = subprocess.Popen([bare, "spawn", str(COUNT), beats.path])
        pids = arrive(beats, at, theirs)
        for pid in pids:
            end(pid)
        spawner.wait()
        with Mhost(folder / f"mhost{turn}") as mhost:
            mhost.start([("warm", ["/bin/true"], {"autorestart": "false"})])
            mhost.define([(f"beat{i}", [bare, "beat", beats.path], {}) for i in range(COUNT)])
            at = time.monotonic()
            starter = subprocess.Popen([mhost.program, "start"], env=mhost.env, cwd=mhost.folder,
                                       stdout=subprocess.DEVNULL)
            arrive(beats, at, ours)
            starter.wait()
        beats.close()
    row(f"{COUNT} trivial processes up, p50", RUNS, ms(p50(ours)),
        f"fork and exec: {ms(p50(theirs))}; {p50(ours) / p50(theirs):.1f} ×", "")


def arrive(beats, since, into):
    signs = [beats.next() for _ in range(COUNT)]
    into.append(max(at for _, at in signs) - since)
    return [pid for pid, _ in signs]
