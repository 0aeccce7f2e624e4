"""What the other hosts of a run do: fork ranks when the first host asks for them, and end them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core.errors import EXIT_HARNESS
from harness.launch.code_version import CodeVersion
from harness.launch.controller.fork_server import ForkServer
from harness.launch.controller.hosts import find_interface, greet_host
from harness.launch.forked import ServerLostError
from harness.launch.processes import list_descendants
from harness.launch.worker.gang import specialize_spec

if TYPE_CHECKING:
    import socket

    Address = tuple[str, int]


def serve_ranks(connection: socket.socket, address: Address, token: str, sources: tuple[str, ...]) -> int:
    """Fork ranks until the first host ends the run, and return the exit code of that.

    Args:
        connection: to the first host.
        address: what ranks connect to there.
        token: what they show when they do.
        sources: files of the user's own that the catalog is loaded with, as this host has them.
    """
    with tempfile.TemporaryDirectory(prefix="benchwright-") as name, contextlib.ExitStack() as launch:
        gangs: dict[int, list[int]] = {}
        server: ForkServer | None = None
        with connection.makefile(encoding="utf-8") as messages:
            for message in map(json.loads, messages):
                if "exit" in message:
                    return int(message["exit"])
                if "launch" in message:
                    launch.close()
                    gangs.clear()
                    side = CodeVersion(sources=sources)
                    server = launch.enter_context(ForkServer(message["launch"], Path(name), side))
                elif server and "fork" in message:
                    gangs[message["fork"]["gang"]] = _fork(server, message, address, token, Path(name))
                elif server:
                    _end(server, gangs.pop(message["end"], []))
    return EXIT_HARNESS  # the first host is gone


def _fork(server: ForkServer, message: dict[str, Any], address: Address, token: str, folder: Path) -> list[int]:
    """Fork the ranks of a gang that belong here; references lie in this host's own folder."""
    spec, found = message["fork"], []
    for place, rank in enumerate(message["ranks"]):
        with greet_host(address, {"rank": rank, "token": token}) as leader:
            interface = find_interface(leader.getsockname()[0])
            reference = str(folder / Path(spec["reference"]).name)
            own = {**specialize_spec(spec, rank, place), "reference": reference, "interface": interface}
            pid, sink = server.start(own, message["memory_limit"], leader)
            sink.close()
            found.append(pid)
    return found


def _end(server: ForkServer, ranks: list[int]) -> None:
    for pid in ranks:
        for one in (pid, *list_descendants(pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        with contextlib.suppress(ServerLostError):  # the leader sees its ranks' connections end
            server.reap(pid)
