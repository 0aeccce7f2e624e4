"""What else the machine was doing during a turn: other processes, the hypervisor, preemption, swapping."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class _Reading:
    total: int
    idle: int
    steal: int
    own_s: float
    preemptions: int
    swapped: int


class Machine:
    """Shares of the machine's CPU time between start and stop, from ``/proc/stat``; about 0.1 ms a reading."""

    def start(self) -> None:
        """Read the counters."""
        self._start = _read()

    def stop(self) -> dict[str, float]:
        """Return ``preemptions``, and the shares where the turn was long enough for the kernel's 10 ms ticks."""
        start, end = self._start, _read()
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


def _read() -> _Reading:
    """Read the kernel's ticks (100 a second on Linux, whatever its HZ)."""
    with Path("/proc/stat").open() as stat:
        user, nice, system, idle, iowait, irq, softirq, steal = map(int, stat.readline().split()[1:9])
    total = user + nice + system + idle + iowait + irq + softirq + steal
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return _Reading(total, idle + iowait, steal, time.process_time(), usage.ru_nivcsw, _swapped())


def _swapped() -> int:
    """Return the pages that the machine has read from or written to swap since it started."""
    with Path("/proc/vmstat").open() as counters:
        return sum(int(line.split()[1]) for line in counters if line.startswith(("pswpin ", "pswpout ")))
