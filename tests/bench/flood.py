"""Two million lines through a child: how much it is slowed, and whether all of them arrive."""

import os
import subprocess
import time

from peer import Pm2, Supervisord
from rig import Mhost, cpu_of, row, until
from side import segments

LINES = 2_000_000


def run(folder, bare):
    for mode, shown in (("block", "in blocks of 4 KiB"), ("line", "line by line")):
        what = f"2,000,000 lines of 110 bytes, {shown}"
        own = ours(folder / f"mhost-{mode}", bare, mode)
        row(what, 1, tell(own), "", "0 lost, on disk when the child has ended")
        for peer, run_peer in ((Supervisord, supervisord), (Pm2, pm2)):
            if peer.program is None:
                row(f"the same, {peer.name}", 0, "", "not installed", "child not slower")
                continue
            other = run_peer(folder / f"{peer.name}-{mode}", bare, mode)
            row(f"the same, {peer.name}", 1, f"child {own['wall'] / other['wall']:.2f} × as long",
                tell(other), "child not slower")


def tell(got):
    at_end = f"{got['missing_at_end']} not on disk 20 ms after its end" \
        if got["missing_at_end"] else "all on disk at its end"
    return (f"child {got['wall']:.2f} s, supervisor CPU {got['cpu']:.2f} s, "
            f"{got['lost']} lost, {at_end}")


def ours(folder, bare, mode):
    result = folder / "took"
    with Mhost(folder) as mhost:
        mhost.start([("warm", ["/bin/true"], {"autorestart": "false"})])
        daemon = mhost.pid()
        before = cpu_of(daemon)
        more = {"autorestart": "false"}
        flooder = ("flood", [bare, "flood", str(LINES), mode, str(result)], more)
        mhost.start([flooder])
        return measure(result, lambda: daemon, before, lambda: segments(mhost.home / "logs"))


def supervisord(folder, bare, mode):
    result, log = folder / "took", folder / "out.log"
    with Supervisord(folder) as peer:
        more = {"autorestart": "false", "startsecs": 0, "stdout_logfile": log,
                "stdout_logfile_maxbytes": 0}
        peer.start([("flood", [bare, "flood", str(LINES), mode, str(result)], more)])
        return measure(result, lambda: peer.pid, 0, lambda: [log])


def pm2(folder, bare, mode):
    result, log = folder / "took", folder / "out.log"
    with Pm2(folder) as peer:
        more = {"autorestart": False, "out_file": str(log)}
        peer.call("ping")
        pid = int((folder / "home/pm2.pid").read_text())
        before = cpu_of(pid)
        peer.start([("flood", [bare, "flood", str(LINES), mode, str(result)], more)])
        return measure(result, lambda: pid, before, lambda: [log])


def measure(result, daemon, before, files):
    until(lambda: result.exists() and result.read_text().endswith("\n"), "the child's end", 300)
    time.sleep(0.02)
    missing = LINES - lines(files())
    # Whoever is behind gets five seconds to catch up.
    deadline = time.monotonic() + 5
    lost = missing
    while lost > 0 and time.monotonic() < deadline:
        time.sleep(0.2)
        lost = LINES - lines(files())
    cpu = cpu_of(daemon()) - before
    return {"wall": int(result.read_text()) / 1e9, "cpu": cpu, "lost": lost,
            "missing_at_end": missing}


def lines(paths):
    """How many whole lines the files hold."""
    seen = 0
    for path in paths:
        if not os.path.exists(path):
            continue
        if str(path).endswith(".zst"):
            seen += subprocess.run(["zstdcat", path], capture_output=True).stdout.count(b"\n")
            continue
        with open(path, "rb") as file:
            while block := file.read(1 << 22):
                seen += block.count(b"\n")
    return seen
