"""The parent's side of a worker: orders out, replies in, and an end to each that hangs."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from harness.core.errors import HarnessError
from harness.core.flag import Flag
from harness.core.trial import CRASHED, ERROR, OK, OOM, TIMEOUT, Sample, Status
from harness.launch import log
from harness.launch.forked import ServerLostError, explain_end
from harness.launch.processes import list_descendants
from harness.launch.protocol import Lines, Reply, read_reply

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from io import FileIO


class Reaper(Protocol):
    """The process that a worker was forked from, as far as the worker's handle needs it."""

    def has(self, pid: int) -> bool:
        """Whether a worker has neither been reaped nor died with its server."""

    def answers(self) -> bool:
        """Whether the server is there."""

    def reap(self, pid: int) -> dict[str, Any]:
        """Wait for a worker's end; return its exit code and the processes that it left."""


class WorkerProcess:
    """The process of a case as the controller sees it."""

    def __init__(self, server: Reaper, pid: int, connection: socket.socket, sink: FileIO, timeout_s: float) -> None:
        self._server = server
        self._pid = pid
        self._connection = connection
        self._lines = Lines(connection)
        self._left_s = timeout_s
        self._timeout_s = timeout_s
        self._pidfd = os.pidfd_open(pid)
        self._log = sink
        self._log_tail = ""
        self._kills_before = 0
        self._orders = 0
        self._doing = ""
        self.status, self.message, self.steady = OK, "", True
        self.executed: tuple[str, ...] = ()
        self.flags: tuple[Flag, ...] = ()
        self.active_s = 0.0

    @property
    def alive(self) -> bool:
        """Whether the worker can take another order; none can whose fork server has died."""
        return self.status == OK and self._pidfd >= 0 and self._server.has(self._pid)

    def ask(self, name: str, **arguments: Any) -> list[Sample]:
        """Give the worker the turn for one pass, and return its samples.

        Nobody else runs meanwhile: between its turns the worker is stopped, with everything it started. What goes
        wrong ends the worker, and is left in ``status`` and ``message``. So does damage to the harness's processes and
        files that is found after the pass.
        """
        started = time.monotonic()
        self._kills_before = _oom_kills()
        self._doing = name
        had_log = not log.is_removed(self._log)
        self._signal(signal.SIGCONT)
        reply = self._exchange(name, arguments)
        self._signal(signal.SIGSTOP)
        spent = time.monotonic() - started
        self.active_s += spent
        self._left_s -= spent
        if reply is None:
            return []
        self.steady = reply.steady
        self.executed, self.flags = tuple(reply.executed), tuple(flag for flag in Flag if flag in reply.flags)
        if reply.status != OK:
            self._end(reply.status, reply.message)
        elif not self._server.answers():
            self._end(CRASHED, "")
        elif had_log and log.is_removed(self._log):
            self._end(ERROR, f"{name}: removed the file that its output is kept in, one of the harness's own")
        return list(reply.samples)

    def finish(self) -> None:
        """Let the worker end in order; threads and processes that it leaves are its fault."""
        if self.alive:
            self.ask("finish")
        if self.alive:
            self._signal(signal.SIGCONT)
            self._doing = "exit"
            self._end(OK, "", blame_left=True)

    def kill(self) -> None:
        """End the worker at once, without a verdict."""
        if self._pidfd >= 0:
            self._signal(signal.SIGKILL)
            with contextlib.suppress(HarnessError):  # another host is gone
                self._end(self.status, self.message)

    def log_tail(self) -> str:
        """Return the end of what the worker wrote."""
        return self._log_tail if self._log.closed else log.read_tail(self._log)

    def _exchange(self, name: str, arguments: Mapping[str, Any]) -> Reply | None:
        self._orders += 1
        order = json.dumps({"pass": name, "number": self._orders, **arguments}).encode() + b"\n"
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
            self._end(CRASHED, "", died=True)
            return None
        try:
            reply = read_reply(line)
            if reply.number != self._orders:
                raise ValueError("its connection has more than one reply to an order")
        except ValueError as error:
            self._end(ERROR, f"{name}: {error}")
            return None
        return reply

    def _line(self, deadline: float) -> bytes | None:
        """Return the next line, empty if the worker ended first, None at the deadline."""
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        poll.register(self._pidfd, select.POLLIN)
        while (line := self._lines.take()) is None:
            log.trim_log(self._log)
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            # Woken once a second at most: a parent that polls would disturb what it waits for.
            ready = {descriptor for descriptor, _ in poll.poll(min(left, 1.0) * 1000)}
            if self._connection.fileno() in ready:
                if not self._lines.receive():
                    return b""
            elif self._pidfd in ready:
                return b""
        return line

    def _end(self, status: Status, message: str, *, died: bool = False, blame_left: bool = False) -> None:
        """Close the connection, wait for the process, kill what it left, and settle the status."""
        self._connection.close()
        if status != OK and not died:
            self._signal(signal.SIGKILL)
        os.close(self._pidfd)
        self._pidfd = -1
        try:
            end = self._server.reap(self._pid)
        except ServerLostError as error:
            self.status, self.message = CRASHED, f"{self._doing}: {error}, and all that was forked from it"
            return
        finally:
            self._log_tail = log.read_tail(self._log)
            self._log.close()
        if died or (blame_left and end["code"]):
            status, message = _explain(end["code"], self._doing, _oom_kills() > self._kills_before)
        elif blame_left and end["left"]:
            status, message = ERROR, f"left {end['left']} process(es) running: {', '.join(end['names'])}"
        self.status, self.message = status, message

    def _signal(self, number: int) -> None:
        """Send a signal to the worker and to all that came from it, also in sessions of their own."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)
            for one in list_descendants(self._pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, number)


def _explain(code: int, name: str, oom_killed: bool) -> tuple[Status, str]:
    """Name the end of a worker that did not answer."""
    if code == -signal.SIGKILL and oom_killed:
        return OOM, f"{name}: killed by the kernel for want of memory"
    return CRASHED, f"{name}: {'the process ' if code >= 0 else ''}{explain_end(code)}"


def _oom_kills() -> int:
    """Return how many processes the kernel has killed for want of memory since it started."""
    for line in Path("/proc/vmstat").read_text().splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0
