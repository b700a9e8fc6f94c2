#!/usr/bin/env python3
"""Measures mhost against its goals, and against its peers in the same run.

    cargo build --release --locked
    python3 tests/bench/run.py                     everything, about twelve minutes
    python3 tests/bench/run.py list restart        some of: list restart memory flood start
                                                   leak sampler monit query brain

`MHOST` names the binary (default: target/release/mhost), `SUPERVISOR_BIN` and `PM2_BIN` the
folders of the peers' programs (default: PATH). A peer that is not there is "not installed".
It prints figures and asserts nothing: a machine under load is no failure of the code. Only a
build that nobody would ship is refused. Needs a C compiler as `cc`, for the bare programs that
everything is compared with.
"""

import datetime
import os
import platform
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
import brain
import flood
import leak
import listing
import memory
import monit
import query
import restart
import sampler
import start
from peer import Pm2, Supervisord, version_of
from rig import Mhost, build_bare, refuse_debug_build, row

BENCHES = {
    "list": listing.run,
    "restart": restart.run,
    "memory": memory.run,
    "flood": flood.run,
    "start": start.run,
    "leak": leak.run,
    "sampler": sampler.run,
    "monit": monit.run,
    "query": query.run,
    "brain": brain.run,
}


def main():
    chosen = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in chosen if name not in BENCHES]
    if unknown:
        sys.exit(f"no such bench: {', '.join(unknown)}; there are: {', '.join(BENCHES)}")
    refuse_debug_build()
    today = datetime.date.today().isoformat()
    print(f"{today}, {platform.system()} {platform.release()}, {os.cpu_count()} cores")
    print(f"{version_of(Mhost)}, {version_of(Supervisord)}, {version_of(Pm2)}")
    print()
    row("Measure", "N", "mhost", "beside it", "goal")
    row("---", "---", "---", "---", "---")
    with tempfile.TemporaryDirectory(prefix="mhost-bench-") as folder:
        folder = Path(folder)
        bare = build_bare(folder)
        for name in chosen:
            (folder / name).mkdir()
            BENCHES[name](folder / name, bare)


if __name__ == "__main__":
    main()
