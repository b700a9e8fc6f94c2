"""From the kill of a child to the first thing its successor does."""

import os
import signal
import subprocess
import time

from rig import Beats, Mhost, end, ms, p50, row

KILLS = 250
PAUSE = 0.03
# Killed 250 times, it would be ill in the eyes of the playbooks, and rightly so.
SETTINGS = '[brain]\nautonomy = "manual"\n'


def run(folder, bare):
    ours, theirs = Beats(folder / "ours"), Beats(folder / "theirs")
    loop = subprocess.Popen([bare, "supervise", theirs.path])
    with Mhost(folder / "mhost", SETTINGS) as mhost:
        more = {"restart_delay": '"0ms"'}
        mhost.start([("beat", [bare, "beat", ours.path], more)])
        pids = {ours: ours.next()[0], theirs: theirs.next()[0]}
        took = {ours: [], theirs: []}
        # In turns, so that both see the same machine.
        for _ in range(KILLS):
            for beats in (ours, theirs):
                time.sleep(PAUSE)
                at = time.monotonic()
                os.kill(pids[beats], signal.SIGKILL)
                pids[beats], alive = beats.next()
                took[beats].append(alive - at)
    loop.kill()
    loop.wait()
    end(pids[theirs])
    mine, bare_loop = p50(took[ours]), p50(took[theirs])
    row("child killed → successor runs, p50", KILLS,
        f"{ms(mine)} (p99 {ms(sorted(took[ours])[KILLS * 99 // 100])})",
        f"fork-exec loop: {ms(bare_loop)}; {mine / bare_loop:.2f} ×", "≤ 2 ×")
