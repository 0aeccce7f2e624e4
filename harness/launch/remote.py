"""The parent's side of a fork server and its workers: orders out, replies in, and an end to each that hangs."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from harness.core.errors import HarnessError
from harness.core.trial import CRASHED, ERROR, OK, OOM, TIMEOUT, Sample
from harness.launch import log
from harness.launch.orphans import adopt_orphans, cause_of_end, descendants, end_orphans
from harness.launch.server import MESSAGE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.launch.side import Side

_START_S = 120.0


class ForkServer:
    """One launch of a side: a fresh interpreter from which workers are forked. Closing it ends all of them."""

    def __init__(self, threads: int, folder: Path, side: Side) -> None:
        adopt_orphans()
        self._folder = folder
        self.side = side
        self._count = 0
        self._started = time.time()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = ours
        command = (side.python, "-P", "-m", "harness.launch.server", str(theirs.fileno()), str(folder))
        self._log = folder / f"server-{theirs.fileno()}.log"
        with self._log.open("wb") as sink:
            self._process = subprocess.Popen(
                command,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                env={**os.environ, **_variables(threads), **_path(side)},
            )
        theirs.close()
        ours.settimeout(_START_S)

    @cached_property
    def runtime(self) -> dict[str, Any]:
        """The settings of torch that the server found itself with; waits until it is up.

        Raises:
            HarnessError: it does not start.
        """
        return self._receive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def fork(self, spec: Mapping[str, Any], memory_limit: int, timeout_s: float) -> Worker:
        """Start a worker, which waits for its first order."""
        _ = self.runtime
        self._count += 1
        path = self._folder / f"worker-{self._process.pid}-{self._count}.log"
        ours, theirs = socket.socketpair()
        with theirs, path.open("ab") as sink:
            side = {"sources": self.side.sources, "planted": self.side.planted, "revision": bool(self.side.path)}
            self._send({**spec, **side, "memory_limit": memory_limit}, theirs.fileno(), sink.fileno())
            pid = self._receive()["pid"]
        return Worker(self, pid, ours, path, timeout_s)

    def reap(self, pid: int) -> dict[str, Any]:
        """Wait for a worker's end; return its exit code and the names of the processes it left."""
        self._send({"reap": pid})
        return self._receive()

    def close(self) -> None:
        """End the server and, through it, everything that was started from it."""
        self._control.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.returncode:
            # It did not end in order, so its workers died with it, and what they left came to this process.
            end_orphans(keep=(), since=self._started)

    def _send(self, request: Mapping[str, Any], *descriptors: int) -> None:
        try:
            socket.send_fds(self._control, [json.dumps(request).encode()], descriptors)
        except OSError as error:
            raise HarnessError(f"the fork server is gone ({error}); {self._last_words()}") from None

    def _receive(self) -> dict[str, Any]:
        try:
            data = self._control.recv(MESSAGE)
        except OSError as error:
            raise HarnessError(f"the fork server does not answer ({error}); {self._last_words()}") from None
        if not data:
            raise HarnessError(f"the fork server ended; {self._last_words()}")
        return json.loads(data)  # type: ignore[no-any-return]

    def _last_words(self) -> str:
        lines = log.tail(self._log).strip().splitlines()
        return lines[-1] if lines else "it said nothing"


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
        self.flags: tuple[str, ...] = ()
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
        self.executed, self.flags = tuple(reply.get("executed", ())), tuple(reply.get("flags", ()))
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
            return {**reply, "samples": [Sample(*row) for row in reply["samples"]]}
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


def _variables(threads: int) -> dict[str, str]:
    return {
        "OMP_NUM_THREADS": str(threads),
        # OpenBLAS starts its threads when NumPy is imported, and a server must have none when it forks.
        "OPENBLAS_NUM_THREADS": "1",
        # Compile in the worker itself: threads and processes of a compiler would be left running beside the step.
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
        # Number devices as NVML does, and count them without opening a context.
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    }


def _path(side: Side) -> dict[str, str]:
    """Return the variable by which a side imports its own version before any other."""
    if not side.path:
        return {}
    return {"PYTHONPATH": os.pathsep.join(filter(None, (*side.path, os.environ.get("PYTHONPATH", ""))))}


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
