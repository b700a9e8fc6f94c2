"""Memory of the daemon by the number of processes, and what it does while nothing happens."""

import time

from rig import QUIET, Mhost, cpu_of, memory_of, p50, row

COUNTS = (1, 100, 500)
SETTLE = 45
# Code that nobody runs is given back every 15 s and comes back in between: one look may meet
# the one or the other.
LOOKS = 30
IDLE = 60


def settled(pid):
    """PSS of a process in KiB, and what of it is no file: medians over a while."""
    looks = []
    for _ in range(LOOKS):
        time.sleep(1)
        looks.append((memory_of(pid), memory_of(pid, "Pss_Anon")))
    return tuple(p50(figures) for figures in zip(*looks))


def run(folder, _bare):
    pss = {}
    for count in COUNTS:
        with Mhost(folder / f"with{count}") as mhost:
            mhost.start([(f"quiet{i}", QUIET, {}) for i in range(count)])
            time.sleep(SETTLE)
            daemon, guard = mhost.pid(), mhost.guard()
            pss[count], own = settled(daemon)
            goal = "< 15 MB" if count == 1 else "< 20 KiB for each more"
            each = ""
            if count > 1:
                each = f"; {(pss[count] - pss[1]) / (count - 1):.1f} KiB for each more"
            row(f"daemon PSS, {count} processes, median of {LOOKS} s", 1,
                f"{pss[count] / 1024:.1f} MiB{each}", f"without code {own / 1024:.1f} MiB", goal)
            if count == COUNTS[-1]:
                from_cpu = cpu_of(daemon) + cpu_of(guard)
                time.sleep(IDLE)
                used = cpu_of(daemon) + cpu_of(guard) - from_cpu
                row("guard PSS", 1, f"{memory_of(guard) / 1024:.2f} MiB",
                    f"RSS {memory_of(guard, 'Rss') / 1024:.1f} MiB", "")
                row(f"CPU of daemon and guard, {count} quiet processes, {IDLE} s", 1,
                    f"{used / IDLE * 100:.2f} % of a core", "", "< 0.2 %")
