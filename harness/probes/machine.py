"""What else the machine was doing during a turn: other processes, the hypervisor, preemption, swapping."""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class _Reading:
    total: int
    idle: int
    steal: int
    own_s: float
    preemptions: int
    swapped: int


class TurnMonitor:
    """Shares of the machine's CPU time between start and stop, from ``/proc/stat``; about 0.1 ms a reading.

    Args:
        peers: processes that are measured with this one, so that they are no others.
    """

    def __init__(self, peers: Sequence[int] = ()) -> None:
        self._peers = peers

    def start(self) -> None:
        """Read the counters."""
        self._start = _read(self._peers)

    def stop(self) -> dict[str, float]:
        """Return ``preemptions``, and the shares where the turn was long enough for the kernel's 10 ms ticks."""
        start, end = self._start, _read(self._peers)
        observed = {
            "preemptions": float(end.preemptions - start.preemptions),
            "swapped_pages": float(end.swapped - start.swapped),
        }
        total = end.total - start.total
        if total >= 20:
            own = (end.own_s - start.own_s) * 100
            steal = end.steal - start.steal
            busy = total - (end.idle - start.idle) - steal
            observed["steal_share"] = steal / total
            observed["others_share"] = max(0.0, (busy - own) / total)
        return observed


def _read(peers: Sequence[int]) -> _Reading:
    """Read the kernel's ticks (100 a second on Linux, whatever its HZ)."""
    with Path("/proc/stat").open() as stat:
        user, nice, system, idle, iowait, irq, softirq, steal = map(int, stat.readline().split()[1:9])
    total = user + nice + system + idle + iowait + irq + softirq + steal
    usage = resource.getrusage(resource.RUSAGE_SELF)
    own_s = time.process_time() + sum(map(_cpu_s, peers))
    return _Reading(total, idle + iowait, steal, own_s, usage.ru_nivcsw, _swapped())


def _cpu_s(pid: int) -> float:
    """Return the CPU time of a process in user and kernel mode; nothing where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _swapped() -> int:
    """Return the pages that the machine has read from or written to swap since it started."""
    with Path("/proc/vmstat").open() as counters:
        return sum(int(line.split()[1]) for line in counters if line.startswith(("pswpin ", "pswpout ")))
