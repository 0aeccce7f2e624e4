"""The parent's side of a worker: orders out, replies in, and an end to each that hangs."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core.errors import HarnessError
from harness.core.flag import Flag
from harness.core.trial import CRASHED, ERROR, OK, OOM, TIMEOUT, Sample
from harness.launch import log
from harness.launch.orphans import cause_of_end, descendants

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from harness.launch.fork_server import ForkServer


class Worker:
    """A case's process as the parent sees it."""

    def __init__(self, server: ForkServer, pid: int, connection: socket.socket, path: Path, timeout_s: float) -> None:
        self._server = server
        self._pid = pid
        self._connection = connection
        self._left_s = timeout_s
        self._timeout_s = timeout_s
        self._pidfd = os.pidfd_open(pid)
        self._buffer = b""
        self._log = path
        self._kills_before = 0
        self.status, self.message, self.steady = OK, "", True
        self.executed: tuple[str, ...] = ()
        self.flags: tuple[Flag, ...] = ()
        self.active_s = 0.0

    @property
    def alive(self) -> bool:
        """Whether the worker can take another order."""
        return self.status == OK and self._pidfd >= 0

    def ask(self, name: str, **arguments: Any) -> list[Sample]:
        """Give the worker the turn for one pass, and return its samples.

        Nobody else runs meanwhile: between its turns the worker is stopped, with everything it started. What goes
        wrong ends the worker, and is left in ``status`` and ``message``.
        """
        started = time.monotonic()
        self._kills_before = _oom_kills()
        self._signal(signal.SIGCONT)
        reply = self._exchange(name, arguments)
        self._signal(signal.SIGSTOP)
        spent = time.monotonic() - started
        self.active_s += spent
        self._left_s -= spent
        if reply is None:
            return []
        self.steady = reply.get("steady", True)
        self.executed, self.flags = tuple(reply.get("executed", ())), reply["flags"]
        if reply["status"] != OK:
            self._end(reply["status"], reply["message"])
        return list(reply["samples"])

    def finish(self) -> None:
        """Let the worker end in order; threads and processes that it leaves are its fault."""
        if self.alive:
            self.ask("finish")
        if self.alive:
            self._signal(signal.SIGCONT)
            self._end(OK, "exit", blame_left=True)

    def kill(self) -> None:
        """End the worker at once, without a verdict."""
        if self._pidfd >= 0:
            self._signal(signal.SIGKILL)
            with contextlib.suppress(HarnessError):  # a server that is gone took its workers along
                self._end(self.status, self.message)

    def log_tail(self) -> str:
        """Return the end of what the worker wrote."""
        return log.tail(self._log)

    def _exchange(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        order = json.dumps({"pass": name, **arguments}).encode() + b"\n"
        deadline = time.monotonic() + self._left_s
        try:
            self._connection.sendall(order)
            line = self._line(deadline)
        except OSError:
            line = b""
        if line is None:
            self._signal(signal.SIGKILL)
            self._end(TIMEOUT, f"{name}: no answer within the {self._timeout_s:g} s of a case in a launch")
            return None
        if not line:
            self._end(CRASHED, name, died=True)
            return None
        try:
            reply = json.loads(line)
            samples = [Sample(*row) for row in reply["samples"]]
            flags = tuple(flag for flag in Flag if flag in reply.get("flags", ()))
            return {**reply, "samples": samples, "flags": flags}
        except (ValueError, TypeError, KeyError):
            self._end(ERROR, f"{name}: something other than the worker's reply was written to its connection")
            return None

    def _line(self, deadline: float) -> bytes | None:
        """Return the next line, empty if the worker ended first, None at the deadline."""
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        poll.register(self._pidfd, select.POLLIN)
        while b"\n" not in self._buffer:
            log.trim(self._log)
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            # Woken once a second at most: a parent that polls would disturb what it waits for.
            ready = {descriptor for descriptor, _ in poll.poll(min(left, 1.0) * 1000)}
            if self._connection.fileno() in ready:
                data = self._connection.recv(1 << 20)
                if not data:
                    return b""
                self._buffer += data
            elif self._pidfd in ready:
                return b""
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _end(self, status: str, message: str, *, died: bool = False, blame_left: bool = False) -> None:
        """Close the connection, wait for the process, kill what it left, and settle the status."""
        self._connection.close()
        if status != OK and not died:
            self._signal(signal.SIGKILL)
        os.close(self._pidfd)
        self._pidfd = -1
        end = self._server.reap(self._pid)
        if died or (blame_left and end["code"]):
            status, message = _explain(end["code"], message, _oom_kills() > self._kills_before)
        elif blame_left:
            names = ", ".join(end["left"][:5])
            found = (ERROR, f"left {len(end['left'])} process(es) running: {names}")
            status, message = found if names else (OK, "")
        self.status, self.message = status, message

    def _signal(self, number: int) -> None:
        """Send a signal to the worker and to all that came from it, also in sessions of their own."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)
            for one in descendants(self._pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, number)


def _explain(code: int, name: str, oom_killed: bool) -> tuple[str, str]:
    """Name the end of a worker that did not answer."""
    if code == -signal.SIGKILL and oom_killed:
        return OOM, f"{name}: killed by the kernel for want of memory"
    return CRASHED, f"{name}: {'the process ' if code >= 0 else ''}{cause_of_end(code)}"


def _oom_kills() -> int:
    """Return how many processes the kernel has killed for want of memory since it started."""
    for line in Path("/proc/vmstat").read_text().splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0
