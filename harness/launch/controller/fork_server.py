"""The parent's side of a fork server: workers are started from it, and end with it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, NoReturn, Self

from harness.launch import log
from harness.launch.controller.hosts import ALONE
from harness.launch.controller.worker_process import WorkerProcess
from harness.launch.forked import ServerLostError, explain_end
from harness.launch.processes import adopt_orphans, end_orphans
from harness.launch.server import MESSAGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from io import FileIO
    from pathlib import Path

    from harness.launch.code_version import CodeVersion
    from harness.launch.controller.hosts import Hosts
    from harness.launch.protocol import WorkerSpec

_START_S = 120.0
# Processes of all servers here. What one that died has left is killed, and the others are not.
_running: set[int] = set()


class ForkServer:
    """One launch of a side: a fresh interpreter from which workers are forked. Closing it ends all of them.

    Attributes:
        deaths: how often the interpreter has died; after each, the next worker is forked from another.
    """

    def __init__(self, threads: int, folder: Path, side: CodeVersion, hosts: Hosts = ALONE) -> None:
        adopt_orphans()
        self._folder = folder
        self._threads = threads
        self.side = side
        self.hosts = hosts
        self.deaths = 0
        # The gang of each worker, 0 if all of its ranks are on this host.
        self._gangs: dict[int, int] = {}
        self._count = 0
        self._runtime: dict[str, Any] = {}
        self._cause_of_death = ""
        self._start_process()

    @property
    def runtime(self) -> dict[str, Any]:
        """The settings of torch that the server found itself with; waits until it is up.

        Raises:
            ServerLostError: it does not start.
        """
        if not self._runtime:
            self._runtime = self._receive()
        return self._runtime

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def fork(self, spec: WorkerSpec, memory_limit: int, timeout_s: float) -> WorkerProcess:
        """Start a worker, with its ranks on other hosts; it waits for its first order."""
        side = self.side
        spec = replace(spec, sources=side.sources, planted=side.planted, revision=bool(side.path))
        spec, guests = self.hosts.fork(spec, memory_limit)
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as stack:
            for one in (theirs, *guests):
                stack.enter_context(one)
            pid, sink = self.start(asdict(spec), memory_limit, theirs, guests)
        return WorkerProcess(self, pid, ours, sink, timeout_s)

    def start(
        self,
        spec: Mapping[str, Any],
        memory_limit: int,
        connection: socket.socket,
        guests: Iterable[socket.socket] = (),
    ) -> tuple[int, FileIO]:
        """Start a process that takes its orders over a connection; return its id and its log.

        Raises:
            ServerLostError: the fork server has died, and another one at once.
        """
        self._count += 1
        sink = log.create_log(self._folder / f"worker-{self._process.pid}-{self._count}.log")
        descriptors = (connection.fileno(), sink.fileno(), *(guest.fileno() for guest in guests))
        request = {**spec, "memory_limit": memory_limit}
        try:
            pid = self._fork(request, descriptors)
        except ServerLostError:  # between two workers, neither of which can be blamed
            pid = self._fork(request, descriptors)
        self._gangs[pid] = spec.get("gang", 0)
        return pid, sink

    def has(self, pid: int) -> bool:
        """Whether a worker that was started here has neither been reaped nor died with its server."""
        return pid in self._gangs

    def answers(self) -> bool:
        """Whether the server is there. It is asked, as a process that was killed does not die at once."""
        try:
            self._send({"ping": True})
            self._receive()
        except ServerLostError:
            return False
        return True

    def reap(self, pid: int) -> dict[str, Any]:
        """Wait for a worker's end; return its exit code, and the number and some names of the processes it left.

        Raises:
            ServerLostError: the server has died, now or earlier.
        """
        if pid not in self._gangs:
            raise ServerLostError(self._cause_of_death)
        self.hosts.end(self._gangs.pop(pid))
        self._send({"reap": pid})
        return self._receive()

    def close(self) -> None:
        """End the server and, through it, everything that was started from it."""
        self._control.close()
        self._resume()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _running.discard(self._process.pid)
        self._log.close()
        if self._process.returncode:
            # It did not end in order, so its workers died with it, and what they left came to this process.
            end_orphans(keep=_running, since=self._started)

    def _start_process(self) -> None:
        self._started = time.time()
        self._runtime = {}
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(_START_S)
        self._log = log.create_log(self._folder / f"server-{time.monotonic_ns()}.log")
        module = ("-P", "-m", "harness.launch.server", str(theirs.fileno()), str(self._folder))
        self._process = subprocess.Popen(
            (self.side.python, *module),
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
            env={**os.environ, **_variables(self._threads), **_path(self.side)},
        )
        _running.add(self._process.pid)
        theirs.close()

    def _fork(self, request: Mapping[str, Any], descriptors: Iterable[int]) -> int:
        if self._control.fileno() < 0:
            self._start_process()
        _ = self.runtime
        self._send(request, *descriptors)
        return int(self._receive()["pid"])

    def _send(self, request: Mapping[str, Any], *descriptors: int) -> None:
        self._resume()
        try:
            socket.send_fds(self._control, [json.dumps(request).encode()], descriptors)
        except OSError:
            self._lose()

    def _resume(self) -> None:
        """Let the server go on, should an implementation have stopped it."""
        self._process.send_signal(signal.SIGCONT)

    def _receive(self) -> dict[str, Any]:
        try:
            data = self._control.recv(MESSAGE)
        except TimeoutError:
            self._lose(f"does not answer within {_START_S:g} s")
        except OSError:
            data = b""
        if not data:
            self._lose()
        return json.loads(data)  # type: ignore[no-any-return]

    def _lose(self, why: str = "") -> NoReturn:
        lines = log.read_tail(self._log).strip().splitlines()
        self.close()
        self.deaths += 1
        gangs, self._gangs = self._gangs, {}
        for gang in gangs.values():
            self.hosts.end(gang)
        said = f" ({lines[-1]})" if lines else ""
        self._cause_of_death = f"the fork server {why or explain_end(self._process.returncode)}{said}"
        raise ServerLostError(self._cause_of_death)


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


def _path(side: CodeVersion) -> dict[str, str]:
    """Return the variable by which a side imports its own version before any other."""
    if not side.path:
        return {}
    return {"PYTHONPATH": os.pathsep.join(filter(None, (*side.path, os.environ.get("PYTHONPATH", ""))))}
