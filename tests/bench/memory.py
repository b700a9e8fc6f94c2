"""Memory of the daemon by the number of processes, and what it does while nothing happens."""

import time

from rig import QUIET, Mhost, cpu_of, memory_of, row

COUNTS = (1, 100, 500)
SETTLE = 45
IDLE = 60


def run(folder, _bare):
    pss = {}
    for count in COUNTS:
        with Mhost(folder / f"with{count}") as mhost:
            mhost.start([(f"quiet{i}", QUIET, {}) for i in range(count)])
            time.sleep(SETTLE)
            daemon, guard = mhost.pid(), mhost.guard()
            pss[count] = memory_of(daemon)
            goal = "< 15 MB" if count == 1 else "< 20 KiB for each more"
            each = ""
            if count > 1:
                each = f"; {(pss[count] - pss[1]) / (count - 1):.1f} KiB for each more"
            row(f"daemon PSS, {count} processes", 1, f"{pss[count] / 1024:.1f} MiB{each}",
                f"RSS {memory_of(daemon, 'Rss') / 1024:.1f} MiB", goal)
            if count == COUNTS[-1]:
                from_cpu = cpu_of(daemon) + cpu_of(guard)
                time.sleep(IDLE)
                used = cpu_of(daemon) + cpu_of(guard) - from_cpu
                row("guard PSS", 1, f"{memory_of(guard) / 1024:.2f} MiB",
                    f"RSS {memory_of(guard, 'Rss') / 1024:.1f} MiB", "")
                row(f"CPU of daemon and guard, {count} quiet processes, {IDLE} s", 1,
                    f"{used / IDLE * 100:.2f} % of a core", "", "< 0.2 %")
