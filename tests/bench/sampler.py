"""What looking at many processes costs, beside programs that look the plain way."""

import os
import shutil
import subprocess
import time

from rig import HERE, QUIET, Mhost, cpu_of, row, until

COUNT = 1000
EACH = 5
SETTLE = 30
WATCHED = 60
PASSES = 20


def run(folder, _bare):
    plain = folder / "plain"
    subprocess.run(["cc", "-O2", "-o", plain, HERE / "plain.c"], check=True)
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
        done = subprocess.run([plain, str(PASSES)], capture_output=True, text=True, check=True)
        beside = f"plain reader: {int(done.stdout) / 1e6 / EACH * 100:.2f} %"
        pidstat = pidstat_pass()
        if pidstat is not None:
            beside += f"; pidstat -urd: {pidstat / EACH * 100:.2f} %"
        row(f"CPU of the whole daemon, {COUNT} quiet processes looked at each {EACH} s, {WATCHED} s",
            1, f"{used / WATCHED * 100:.2f} % of a core", beside, "")
        files = list(mhost.home.glob("metrics.sqlite*"))
        size = sum(file.stat().st_size for file in files)
        row(f"stored figures of {COUNT} processes after {SETTLE + WATCHED} s", 1,
            f"{size / 1024:.0f} KiB", "", "")


def pidstat_pass():
    """CPU seconds that one look of pidstat takes, or None without it."""
    program = shutil.which("pidstat")
    if program is None:
        return None
    argv = [program, "-h", "-u", "-r", "-d", "-p", "ALL", "1", "5"]
    out = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    pid = os.posix_spawn(program, argv, dict(os.environ), file_actions=out)
    usage = os.wait4(pid, 0)[2]
    return (usage.ru_utime + usage.ru_stime) / 6
