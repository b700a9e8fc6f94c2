"""The supervisors that mhost is measured beside, each in a folder of its own."""

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

class Supervisord:
    """The peer written in Python."""

    name = "supervisord"
    program = shutil.which("supervisord", path=os.environ.get("SUPERVISOR_BIN"))

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True)
        self.env = {"PATH": os.environ["PATH"]}
        self.conf = folder / "supervisord.conf"
        self.control = str(Path(self.program).with_name("supervisorctl"))

    def configure(self, programs):
        socket = self.folder / "sock"
        with open(self.conf, "w") as file:
            file.write(f"""[supervisord]
nodaemon=true
logfile={self.folder}/supervisord.log
pidfile={self.folder}/supervisord.pid
childlogdir={self.folder}
[unix_http_server]
file={socket}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{socket}
""")
            for name, argv, more in programs:
                file.write(f"[program:{name}]\ncommand={' '.join(argv)}\n")
                file.writelines(f"{key}={value}\n" for key, value in more.items())

    def start(self, programs):
        self.configure(programs)
        self.daemon = subprocess.Popen([self.program, "-c", self.conf], env=self.env,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self.daemon.pid

    def status(self):
        return [self.control, "-c", str(self.conf), "status"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.daemon.terminate()
        self.daemon.wait()


class Pm2:
    """The peer written in JavaScript."""

    name = "pm2"
    program = shutil.which("pm2", path=os.environ.get("PM2_BIN"))

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True)
        self.env = {"PATH": os.environ["PATH"], "PM2_HOME": str(folder / "home"),
                    "HOME": str(folder), "PM2_DISABLE_VERSION_CHECK": "true"}

    def start(self, programs):
        apps = [
            {"name": name, "script": argv[0], "args": argv[1:], "interpreter": "none",
             "exec_mode": "fork", **more}
            for name, argv, more in programs
        ]
        file = self.folder / "apps.json"
        file.write_text(json.dumps({"apps": apps}))
        self.call("start", str(file))
        self.pid = int((self.folder / "home/pm2.pid").read_text())

    def call(self, *args):
        done = subprocess.run([self.program, *args], env=self.env, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"pm2 {args} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def status(self):
        return [self.program, "jlist"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.call("kill")


class S6:
    """The peer written in C: one scanner, and one supervisor for each service."""

    name = "s6"
    program = shutil.which("s6-svscan")
    # Without this it takes no more than 500.
    most = "2000"

    def __init__(self, folder):
        self.folder = folder
        self.scan = folder / "scan"
        self.scan.mkdir(parents=True)
        self.env = {"PATH": os.environ["PATH"]}

    def start(self, programs):
        self.define(programs)
        self.daemon = subprocess.Popen([self.program, "-c", self.most, self.scan], env=self.env,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self.daemon.pid

    def define(self, programs):
        """Writes the folder of each service; `more` may name the folder of its `log`."""
        for name, argv, more in programs:
            script(self.scan / name, f"exec {shlex.join(argv)}")
            if "log" in more:
                # The largest files that it makes; with sizes of 0 it would keep nothing.
                script(self.scan / name / "log",
                       f"exec s6-log n1000 s268435455 {more['log']}")

    def control(self, *words):
        subprocess.run(words, env=self.env, check=True)

    def status(self):
        # It has no command that looks at all of them.
        return ["/bin/sh", "-c", f"for one in {self.scan}/*; do s6-svstat $one; done"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.control("s6-svscanctl", "-t", self.scan)
        self.daemon.wait()


def script(folder, line):
    folder.mkdir(exist_ok=True)
    (folder / "run").write_text(f"#!/bin/sh\n{line}\n")
    (folder / "run").chmod(0o755)


def version_of(peer):
    if peer.program is None:
        return f"{peer.name} not installed"
    if peer is Pm2:
        # Asked on the command line, it would start a daemon in the home of whoever asks.
        package = Path(peer.program).resolve().parent.parent / "package.json"
        return f"{peer.name} {json.loads(package.read_text())['version']}"
    if peer is S6:
        # It does not say by itself.
        asked = ["dpkg-query", "-W", "-f", "${Version}", "s6"]
        done = subprocess.run(asked, capture_output=True, text=True)
        return f"s6 {done.stdout.partition('-')[0] or 'of unknown version'}"
    done = subprocess.run([peer.program, "--version"], capture_output=True, text=True)
    return f"{peer.name} {done.stdout.split()[-1]}"
