"""What one look at 100 processes costs: CPU of the whole command, user and system."""

import subprocess

from peer import Pm2, Supervisord
from rig import QUIET, Mhost, cpu_of_run, ms, p50, row, until

COUNT = 100
RUNS = 50


def run(folder, _bare):
    names = [f"quiet{i}" for i in range(COUNT)]
    with Mhost(folder / "mhost") as mhost:
        mhost.start([(name, QUIET, {}) for name in names])
        command = [mhost.program, "list"]
        ours = sorted(cpu_of_run(command, mhost.env) for _ in range(RUNS * 4))
        floor = sorted(cpu_of_run([mhost.program, "--version"], mhost.env) for _ in range(RUNS))
    row(f"`mhost list`, {COUNT} processes, CPU p50", len(ours),
        f"{ms(p50(ours))} (p90 {ms(ours[len(ours) * 9 // 10])})",
        f"`mhost --version`: {ms(p50(floor))}", "< 5 ms")
    for peer, shown in ((Supervisord, "supervisorctl status"), (Pm2, "pm2 jlist")):
        if peer.program is None:
            row(f"the same, `{shown}`", 0, "", "not installed", "≥ 20 ×")
            continue
        with peer(folder / peer.name) as other:
            other.start([(name, QUIET, {}) for name in names])
            until(lambda: all_up(other), f"{peer.name} up", 120)
            theirs = [cpu_of_run(other.status(), other.env) for _ in range(RUNS)]
        ratio = p50(theirs) / p50(ours)
        row(f"the same, `{shown}`", RUNS, ms(p50(ours)),
            f"{ms(p50(theirs))} = {ratio:.0f} ×", "≥ 20 ×")


def all_up(peer):
    done = subprocess.run(peer.status(), env=peer.env, capture_output=True, text=True)
    ups = done.stdout.count("RUNNING") + done.stdout.count('"status":"online"')
    return ups >= COUNT
