"""The fork server: a fresh interpreter that has imported torch, started no thread and touched no device.

Run as ``python -P -m harness.launch.server FD FOLDER``: FD is a socket of whole messages, FOLDER what the run keeps for
a while. A worker forked from here starts in milliseconds where a new interpreter takes seconds. All workers of one
server share one address layout: that is why a run starts several servers.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import resource
import shutil
import signal
import socket
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.launch.forked import fork_to
from harness.launch.processes import adopt_orphans, die_with_parent, end_orphans

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MESSAGE = 1 << 16
# Of a worker's connection, its log, and its ranks on other hosts; the kernel passes no more at once.
_DESCRIPTORS = 253
# How long a worker that was told to end may take for its exit handlers.
_GRACE_S = 5.0
# Of the processes that a worker left; a message has room for no thousands.
_NAMED = 5


def main(descriptor: int, folder: str) -> None:
    """Answer requests until the parent closes the socket or dies; then leave nothing behind."""
    parent = os.getppid()
    control = socket.socket(fileno=descriptor)
    adopt_orphans()
    import torch

    from harness.launch.worker.serve import serve_orders
    from harness.probes.executed import read_settings

    control.send(json.dumps(_runtime(torch) | read_settings()).encode())
    gc.freeze()  # a collection in a worker would otherwise copy every page that holds an object
    workers: set[int] = set()
    answer: dict[str, Any]
    try:
        while True:
            data, descriptors, _, _ = socket.recv_fds(control, MESSAGE, _DESCRIPTORS)
            if not data:
                break
            request = json.loads(data)
            if "ping" in request:
                answer = {}
            elif "reap" in request:
                workers.discard(request["reap"])
                answer = _reap(request["reap"], workers)
            else:
                answer = {"pid": fork_to(partial(_work, serve_orders, control, request, descriptors))}
                workers.add(answer["pid"])
                for one in descriptors:
                    os.close(one)
            control.send(json.dumps(answer).encode())
    finally:
        end_orphans(keep=())
        if os.getppid() != parent:
            shutil.rmtree(folder, ignore_errors=True)


def _work(serve: Callable[..., None], control: socket.socket, request: dict[str, Any], found: Sequence[int]) -> None:
    """Serve orders in a forked process; ``found`` are its connection, its log and its ranks on other hosts."""
    control.close()
    connection, sink, *guests = found
    become = partial(_become_worker, sink, request["memory_limit"])
    serve(socket.socket(fileno=connection), request, [socket.socket(fileno=guest) for guest in guests], become)


def _become_worker(log: int, memory_limit: int) -> None:
    """Make the fork a session of its own, which writes to its log and goes first when memory ends."""
    os.setsid()
    adopt_orphans()
    die_with_parent()
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # last words before a crash are kept
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_limit:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_limit, memory_limit))
    Path("/proc/self/oom_score_adj").write_text("1000")


def _reap(pid: int, workers: set[int]) -> dict[str, Any]:
    """Wait for a worker to end, kill it after a grace, and kill what it left; say how it ended.

    A living worker adopts its own orphans, so what is a child here and no worker was left by a dead one.
    """
    deadline = time.monotonic() + _GRACE_S
    code = None
    while code is None:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
        elif time.monotonic() >= deadline:
            os.kill(pid, signal.SIGKILL)
            deadline = float("inf")
        else:
            time.sleep(0.002)
    left = end_orphans(keep=workers)
    return {"code": code, "left": len(left), "names": left[:_NAMED]}


def _runtime(torch: Any) -> dict[str, Any]:
    """Return the settings of torch that decide what is computed."""
    return {
        "pid": os.getpid(),
        "torch_threads": torch.get_num_threads(),
        "cuda_build": torch.version.cuda,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "os_threads": len(os.listdir("/proc/self/task")),
    }


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
