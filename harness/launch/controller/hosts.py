"""The hosts of a run, as its first host sees them: the others fork ranks when they are asked to."""

from __future__ import annotations

import json
import select
import socket
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import psutil

from harness.core.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.launch.protocol import WorkerSpec

_START_S = 120.0


@dataclass(frozen=True)
class Guest:
    """Another host: its name, and a connection to what forks ranks there."""

    name: str
    connection: socket.socket

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send a message.

        Raises:
            HarnessError: the host is gone.
        """
        try:
            # A guest says nothing, so that anything to read is the end of the connection.
            gone = bool(select.select([self.connection], [], [], 0)[0])
            self.connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            gone = True
        if gone:
            raise HarnessError(f"the host {self.name} is gone")


class Hosts:
    """The first host, and its guests in their order.

    Args:
        guests: the other hosts; there are most often none.
        listener: what ranks on those connect to.
        token: what they show when they do.
    """

    def __init__(self, guests: Sequence[Guest] = (), listener: socket.socket | None = None, token: str = "") -> None:
        self._guests, self._listener, self._token = guests, listener, token
        self._gangs = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all hosts; empty where there is one."""
        return (socket.gethostname(), *(guest.name for guest in self._guests)) if self._guests else ()

    def begin_launch(self, threads: int) -> None:
        """Have every guest start a fresh interpreter, from which its ranks of this launch are forked."""
        for guest in self._guests:
            guest.tell({"launch": threads})

    def fork(self, spec: WorkerSpec, memory_limit: int) -> tuple[WorkerSpec, list[socket.socket]]:
        """Have the ranks of a worker that belong on other hosts forked there.

        Returns:
            what the worker has to know besides, and connections to those ranks.

        Raises:
            HarnessError: a host is gone, or does not answer.
        """
        ranks, count = spec.world_size, len(self._guests) + 1
        if not self._listener or ranks == 1:
            return spec, []
        self._gangs += 1
        address = self._listener.getsockname()[0]
        with socket.create_server((address, 0)) as free:
            store = f"tcp://{address}:{free.getsockname()[1]}"
        shared = replace(spec, gang=self._gangs, store=store, interface=find_interface(address))
        waiting: dict[int, str] = {}
        for index, guest in enumerate(self._guests, 1):
            own = [rank for rank in range(ranks) if rank * count // ranks == index]
            guest.tell({"fork": asdict(shared), "ranks": own, "memory_limit": memory_limit})
            waiting |= dict.fromkeys(own, guest.name)
        found = dict(self._accept() for _ in waiting)
        elsewhere = tuple((rank, waiting[rank]) for rank in sorted(found))
        return replace(shared, elsewhere=elsewhere), [found[rank] for rank, _ in elsewhere]

    def end(self, gang: int) -> None:
        """Have the ranks of a gang ended on all hosts, should any still be there."""
        for guest in self._guests if gang else ():
            guest.tell({"end": gang})

    def finish(self, code: int) -> None:
        """Let all guests end with the exit code of the run, as their agents expect of each other."""
        for guest in self._guests:
            guest.tell({"exit": code})

    def _accept(self) -> tuple[int, socket.socket]:
        """Return the next rank that connects, with its connection."""
        assert self._listener
        connections = [guest.connection for guest in self._guests]
        ready, _, _ = select.select([self._listener, *connections], [], [], _START_S)
        for guest in self._guests:
            if guest.connection in ready:
                raise HarnessError(f"the host {guest.name} is gone")
        if not ready:
            raise HarnessError(f"the hosts start no ranks within {_START_S:g} s")
        connection, hello = accept_greeting(self._listener)
        return (int(hello["rank"]), connection) if hello.get("token") == self._token else self._accept()


ALONE = Hosts()


def greet_host(address: tuple[str, int], hello: Mapping[str, Any]) -> socket.socket:
    """Connect to the first host, and say who does."""
    connection = socket.create_connection(address, _START_S)
    connection.settimeout(None)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(json.dumps(hello).encode() + b"\n")
    return connection


def accept_greeting(listener: socket.socket) -> tuple[socket.socket, dict[str, Any]]:
    """Accept a connection, and return it with what the other side says of itself; nothing where that is no greeting."""
    connection, _ = listener.accept()
    connection.settimeout(_START_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line = b""
    try:
        while not line.endswith(b"\n") and (byte := connection.recv(1)):
            line += byte
        hello = json.loads(line)
    except (OSError, ValueError):
        hello = {}
    connection.settimeout(None)
    return connection, hello if isinstance(hello, dict) else {}


def find_interface(address: str) -> str:
    """Return the network interface that has an address; empty where none has."""
    known = psutil.net_if_addrs().items()
    return next((name for name, ones in known if any(one.address == address for one in ones)), "")
