"""What the kernel counts: read twice, it tells who used the machine meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness import cgroup
from harness.doctor.sysfs import find_paths, read_field, read_text

if TYPE_CHECKING:
    from pathlib import Path

# Linux counts CPU time for user space in hundredths of a second, whatever its HZ.
TICKS_PER_S = 100


@dataclass(frozen=True)
class Core:
    """Ticks of one core since the start of the machine."""

    total: int = 0
    idle: int = 0
    steal: int = 0


@dataclass(frozen=True)
class Counters:
    """One reading.

    Attributes:
        cores: by number.
        processes: the name and the ticks of every process, by its id, this one left out.
        own: ticks of this process and of its children that have ended.
        swapped: pages moved to and from swap.
        throttled: how often a CPU quota has stopped this process's group.
    """

    cores: dict[int, Core]
    processes: dict[int, tuple[str, int]]
    own: int
    swapped: int
    throttled: int


def read_counters(root: Path) -> Counters:
    """Read all counters; a few milliseconds with some hundred processes."""
    traffic = read_text(root, "proc/vmstat")
    own_id, own = 0, 0
    if stat := read_text(root, "proc/self/stat"):
        own_id, own = int(stat.split()[0]), sum(_ticks(stat))
    processes = {}
    for path in find_paths(root, "proc/[0-9]*/stat"):
        if stat := read_text(root, path):
            number, _, rest = stat.partition(" (")
            processes[int(number)] = (rest.rpartition(")")[0], sum(_ticks(stat)[:2]))
    processes.pop(own_id, None)
    swapped = read_field(traffic, "pswpin") + read_field(traffic, "pswpout")
    return Counters(_cores(root), processes, own, swapped, cgroup.count_throttled(root))


def _cores(root: Path) -> dict[int, Core]:
    cores = {}
    for line in read_text(root, "proc/stat").splitlines():
        name, _, rest = line.partition(" ")
        if name.startswith("cpu") and name != "cpu":
            user, nice, system, idle, iowait, irq, softirq, steal = map(int, rest.split()[:8])
            total = user + nice + system + idle + iowait + irq + softirq + steal
            cores[int(name[3:])] = Core(total, idle + iowait, steal)
    return cores


def _ticks(stat: str) -> tuple[int, int, int, int]:
    """Return user and system ticks, own and those of children that were waited for."""
    user, system, children_user, children_system = map(int, stat.rpartition(")")[2].split()[11:15])
    return user, system, children_user, children_system
