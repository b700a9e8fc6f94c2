"""What the table of the peers measures. Each gives a figure to compare, and how it is shown.

The first line of a function's doc is the title of its row.
"""

import os
import shutil
import signal
import subprocess
import time

import flood
from reload import Load, free_port
from rig import HERE, QUIET, Beats, cpu_of, cpu_of_run, end, memory_of, ms, p50, until
from side import Ours, OfC, OfNode, OfPython, copy_of, end_all, living

LOOKS = 50
MORE = 200
KILLS = 20
# s6 waits until a program is a second old before it starts it again.
AGE = 1.2
SETTLE = 30
IDLE = 30
FEW = 10
PATIENCE = 5
RELOADS = 10


def quiet(count):
    return [(f"quiet{i}", QUIET) for i in range(count)]


def beating(count, bare, beats, prefix="beat"):
    return [(f"{prefix}{i}", [str(bare), "beat", beats.path]) for i in range(count)]


def look(side, folder, _bare):
    """Show 100 processes, CPU of the command."""
    with side(folder) as one:
        one.up(quiet(100))
        time.sleep(PATIENCE)
        argv, env = one.look()
        took = p50([cpu_of_run(argv, env) for _ in range(LOOKS)])
    return took, ms(took)


def start(side, folder, bare):
    """Start 200 more: from the command to the last one's first act."""
    with side(folder) as one:
        beats = Beats(folder / "beats")
        one.up(beating(1, bare, beats, "warm"))
        beats.next()
        at = time.monotonic()
        programs = beating(MORE, bare, beats)
        # The signs come while the command still runs.
        one.add(programs)
        took = max(beats.next(120)[1] for _ in range(MORE)) - at
        beats.close()
    return took, ms(took)


def restart(side, folder, bare):
    """A program is killed: until its successor acts."""
    with side(folder) as one:
        beats = Beats(folder / "beats")
        one.up(beating(1, bare, beats))
        pid, took = beats.next()[0], []
        for _ in range(KILLS):
            time.sleep(AGE)
            at = time.monotonic()
            end(pid)
            pid, alive = beats.next()
            took.append(alive - at)
        beats.close()
    return p50(took), f"{ms(p50(took))} (longest {ms(max(took))})"


def footprint(side, folder, count):
    with side(folder) as one:
        one.up(quiet(count))
        time.sleep(SETTLE)
        looks = [sum(memory_of(pid) for pid in one.own()) / 1024 for _ in range(PATIENCE)
                 if time.sleep(1) is None]
    return p50(looks), f"{p50(looks):.1f} MiB"


def memory_1(side, folder, _bare):
    """Memory (PSS) of the supervisor with 1 quiet process."""
    return footprint(side, folder, 1)


def memory_100(side, folder, _bare):
    """The same with 100."""
    return footprint(side, folder, 100)


def memory_500(side, folder, _bare):
    """The same with 500."""
    return footprint(side, folder, 500)


def idle(side, folder, _bare):
    """CPU of the supervisor, 100 quiet processes, share of a core."""
    with side(folder) as one:
        one.up(quiet(100))
        time.sleep(SETTLE)
        own = one.own()
        before = sum(cpu_of(pid) for pid in own)
        time.sleep(IDLE)
        used = (sum(cpu_of(pid) for pid in own) - before) / IDLE
    return used, f"{used * 100:.2f} %"


def lines(side, folder, bare):
    """A program prints 2,000,000 lines: how long it takes."""
    folder.mkdir(parents=True)
    result, log = folder / "took", folder / "log"
    argv = [str(bare), "flood", str(flood.LINES), "block", str(result)]
    with side(folder / "of") as one:
        files = one.flood(argv, log)
        until(lambda: result.exists() and result.read_text().endswith("\n"), "its end", 300)
        took = int(result.read_text()) / 1e9
        arrived = until_all(files)
    return took, f"{took:.2f} s, {flood.LINES - arrived} lost"


def until_all(files):
    """How many lines arrived, some seconds later at most."""
    deadline = time.monotonic() + PATIENCE
    while (seen := flood.lines(files())) < flood.LINES and time.monotonic() < deadline:
        time.sleep(0.2)
    return seen


def manager_dies(side, folder, bare):
    """`kill -9` of what watches 10 programs, then of one of these: it runs again; once all is back, so many run twice."""
    folder.mkdir(parents=True)
    own = copy_of(bare, folder)
    with side(folder / "of") as one:
        beats = Beats(folder / "beats")
        one.up(beating(FEW, own, beats))
        first = {beats.next()[0] for _ in range(FEW)}
        time.sleep(AGE)
        for pid in one.watchers():
            os.kill(pid, signal.SIGKILL)
        at = time.monotonic()
        ended = len(first - set(living(own)))
        end(next(iter(first)))
        back = until_back(own, first, at)
        one.again()
        time.sleep(PATIENCE)
        doubled = max(0, len(living(own)) - FEW)
        beats.close()
    end_all(own)
    again = f"after {ms(back)}" if back else f"not within {PATIENCE} s"
    ends = f", {ended} ended with it" if ended else ""
    return None, f"{again}; {doubled} twice{ends}"


def until_back(program, first, since):
    """Seconds until there is one that was not there before."""
    while time.monotonic() < since + PATIENCE:
        if set(living(program)) - first:
            return time.monotonic() - since
        time.sleep(0.005)
    return None


def reload(side, folder, _bare):
    """A Node.js server is reloaded 10 times under load: requests lost."""
    node, wrk, port = shutil.which("node"), shutil.which("wrk"), free_port()
    if node is None or wrk is None:
        return None, ""
    server = str(HERE / "served.js")
    with side(folder) as one:
        again = SERVED[side](one, [node, server], port)
        until(lambda: subprocess.run(["curl", "-sf", f"http://127.0.0.1:{port}/"],
                                     capture_output=True).returncode == 0, "it answers")
        with Load(port, ["-H", "Connection: close"]) as load:
            for _ in range(RELOADS):
                again()
                time.sleep(0.5)
            answered, lost = load.stop()
    return None, f"{lost:,} of {answered + lost:,}"


def served_by_mhost(one, argv, port):
    (one.folder / "mhost.toml").write_text(f"""
[process.web]
command = "{argv[0]}"
args = ["{argv[1]}", "${{FD}}"]
instances = 2
listen = ["tcp://127.0.0.1:{port}"]
health.http.url = "http://127.0.0.1:{port}/"
""")
    one.call("start")
    return lambda: one.call("reload", "web", "--wait")


def served_by_supervisord(one, argv, port):
    # Two of them cannot have the same port.
    one.up([("web", [*argv, str(port)])])
    return lambda: one.control_with("restart", "web")


def served_by_pm2(one, argv, port):
    more = {"interpreter": argv[0], "exec_mode": "cluster", "instances": 2, "wait_ready": True}
    one.start([("web", [argv[1], str(port)], more)])
    return lambda: one.call("reload", "web")


def served_by_s6(one, argv, port):
    one.up([("web", [*argv, str(port)])])
    # Restarted, and waited for until it has ended and is up again.
    return lambda: one.control("s6-svc", "-wr", "-r", one.scan / "web")


SERVED = {Ours: served_by_mhost, OfPython: served_by_supervisord, OfNode: served_by_pm2,
          OfC: served_by_s6}

MEASURES = {
    "look": look,
    "start": start,
    "restart": restart,
    "memory-1": memory_1,
    "memory-100": memory_100,
    "memory-500": memory_500,
    "idle": idle,
    "lines": lines,
    "manager": manager_dies,
    "reload": reload,
}
