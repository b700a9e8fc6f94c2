"""What thinking costs: diagnoses, known illnesses, slow looks, and playbooks that mean harm."""

import json
import socket
import statistics
import time

from rig import QUIET, Mhost, cpu_of, row, until

RUNS = 40
MANY = 1000
PLAYBOOKS = 100
WATCHED = 60
ASKED = 600
AGENT = '[agent]\nenabled = true\nautonomy = "autonomous"\npoll_interval = "1s"\n'

STORM = """
const META = #{ name: "storm", version: 1, description: "Restart a storm", on: ["tick"],
                cooldown: "1s", max_per_hour: 20 };
fn matches(c) { c.state == "online" && c.log_count("pool is drained", "3s") >= 3 }
fn reason(c) { `${c.name} says that its pool is drained` }
fn plan(c) { [ restart() ] }
fn verify(c) { if c.age_s < 3.0 { () } else { c.log_count("pool is drained", "1s") == 0 } }
"""
EVERY_OTHER = ["/bin/bash", "-c", "n=$(cat n 2>/dev/null || echo 0); echo $((n+1)) > n; "
               "while sleep 0.2; do [ $((n % 2)) = 1 ] || echo TypeError: pool is drained; done"]
BOMBS = [
    "fn matches(c) { let x = 0; loop { x += 1; } }",
    "fn matches(c) { try { loop { } } catch { loop { } } }",
    'fn matches(c) { let s = "x"; loop { s += s; } }',
    "fn matches(c) { let a = []; loop { a.push(a.len()); } }",
    "fn matches(c) { let m = #{}; let i = 0; loop { m[`k${i}`] = i; i += 1; } }",
    "fn f(x) { f(x + 1) } fn matches(c) { f(0) }",
    "fn matches(c) { sleep(60); true }",
    'fn matches(c) { true } fn plan(c) { let s = "x"; while s.len() < 60000 { s += s; } [ notify("info", s) ] }',
    "fn matches(c) { 42 }",
    'fn matches(c) { true } fn plan(c) { "rm -rf /" }',
]


def run(folder, _bare):
    diagnoses(folder / "diagnoses")
    known(folder / "known")
    bombs(folder / "bombs")
    looks(folder / "looks")


class Line:
    """A connection that asks and measures."""

    def __init__(self, mhost):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(mhost.home / "mhost.sock"))
        self.file = self.socket.makefile("rw")

    def ask(self, method, params=None):
        """The answer and how long it took, in milliseconds."""
        begun = time.monotonic()
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
        print(json.dumps(request), file=self.file, flush=True)
        answer = json.loads(self.file.readline())
        return answer.get("result"), (time.monotonic() - begun) * 1000


def figures(values):
    values = sorted(values)
    at = lambda share: values[min(len(values) - 1, int(len(values) * share))]
    return f"p50 {at(.5):.1f} ms, p95 {at(.95):.1f} ms, longest {values[-1]:.1f} ms"


def diagnoses(folder):
    """Of a process that is well, and of one that died of a missing file."""
    with Mhost(folder) as mhost:
        mhost.define([("well", QUIET, {}),
                      ("ill", ["/bin/bash", "-c", "echo open etc/a.conf: No such file or directory >&2; exit 3"],
                       {"max_restarts": 2, "restart_delay": '"10ms"'})])
        mhost.call("start", "--no-wait", check=False)
        until(lambda: '"errored' in mhost.call("list", "--json"), "it is ill")
        time.sleep(2)
        line = Line(mhost)
        for name in ("well", "ill"):
            took = [line.ask("ai.diagnose", {"name": name})[1] for _ in range(RUNS)]
            row(f"`ai diagnose` of a process that is {name}, as asked over the socket", RUNS,
                figures(took), "", "about 1 s")


