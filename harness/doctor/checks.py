"""All checks, by what they are about, in the order in which they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.doctor import gpu, instruments, limits, paging, processor, software, system_load

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.doctor.finding import Finding
    from harness.doctor.snapshot import Snapshot

    # None where there is nothing to look at.
    Check = Callable[[Snapshot], Finding | None]

CHECKS: dict[str, tuple[Check, ...]] = {
    "processor": (
        system_load.check_load,
        system_load.check_steal,
        limits.check_cores,
        system_load.check_throttling,
        processor.check_siblings,
        processor.check_governor,
        processor.check_turbo,
        processor.check_heat,
        instruments.check_supply,
    ),
    "memory": (limits.check_memory, paging.check_swap, paging.check_huge_pages, paging.check_layout),
    "GPU": (
        gpu.check_devices,
        gpu.check_processes,
        gpu.check_persistence,
        gpu.check_clocks,
        gpu.check_power,
        gpu.check_heat,
        gpu.check_memory,
    ),
    "instruments": (
        instruments.check_clock,
        instruments.check_timer,
        instruments.check_counters,
        instruments.check_energy,
    ),
    "software": (
        software.check_torch,
        software.check_triton,
        software.check_threads,
        software.check_checkout,
        limits.check_disk,
    ),
}


def run_checks(machine: Snapshot) -> dict[str, list[Finding]]:
    """Return what every check found, by subject."""
    return {subject: [finding for check in checks if (finding := check(machine))] for subject, checks in CHECKS.items()}
