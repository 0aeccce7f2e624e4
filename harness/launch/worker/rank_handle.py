"""A rank as the leader of its gang sees it: a process that it forked, or one on another host."""

from __future__ import annotations

import json
import os
import select
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from harness.core.trial import CRASHED, ERROR, OK, Status
from harness.launch.forked import explain_end
from harness.launch.protocol import Lines, Reply, read_reply

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

# Questions of which the quickest answered tells how far two clocks are apart.
_QUESTIONS = 20


class RankError(Exception):
    """A fault of a rank other than the leader, with its status."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status


class RankHandle:
    """A rank that takes its orders from the leader.

    Args:
        rank: its number.
        connection: to it.
        pid: of its process; 0 where that is another host's.
        host: the name of that.
    """

    def __init__(self, rank: int, connection: socket.socket, pid: int = 0, host: str = "") -> None:
        self.rank, self.connection, self.pid = rank, connection, pid
        self.name = f"rank {rank} on {host}" if host else f"rank {rank}"
        self._lines = Lines(connection)
        # Of the peer's clock ahead of ours, and of a question to its answer; one host has one clock.
        self.ahead_s = self.delay_s = 0.0

    def tell(self, order: Mapping[str, Any]) -> None:
        """Send an order."""
        try:
            self.connection.sendall(json.dumps(order).encode() + b"\n")
        except OSError:
            self._raise_end()

    def reply(self, deadline: float) -> Reply | None:
        """Return the reply to the last order, None at the deadline.

        Raises:
            RankError: the rank has died, or has written anything else.
        """
        while (line := self._lines.take()) is None:
            left = deadline - time.monotonic()
            if not select.select([self.connection], [], [], None if left == float("inf") else max(0.0, left))[0]:
                return None
            if not self._lines.receive():
                self._raise_end()
        try:
            reply = read_reply(line)
        except ValueError as error:
            raise RankError(ERROR, f"{self.name}: {error}") from None
        return replace(reply, at=reply.at - self.ahead_s)

    def compare_clocks(self) -> None:
        """Find out how far another host's clock is ahead: an answer was given halfway from question to reply.

        The error is at most half of the quickest question's time (Mills 1991, the clock offset of NTP).

        Raises:
            RankError: the rank has died, or did not become a worker.
        """
        found = []
        for _ in range(_QUESTIONS):
            asked = time.monotonic()
            self.tell({"pass": "answer"})
            reply = self.reply(float("inf"))
            delay = time.monotonic() - asked
            if reply and reply.status != OK:
                raise RankError(reply.status, f"{self.name}: {reply.message}")
            found.append((delay, reply.at - asked - delay / 2 if reply else 0.0))
        self.delay_s, self.ahead_s = min(found)

    def wait(self) -> str:
        """Wait for the end of the rank, and say how it ended."""
        if not self.pid:
            return ": the connection to it ended"
        try:
            return f" {explain_end(os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]))}"
        except ChildProcessError:
            return " ended"  # the implementation has waited for all children of the process

    def _raise_end(self) -> NoReturn:
        raise RankError(CRASHED, f"{self.name}{self.wait()}")
