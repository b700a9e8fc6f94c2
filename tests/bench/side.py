"""mhost and its peers with the same handles, so that the table asks each the same.

    up(programs)      run it with these: (name, argv), restarted at once when they end
    add(programs)     more of them, while it runs
    look()            the command that shows all of them, and its environment
    own()             the processes that are the supervisor itself
    watchers()        those of them that watch the programs
    again()           what a person types who finds that it has died
    flood(argv, log)  run this once, with what it prints in a file; gives the files

Each is set up the way its own manual advises for what is measured.
"""

import shutil
import subprocess
import time
from pathlib import Path

from peer import S6, Pm2, Supervisord
from rig import Mhost, end, until

# Killed again and again, a program would be ill in the eyes of the playbooks, and rightly so.
SETTINGS = '[brain]\nautonomy = "manual"\n'


def children(pid):
    """Processes whose parent this is."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


class Ours(Mhost):
    """mhost. Every program's output is kept, as with supervisord and pm2."""

    def __init__(self, folder):
        super().__init__(folder, SETTINGS)

    def up(self, programs):
        self.start([(name, argv, {"restart_delay": '"0ms"'}) for name, argv in programs])

    add = up

    def look(self):
        return [self.program, "list"], self.env

    def own(self):
        return [self.pid(), self.guard()]

    def watchers(self):
        return [self.pid()]

    def again(self):
        self.call("list")

    def flood(self, argv, log):
        self.start([("flood", argv, {"autorestart": "false"})])
        return lambda: segments(self.home / "logs")


def segments(folder):
    # Sealed segments get compressed; while there are both forms, the plain one counts.
    plain = set(folder.glob("flood-0.out*.log"))
    packed = (path for path in folder.glob("flood-0.out*.log.zst")
              if path.with_suffix("") not in plain)
    return sorted(plain) + sorted(packed)


class OfPython(Supervisord):
    """supervisord."""

    def __init__(self, folder):
        super().__init__(folder)
        self.programs = []

    def up(self, programs):
        self.programs = [(name, argv, {"startsecs": 0}) for name, argv in programs]
        self.start(self.programs)
        until((self.folder / "sock").exists, "supervisord listens")

    def add(self, programs):
        self.programs += [(name, argv, {"startsecs": 0}) for name, argv in programs]
        self.configure(self.programs)
        self.control_with("update")

    def control_with(self, *words):
        subprocess.run([self.control, "-c", str(self.conf), *words], env=self.env, check=True,
                       stdout=subprocess.DEVNULL)

    def look(self):
        return self.status(), self.env

    def own(self):
        return [self.pid]

    watchers = own

    def again(self):
        self.daemon.wait()
        self.start(self.programs)

    def flood(self, argv, log):
        more = {"autorestart": "false", "startsecs": 0, "stdout_logfile": log,
                "stdout_logfile_maxbytes": 0}
        self.start([("flood", argv, more)])
        return lambda: [log]


class OfNode(Pm2):
    """pm2."""

    def up(self, programs):
        self.start([(name, argv, {}) for name, argv in programs])
        # From what this saved, `resurrect` starts everything again.
        self.call("save")

    def add(self, programs):
        self.start([(name, argv, {}) for name, argv in programs])

    def look(self):
        return self.status(), self.env

    def own(self):
        return [self.pid]

    watchers = own

    def again(self):
        self.call("resurrect")
        self.pid = int((self.folder / "home/pm2.pid").read_text())

    def flood(self, argv, log):
        self.start([("flood", argv, {"autorestart": False, "out_file": str(log)})])
        return lambda: [log]


class OfC(S6):
    """s6. Without `log`, what its programs print goes where its own output goes."""

    def up(self, programs):
        self.start([(name, argv, {}) for name, argv in programs])

    def add(self, programs):
        self.define([(name, argv, {}) for name, argv in programs])
        self.control("s6-svscanctl", "-a", self.scan)

    def look(self):
        return self.status(), self.env

    def own(self):
        loggers = [one for watcher in self.watchers() for one in children(watcher)
                   if Path(f"/proc/{one}/comm").read_text().strip() == "s6-log"]
        return [self.pid, *self.watchers(), *loggers]

    def watchers(self):
        return children(self.pid)

    def again(self):
        """Nothing: its scanner starts what watches anew."""

    def flood(self, argv, log):
        self.define([("flood", argv, {"log": log})])
        # Once: it is down after its first end.
        (self.scan / "flood/finish").write_text("#!/bin/sh\nexit 125\n")
        (self.scan / "flood/finish").chmod(0o755)
        self.start([])
        return lambda: sorted(log.glob("*[!k]"))


SIDES = (Ours, OfPython, OfNode, OfC)


def living(program):
    """The pids of all processes that run this file."""
    found = []
    for one in Path("/proc").glob("[0-9]*"):
        try:
            if Path(one / "exe").resolve() == Path(program).resolve():
                found.append(int(one.name))
        except OSError:
            pass
    return found


def end_all(program):
    """Ends what a dead supervisor left behind."""
    for pid in living(program):
        end(pid)
    until(lambda: not living(program), "all of them ended")


def copy_of(bare, folder):
    """A file of its own, so that its processes can be told from all others."""
    return shutil.copy(bare, folder / f"bare-{time.monotonic_ns()}")
