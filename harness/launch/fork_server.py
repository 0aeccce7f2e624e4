"""The parent's side of a fork server: workers are started from it, and end with it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from dataclasses import asdict, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from harness.core.errors import HarnessError
from harness.launch import log
from harness.launch.hosts import ALONE
from harness.launch.orphans import adopt_orphans, end_orphans
from harness.launch.remote import Worker
from harness.launch.server import MESSAGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from harness.launch.hosts import Hosts
    from harness.launch.launcher import WorkerSpec
    from harness.launch.side import Side

_START_S = 120.0


class ForkServer:
    """One launch of a side: a fresh interpreter from which workers are forked. Closing it ends all of them."""

    def __init__(self, threads: int, folder: Path, side: Side, hosts: Hosts = ALONE) -> None:
        adopt_orphans()
        self._folder = folder
        self.side = side
        self.hosts = hosts
        self._gangs: dict[int, int] = {}
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

    def fork(self, spec: WorkerSpec, memory_limit: int, timeout_s: float) -> Worker:
        """Start a worker, with its ranks on other hosts; it waits for its first order."""
        side = self.side
        spec = replace(spec, sources=side.sources, planted=side.planted, revision=bool(side.path))
        spec, guests = self.hosts.fork(spec, memory_limit)
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as stack:
            for one in (theirs, *guests):
                stack.enter_context(one)
            pid, path = self.start(asdict(spec), memory_limit, theirs, guests)
        self._gangs[pid] = spec.gang
        return Worker(self, pid, ours, path, timeout_s)

    def start(
        self,
        spec: Mapping[str, Any],
        memory_limit: int,
        connection: socket.socket,
        guests: Iterable[socket.socket] = (),
    ) -> tuple[int, Path]:
        """Start a process that takes its orders over a connection; return its id and its log."""
        _ = self.runtime
        self._count += 1
        path = self._folder / f"worker-{self._process.pid}-{self._count}.log"
        with path.open("ab") as sink:
            descriptors = (connection.fileno(), sink.fileno(), *(guest.fileno() for guest in guests))
            self._send({**spec, "memory_limit": memory_limit}, *descriptors)
            return self._receive()["pid"], path

    def reap(self, pid: int) -> dict[str, Any]:
        """Wait for a worker's end; return its exit code and the names of the processes it left."""
        self.hosts.end(self._gangs.pop(pid, 0))
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
