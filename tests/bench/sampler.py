"""What looking at many processes costs, and what their figures take on the disk."""

import time

from rig import QUIET, Mhost, cpu_of, row, until

COUNT = 1000
SETTLE = 30
WATCHED = 120


def run(folder, _bare):
    with Mhost(folder / "many") as mhost:
        mhost.define([(f"quiet{i}", QUIET, {}) for i in range(COUNT)])
        mhost.call("start", "--no-wait")
        until(lambda: mhost.call("list", "--json").count('"state":"online"') >= 2 * COUNT,
              "all are online", 600)
        time.sleep(SETTLE)
        daemon = mhost.pid()
        before = cpu_of(daemon)
        time.sleep(WATCHED)
        used = cpu_of(daemon) - before
        row(f"CPU of the daemon, {COUNT} quiet processes sampled each 5 s, {WATCHED} s", 1,
            f"{used / WATCHED * 100:.2f} % of a core", "", "")
        files = list(mhost.home.glob("metrics.sqlite*"))
        size = sum(file.stat().st_size for file in files)
        row(f"stored figures of {COUNT} processes after {SETTLE + WATCHED} s", 1,
            f"{size / 1024:.0f} KiB", "", "")
