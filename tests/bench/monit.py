"""The first frame of `mhost monit` with 500 processes, and what it costs to leave it open."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time

from rig import QUIET, Mhost, cpu_of, ms, p50, row

COUNT = 500
RUNS = 10
IDLE = 30
SIZES = ((80, 24), (200, 50))


class Screen:
    """`mhost monit` in a terminal of its own."""

    def __init__(self, mhost, columns, rows):
        self.begun = time.monotonic()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            size = struct.pack("HHHH", rows, columns, 0, 0)
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            env = dict(mhost.env, TERM="xterm-256color")
            os.execve(mhost.program, [mhost.program, "monit"], env)

    def until(self, text, seconds=20):
        """Seconds from the start until this was drawn."""
        seen = b""
        while time.monotonic() - self.begun < seconds:
            seen += self.read(0.1)
            if text in seen:
                return time.monotonic() - self.begun
        raise TimeoutError(f"{text} was not drawn")

    def read(self, seconds):
        ready, _, _ = select.select([self.fd], [], [], seconds)
        try:
            return os.read(self.fd, 1 << 16) if ready else b""
        except OSError:  # the other side is closed
            return b""

    def idle(self, seconds):
        """Bytes drawn while nobody does anything."""
        drawn, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            drawn += len(self.read(0.2))
        return drawn

    def close(self):
        os.kill(self.pid, signal.SIGTERM)
        self.read(0.2)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def run(folder, _bare):
    with Mhost(folder / "mhost") as mhost:
        mhost.start([(f"quiet{i}", QUIET, {}) for i in range(COUNT)])
        for columns, rows in SIZES:
            firsts = []
            for _ in range(RUNS):
                screen = Screen(mhost, columns, rows)
                firsts.append(screen.until(b"quiet1"))
                screen.close()
            row(f"`mhost monit` {columns}×{rows}, {COUNT} processes, start to first frame p50",
                RUNS, ms(p50(firsts)), f"worst {ms(max(firsts))}", "< 50 ms")
        screen = Screen(mhost, 80, 24)
        screen.until(b"quiet1")
        screen.idle(3)
        ours, daemon = cpu_of(screen.pid), cpu_of(mhost.pid())
        drawn = screen.idle(IDLE)
        ours, daemon = cpu_of(screen.pid) - ours, cpu_of(mhost.pid()) - daemon
        screen.close()
    row(f"the same, left open for {IDLE} s, CPU of one core", 1,
        f"{ours / IDLE * 100:.2f} %", f"daemon {daemon / IDLE * 100:.2f} %, {drawn // IDLE} bytes/s",
        "≈ 0")
