"""How much of the machine this process may use: cores, memory, disk."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from harness import cgroup
from harness.core.metric import format_value
from harness.doctor.finding import FAIL, PASS, UNKNOWN, WARN, Finding
from harness.doctor.sysfs import parse_cores, read_field, read_text

if TYPE_CHECKING:
    from harness.doctor.snapshot import Snapshot

# What is left for inputs once torch is imported: two workers of a launch take half a gigabyte.
_MEMORY = (4 << 30, 1 << 30)
# A run with its samples takes megabytes; one that meets the end of the disk is lost.
_DISK = (1 << 30, 100 << 20)
_WHOLE_CORES = {
    "docker": "docker run --cpuset-cpus={cores} ... instead of --cpus",
    "podman": "podman run --cpuset-cpus={cores} ... instead of --cpus",
    "kubernetes": "requests equal to limits, whole CPUs, cpuManagerPolicy: static",
}


def check_cores(machine: Snapshot) -> Finding:
    """Look at the cores that may be used, through the limits of a container."""
    usable, quota = len(machine.usable), machine.quota
    online = len(parse_cores(read_text(machine.root, "sys/devices/system/cpu/online"))) or usable
    container = machine.environment.container
    figure = f"{usable} of {online} can be used" + (f", seen through {container}" if container else "")
    if quota is None:
        return Finding("cores", PASS, figure)
    whole = max(1, int(quota))
    listed = f"0-{whole - 1}" if whole > 1 else "0"
    advice = _WHOLE_CORES.get(container, "systemd-run --scope -p AllowedCPUs={cores} bench run ...")
    figure += f", a quota of {quota:.3g}: once it is spent, all threads stand still"
    remedy = f"{advice.format(cores=listed)}\nor at least: bench run --threads {whole} ..."
    return Finding("cores", FAIL if quota < 1 else WARN, figure, remedy)


def check_memory(machine: Snapshot) -> Finding:
    """Look at the memory that can be had, through the limits of a container."""
    text = read_text(machine.root, "proc/meminfo")
    free, total = (read_field(text, name) * 1024 for name in ("MemAvailable", "MemTotal"))
    if not total:
        return Finding("memory", UNKNOWN, "/proc/meminfo does not tell")
    limit = cgroup.read_memory_limit(machine.root)
    bounded = limit is not None and limit[0] < total
    if limit is not None and bounded:
        total, free = limit[0], min(free, limit[1])
    figure = f"{format_value(free, 'B')} free of {format_value(total, 'B')}" + (
        ", the group's limit" if bounded else ""
    )
    remedy = "Raise the container's limit" if bounded else "Stop what holds the memory: ps aux --sort=-rss | head"
    status = _scarce(free, _MEMORY)
    return Finding("memory", status, figure, "" if status == PASS else remedy)


def check_disk(machine: Snapshot) -> Finding:
    """Look at the free space where runs are written."""
    folder = machine.results.absolute()
    place = next(one for one in (folder, *folder.parents) if one.is_dir())
    free = shutil.disk_usage(place).free
    figure = f"{format_value(free, 'B')} free for {machine.results}"
    remedy = "Name a folder elsewhere: bench run --results FOLDER ..."
    if not os.access(place, os.W_OK):
        return Finding("disk", FAIL, f"{place} cannot be written to", remedy)
    status = _scarce(free, _DISK)
    return Finding("disk", status, figure, "" if status == PASS else remedy)


def _scarce(free: int, bounds: tuple[int, int]) -> str:
    warn, fail = bounds
    return FAIL if free < fail else WARN if free < warn else PASS
