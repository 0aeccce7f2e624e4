"""Machines laid out as folders: what /proc and /sys hold, file by file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.core.environment import Environment
from harness.detect import detect_environment
from harness.doctor.checks import run_checks
from harness.doctor.counters import read_counters
from harness.doctor.driver import Driver
from harness.doctor.finding import Finding
from harness.doctor.snapshot import Snapshot

CPU = "sys/devices/system/cpu"
# Four cores of a machine of one's own that has been made ready for measuring.
QUIET = {
    "proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu tsc avx2\n",
    "proc/self/status": "Name:\tbench\nCpus_allowed:\tf\nCpus_allowed_list:\t0-3\n",
    "proc/self/stat": "100 (bench) R 1 1 1 0 -1 0 0 0 0 0 10 5 0 0 20 0 1 0",
    "proc/self/cgroup": "0::/user.slice/session-1.scope\n",
    "proc/self/personality": "00000000\n",
    "proc/100/stat": "100 (bench) R 1 1 1 0 -1 0 0 0 0 0 10 5 0 0 20 0 1 0",
    "proc/2000/stat": "2000 (a (b) c) S 1 1 1 0 -1 0 0 0 0 0 500 0 0 0 20 0 1 0",
    "proc/stat": "cpu  0 0 0 0 0 0 0 0 0 0\n" + "".join(f"cpu{n} 100 0 0 900 0 0 0 0 0 0\n" for n in range(4)),
    "proc/vmstat": "pswpin 7\npswpout 9\noom_kill 0\n",
    "proc/meminfo": "MemTotal: 16777216 kB\nMemAvailable: 12582912 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
    "proc/sys/kernel/perf_event_paranoid": "2\n",
    "proc/sys/kernel/randomize_va_space": "2\n",
    f"{CPU}/online": "0-3\n",
    f"{CPU}/intel_pstate/no_turbo": "1\n",
    **{f"{CPU}/cpu{n}/cpufreq/scaling_governor": "performance\n" for n in range(4)},
    **{f"{CPU}/cpu{n}/topology/thread_siblings_list": f"{n}\n" for n in range(4)},
    "sys/class/hwmon/hwmon0/name": "coretemp\n",
    "sys/class/hwmon/hwmon0/temp1_input": "45000\n",
    "sys/class/hwmon/hwmon0/temp1_crit": "100000\n",
    "sys/class/power_supply/AC/type": "Mains\n",
    "sys/class/power_supply/AC/online": "1\n",
    "sys/class/powercap/intel-rapl:0/name": "package-0\n",
    "sys/class/powercap/intel-rapl:0/energy_uj": "123456789\n",
    "sys/class/powercap/intel-rapl:0/max_energy_range_uj": "262143328850\n",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
    "sys/devices/system/clocksource/clocksource0/available_clocksource": "tsc hpet acpi_pm\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
}
# After 100 ticks on each core, of which the command itself took 20.
LATER = {
    "proc/100/stat": "100 (bench) R 1 1 1 0 -1 0 0 0 0 0 20 15 0 0 20 0 1 0",
    "proc/self/stat": "100 (bench) R 1 1 1 0 -1 0 0 0 0 0 20 15 0 0 20 0 1 0",
    "proc/stat": "cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 120 0 0 980 0 0 0 0 0 0\n"
    + "".join(f"cpu{n} 100 0 0 1000 0 0 0 0 0 0\n" for n in (1, 2, 3)),
}
Laid = Callable[..., Snapshot]


def lay(root: Path, files: Mapping[str, str | None]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(text)


def ready(**changes: Any) -> Environment:
    """An environment with nothing to complain about, and no GPU."""
    packages = {"torch": "2.13.0", "triton": "3.7.1", "numpy": "2.4.0", "nvidia-ml-py": "13.0"}
    facts: dict[str, Any] = {"gpus": (), "gpu_reason": "NVML: no library", "torch_cuda": "", "driver": ""}
    facts |= {"packages": packages, "container": "", "git_commit": "0123456789abcdef", "git_dirty": False}
    return replace(detect_environment(), **{**facts, **changes})


@pytest.fixture
def laid(tmp_path: Path) -> Laid:
    """Return a function that lays out a quiet machine with some files changed, now and a second later."""

    def lay_out(
        files: Mapping[str, str | None] | None = None,
        later: Mapping[str, str | None] | None = None,
        variables: Mapping[str, str] | None = None,
        wanted: str = "==3.7.1",
        **environment: Any,
    ) -> Snapshot:
        root, here = tmp_path / "root", ready(**environment)
        lay(root, {**QUIET, **(files or {})})
        before = read_counters(root)
        lay(root, {**LATER, **(later or {})})
        return Snapshot(root, here, variables or {}, tmp_path, before, read_counters(root), Driver(), wanted)

    return lay_out


def find(machine: Snapshot, name: str) -> Finding:
    """Return what the doctor says of one thing."""
    (finding,) = (one for each in run_checks(machine).values() for one in each if one.name == name)
    return finding


@pytest.fixture(name="find")
def find_fixture() -> Callable[..., Finding]:
    return find
