"""Who else uses the machine while it is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.doctor.counters import TICKS_PER_S
from harness.doctor.finding import FAIL, PASS, UNKNOWN, WARN, Finding, grade_value

if TYPE_CHECKING:
    from harness.doctor.snapshot import Snapshot

# Shares of the usable cores that others take. From the first, bench run marks a time as contended.
_OTHERS = (0.1, 0.25)
# A process with this much of one core keeps a thread of every parallel step waiting, however many cores there are.
_BUSY_CORE = 0.5
# A process below this share of a core is not named.
_NAMED = 0.05
_STEAL = (0.05, 0.1)
_STEAL_SINCE_START = 0.01


def check_load(machine: Snapshot) -> Finding:
    """Look for other processes that compute on the usable cores."""
    total, idle, steal = _ticks(machine)
    if not total:
        return Finding("load", UNKNOWN, "/proc/stat does not tell")
    cores, window_s = len(machine.usable), total / len(machine.usable) / TICKS_PER_S
    own = machine.after.own - machine.before.own
    share = max(0.0, (total - idle - steal - own) / total)
    busiest = _busiest(machine, window_s)
    status = grade_value(share, *_OTHERS)
    if status == PASS and busiest and busiest[0][1] >= _BUSY_CORE:
        status = WARN
    names = ", ".join(f"{name} (pid {number}) {taken:.1f}" for number, taken, name in busiest[:2])
    figure = f"others take {share * cores:.1f} of {cores} cores" + (f": {names}" if names else "")
    remedy = "Wait for their end, or stop them: kill " + " ".join(str(number) for number, _, _ in busiest[:2])
    if not busiest:
        remedy = "Wait, or look outside this container; no process here stands out"
    return Finding("load", status, figure, "" if status == PASS else remedy)


def check_steal(machine: Snapshot) -> Finding:
    """Look for time that the hypervisor gave to other machines."""
    total, _, stolen = _ticks(machine)
    ever = [core for number, core in machine.after.cores.items() if number in machine.usable]
    if not total:
        return Finding("steal", UNKNOWN, "/proc/stat does not tell")
    now = stolen / total
    before = sum(core.steal for core in ever) / max(1, sum(core.total for core in ever))
    status = grade_value(now, *_STEAL)
    if status == PASS and before >= _STEAL_SINCE_START:
        status = WARN
    where = "; a virtual machine" if machine.virtual else ""
    figure = f"{now:.0%} now, {before:.1%} since the start{where}"
    remedy = "Take a machine with cores of its own, or more: --launches 10"
    return Finding("steal", status, figure, "" if status == PASS else remedy)


def check_throttling(machine: Snapshot) -> Finding | None:
    """Look for a CPU quota that stops threads right now."""
    times = machine.after.throttled - machine.before.throttled
    if machine.quota is None:
        return None
    if not times:
        return Finding("throttling", PASS, "the quota stopped nothing just now")
    return Finding("throttling", FAIL, f"stopped {times} times just now", "Raise the quota, or stop what uses it up")


def _ticks(machine: Snapshot) -> tuple[int, int, int]:
    """Return what the usable cores spent between the readings: in all, idle, and stolen from them."""
    pairs = [
        (machine.before.cores[number], machine.after.cores[number])
        for number in machine.usable
        if number in machine.before.cores and number in machine.after.cores
    ]
    total, idle, stolen = (
        sum(getattr(after, name) - getattr(before, name) for before, after in pairs)
        for name in ("total", "idle", "steal")
    )
    return total, idle, stolen


def _busiest(machine: Snapshot, window_s: float) -> list[tuple[int, float, str]]:
    """Return the other processes by the cores that they take, the most first."""
    taken = []
    for number, (name, ticks) in machine.after.processes.items():
        before = machine.before.processes.get(number, ("", 0))[1]
        taken.append((number, (ticks - before) / TICKS_PER_S / window_s, name))
    return sorted((one for one in taken if one[1] >= _NAMED), key=lambda one: -one[1])
