#!/usr/bin/env python3
"""One table: mhost beside supervisord, pm2 and s6, in one run.

    python3 tests/bench/peers.py table              installs the peers, builds, prints the table
    python3 tests/bench/peers.py table look reload  only these rows

What is measured of each is in tests/bench/measures.py. A cell of a peer says its figure, and
how many times as much that is as mhost's. A peer that is not there leaves its column empty.
"""

import datetime
import os
import platform
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
import measures
from peer import S6, Pm2, Supervisord, version_of
from rig import Mhost, build_bare, refuse_debug_build
from side import SIDES


def main():
    chosen = sys.argv[1:] or list(measures.MEASURES)
    unknown = [name for name in chosen if name not in measures.MEASURES]
    if unknown:
        sys.exit(f"no such measure: {', '.join(unknown)}; there are: {', '.join(measures.MEASURES)}")
    refuse_debug_build()
    lines = ["| | " + " | ".join(side.name for side in SIDES) + " |", "|---" * 5 + "|"]
    with tempfile.TemporaryDirectory(prefix="mhost-bench-") as folder:
        folder = Path(folder)
        bare = build_bare(folder)
        for name in chosen:
            title, cells = measure(folder / name, measures.MEASURES[name], bare)
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
            print(lines[-1], file=sys.stderr, flush=True)
    about = (f"{datetime.date.today().isoformat()}: {version_of(Mhost)} (release build), "
             + ", ".join(version_of(peer) for peer in (Supervisord, Pm2, S6))
             + f"; {platform.system()} {platform.release()}, {os.cpu_count()} cores.")
    table = "\n".join(lines) + f"\n\n{about}\n"
    print(f"\n{table}")


def measure(folder, function, bare):
    """The title of a measure, and its cell for each side."""
    title, ours, cells = function.__doc__.splitlines()[0].rstrip("."), None, []
    for side in SIDES:
        if side.program is None:
            cells.append("")
            continue
        figure, shown = function(side, folder / side.name, bare)
        if ours is None:
            ours = figure
        elif ours and figure is not None:
            times = figure / ours
            shown += f", {times:.0f} ×" if times >= 10 else f", {times:.2g} ×"
        cells.append(shown)
    return title, cells


if __name__ == "__main__":
    main()