def known(folder):
    """The second time an illness is met: what its learned playbook took to decide."""
    with Mhost(folder, AGENT.replace('"autonomous"', '"semi"')) as mhost:
        mhost.call("list")
        (mhost.home / "brain/playbooks").mkdir(parents=True, exist_ok=True)
        (mhost.home / "brain/playbooks/storm.rhai").write_text(STORM)
        mhost.start([("api", EVERY_OTHER, {})])
        line = Line(mhost)

        def learned():
            rows = line.ask("brain.playbooks")[0]["playbooks"]
            return next((one["name"] for one in rows if one["source"] == "learned"), None)

        name = until(learned, "something is learned", 120)
        mhost.call("brain", "playbook", "disable", "storm")
        mhost.call("restart", "api")

        def decided():
            rows = line.ask("brain.history", {"limit": 50})[0]["history"]
            return [one["decided_ms"] for one in rows if one["playbook"] == name]

        took = until(decided, "it decides", 120)
        row("a learned playbook decides (`decided_ms` of `brain history`)", len(took),
            f"{statistics.median(took):.1f} ms", "", "< 100 ms")


def bombs(folder):
    """A hundred playbooks that mean harm, while another connection is served."""
    with Mhost(folder, AGENT) as mhost:
        mhost.start([(f"p{i}", ["/bin/bash", "-c", "while sleep 0.5; do echo Error: x; done"], {})
                     for i in range(4)])
        line = Line(mhost)
        asked = lambda: [line.ask("process.list")[1] for _ in range(ASKED) if not time.sleep(.01)]
        quiet = asked()
        place = mhost.home / "brain/playbooks"
        place.mkdir(parents=True, exist_ok=True)
        for i in range(PLAYBOOKS):
            code = BOMBS[i % len(BOMBS)]
            plan = "" if "fn plan" in code else "fn plan(c) { [ restart() ] }"
            (place / f"bomb-{i}.rhai").write_text(
                f'const META = #{{ name: "bomb-{i}", version: 1, description: "x", on: ["tick"] }};\n{code}\n{plan}\n')
        loud = asked()

        def broken():
            rows = line.ask("brain.playbooks")[0]["playbooks"]
            rows = [one for one in rows if one["name"].startswith("bomb-")]
            marked = [one for one in rows if one["state"] == "broken" and one.get("line")]
            return marked if len(marked) >= PLAYBOOKS * .9 or time.monotonic() > end else None

        end = time.monotonic() + 30
        marked = until(broken, "they are marked", 60)
        row("`process.list` over the socket, before the bombs", len(quiet), figures(quiet), "", "")
        row(f"the same while {PLAYBOOKS} bombs are loaded and run", len(loud), figures(loud), "", "50 ms more")
        row(f"bombs marked broken with line and column, of {PLAYBOOKS}", 1, len(marked), "", "100")


def looks(folder):
    """The slow looks at many processes, with many playbooks that ask of each."""
    with Mhost(folder, AGENT.replace('"1s"', '"5s"')) as mhost:
        mhost.define([(f"quiet{i}", QUIET, {}) for i in range(MANY)])
        mhost.call("start", "--no-wait")
        until(lambda: mhost.call("list", "--json").count('"state":"online"') >= 2 * MANY,
              "all are online", 600)
        time.sleep(65)
        used = []
        for count in (0, PLAYBOOKS):
            place = mhost.home / "brain/playbooks"
            place.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                (place / f"look-{i}.rhai").write_text(
                    f'const META = #{{ name: "look-{i}", version: 1, description: "x", on: ["tick"] }};\n'
                    'fn matches(c) { c.state == "online" && c.cpu_above(90, "60s") }\nfn plan(c) { [ restart() ] }\n')
            time.sleep(10)
            before = cpu_of(mhost.pid())
            time.sleep(WATCHED)
            used.append((cpu_of(mhost.pid()) - before) / WATCHED * 100)
        row(f"CPU of the daemon, {MANY} quiet processes, a look each 5 s", 1, f"{used[0]:.1f} % of a core", "", "")
        row(f"the same with {PLAYBOOKS} playbooks that ask of each", 1,
            f"{used[1]:.1f} % of a core", f"{(used[1] - used[0]) / MANY / PLAYBOOKS * 50_000:.1f} µs a call", "")
        line = Line(mhost)
        took = [line.ask("brain.status")[1] for _ in range(10)]
        row(f"`brain.status`: the health score of {MANY} processes", 10, figures(took), "", "")
