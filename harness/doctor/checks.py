"""All checks, by what they are about, in the order in which they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.doctor import gpu, instruments, limits, load, paging, processor, software

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.doctor.finding import Finding
    from harness.doctor.machine import Machine

    # None where there is nothing to look at.
    Check = Callable[[Machine], Finding | None]

CHECKS: dict[str, tuple[Check, ...]] = {
    "processor": (
        load.load,
        load.steal,
        limits.cores,
        load.throttling,
        processor.siblings,
        processor.governor,
        processor.turbo,
        processor.heat,
        instruments.supply,
    ),
    "memory": (limits.memory, paging.swap, paging.huge_pages, paging.layout),
    "GPU": (gpu.devices, gpu.processes, gpu.persistence, gpu.clocks, gpu.power, gpu.heat, gpu.memory),
    "instruments": (instruments.clock, instruments.timer, instruments.counters, instruments.energy),
    "software": (software.torch, software.triton, software.threads, software.checkout, limits.disk),
}


def examine(machine: Machine) -> dict[str, list[Finding]]:
    """Return what every check found, by subject."""
    return {subject: [finding for check in checks if (finding := check(machine))] for subject, checks in CHECKS.items()}
