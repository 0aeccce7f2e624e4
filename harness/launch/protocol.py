"""What processes of a launch say to each other: what a worker is told of its case, and what it replies to an order.

A reply is a line of JSON, and is checked: the code that is measured can write to the connection too.
"""

from __future__ import annotations

import json
import time
from dataclasses import astuple, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from harness.core.trial import CRASHED, ERROR, INCORRECT, OK, OOM, SKIPPED, Sample, Status

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from harness.core.axis import Scalar
    from harness.core.suite import Mode

_STATUSES = (OK, SKIPPED, INCORRECT, OOM, CRASHED, ERROR)
# Of rounds and indices in a table.
_LARGEST = (1 << 31) - 1
# Of a line. A turn of 64 ranks takes a tenth of this.
_LONGEST = 16 << 20


@dataclass(frozen=True)
class WorkerSpec:
    """What a worker is told of its case: by the schedule first, then by the launcher, then by the hosts.

    Attributes:
        params: the values of the case's point by axis.
        device: ``cpu`` or ``cuda:N``.
        mode: what a CUDA sample is.
        threads: of each rank.
        seed: of the inputs.
        reference: the path of the reference files without ``.<draw>``.
        world_size: the ranks.
        sources: files of the user's own that the catalog is loaded with.
        planted: share of its time by which each step is made longer.
        revision: whether the content is another revision's, which may lack the case.
        gang: the number by which other hosts know the ranks; 0 if all are on this host.
        store: the URL where the ranks meet; empty for a file beside the reference.
        interface: the network interface over which they do; empty for the loopback.
        elsewhere: the rank and the host of each that is on another host.
    """

    workload: str
    implementation: str
    params: Mapping[str, Scalar]
    device: str
    mode: Mode
    threads: int
    seed: int
    reference: str
    world_size: int = 1
    sources: tuple[str, ...] = ()
    planted: float = 0.0
    revision: bool = False
    gang: int = 0
    store: str = ""
    interface: str = ""
    elsewhere: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Reply:
    """How an order ended.

    Attributes:
        samples: what was measured until then.
        at: the moment, by the clock of the worker's host.
        steady: whether times had settled when warming up ended.
        executed: operators and kernels that a step ran, the longest first.
        flags: warnings.
        number: of the order.
    """

    status: Status = OK
    message: str = ""
    samples: Sequence[Sample] = ()
    at: float = field(default_factory=time.monotonic)
    steady: bool = True
    executed: Sequence[str] = ()
    flags: Sequence[str] = ()
    number: int = 0


def write_reply(reply: Reply) -> str:
    """Return the reply as a line of JSON."""
    message = reply.message.encode(errors="replace").decode()
    samples = [astuple(sample) for sample in reply.samples]
    return json.dumps({**vars(reply), "message": message, "samples": samples}) + "\n"


def read_reply(line: bytes) -> Reply:
    """Rebuild a reply from its line.

    Raises:
        ValueError: it is anything else.
    """
    try:
        data = json.loads(line)
        return _check(Reply(**{**data, "samples": [_read_sample(*row) for row in data.get("samples", ())]}))
    except (AttributeError, OverflowError, RecursionError, TypeError, ValueError):
        raise ValueError("something other than the worker's reply was written to its connection") from None


class Lines:
    """The lines that arrive over a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()

    def receive(self) -> bool:
        """Wait for data; return whether there was any before the end of the connection."""
        try:
            data = self._connection.recv(1 << 20)
        except OSError:
            return False
        self._buffer += data
        return bool(data)

    def take(self) -> bytes | None:
        """Return the next line that is whole, or too long to be waited for; None if there is none yet."""
        end = self._buffer.find(b"\n") + 1 or (len(self._buffer) if len(self._buffer) > _LONGEST else 0)
        line = bytes(self._buffer[:end])
        del self._buffer[:end]
        return line or None


def _read_sample(metric: Any, value: Any, *rest: Any) -> Sample:
    sample = Sample(metric, float(_require(value, int, float)), *rest)
    _require_text(sample.metric, sample.flags, sample.provenance)
    float(_require(sample.uncertainty, int, float))
    if not (
        sample.metric and -1 <= _require(sample.round, int) <= _LARGEST and 0 <= _require(sample.index, int) <= _LARGEST
    ):
        raise ValueError
    return sample


def _check(reply: Reply) -> Reply:
    _require_text(reply.message, *_require(reply.executed, list, tuple), *_require(reply.flags, list, tuple))
    _require(reply.steady, bool)
    _require(reply.number, int)
    if reply.status not in _STATUSES:
        raise ValueError
    return replace(reply, status=Status(reply.status), at=float(_require(reply.at, int, float)))


def _require(value: Any, *kinds: type) -> Any:
    if type(value) not in kinds:
        raise TypeError
    return value


def _require_text(*values: Any) -> None:
    for value in values:
        _require(value, str).encode()  # half of a surrogate pair is no text, and no table takes it
