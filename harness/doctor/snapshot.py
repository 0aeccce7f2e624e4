"""What the checks look at, read once for all of them."""

from __future__ import annotations

import importlib.metadata
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness import cgroup
from harness.detect import detect_environment
from harness.doctor.counters import Counters, read_counters
from harness.doctor.driver import Driver, ask_driver
from harness.doctor.sysfs import parse_cores, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.core.environment import Environment

# Long enough for the kernel's ticks of 10 ms to add up to a share, short enough to be waited for.
_WINDOW_S = 0.2


@dataclass(frozen=True)
class Snapshot:
    """A machine as it is now.

    Attributes:
        root: the folder in which ``proc`` and ``sys`` are.
        environment: what is kept with every run.
        variables: the environment variables of this process.
        results: the folder that runs are written to.
        before: the kernel's counters.
        after: the same a moment later.
        driver: what the driver says of the GPUs.
        triton_wanted: the version of triton that torch asks for, as ``==3.7.1``; empty where it names none.
    """

    root: Path
    environment: Environment
    variables: Mapping[str, str]
    results: Path
    before: Counters
    after: Counters
    driver: Driver
    triton_wanted: str = ""

    @property
    def usable(self) -> set[int]:
        """The cores that this process may run on."""
        status = read_text(self.root, "proc/self/status")
        match = re.search(r"^Cpus_allowed_list:\s*(\S+)", status, re.MULTILINE)
        return parse_cores(match[1]) if match else set(self.after.cores)

    @property
    def quota(self) -> float | None:
        """The CPU quota in cores, where it is tighter than the cores themselves."""
        quota = cgroup.read_cpu_quota(self.root)
        return quota if quota is not None and quota < len(self.usable) else None

    @property
    def virtual(self) -> bool:
        """Whether this is a virtual machine, as far as the processor says."""
        flags = re.search(r"^flags\s*:(.*)$", read_text(self.root, "proc/cpuinfo"), re.MULTILINE)
        return bool(flags and "hypervisor" in flags[1].split())


def read_snapshot(results: Path, root: Path = Path("/")) -> Snapshot:
    """Read a machine; takes a fifth of a second, over which it sees what others do."""
    start = time.monotonic()
    before = read_counters(root)
    environment = detect_environment()
    driver = ask_driver(environment)
    wanted = _triton_wanted()
    time.sleep(max(0.0, _WINDOW_S - (time.monotonic() - start)))
    return Snapshot(root, environment, dict(os.environ), results, before, read_counters(root), driver, wanted)


def _triton_wanted() -> str:
    try:
        needed = importlib.metadata.requires("torch") or []
    except importlib.metadata.PackageNotFoundError:
        return ""
    versions = [re.match(r"(?:pytorch-)?triton\s*\(?([=~<>!][^;)]*)", line) for line in needed]
    return next((match[1].strip() for match in versions if match), "")
