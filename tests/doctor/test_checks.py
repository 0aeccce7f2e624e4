"""The doctor on machines whose faults are known: each is found, and put right by the remedy that is named."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.doctor.checks import run_checks
from harness.doctor.finding import Finding
from harness.doctor.instruments import check_energy
from harness.doctor.snapshot import Snapshot, read_snapshot
from harness.doctor.software import matches_version

Laid = Callable[..., Snapshot]
Find = Callable[..., Finding]
CPU = "sys/devices/system/cpu"
STAT = "cpu  0 0 0 0 0 0 0 0 0 0\n"


def stat(*cores: tuple[int, int, int]) -> str:
    """Write /proc/stat from busy, idle and stolen ticks of each core."""
    lines = (f"cpu{n} {busy} 0 0 {idle} 0 0 0 {stolen} 0 0\n" for n, (busy, idle, stolen) in enumerate(cores))
    return STAT + "".join(lines)


def process(number: int, name: str, ticks: int) -> str:
    return f"{number} ({name}) R 1 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 1 0"


def test_a_machine_made_ready_for_measuring_has_nothing_to_put_right(laid: Laid) -> None:
    found = list(itertools.chain.from_iterable(run_checks(laid()).values()))
    assert {finding.status for finding in found if finding.name != "devices"} == {"pass"}
    assert not any(finding.remedy for finding in found)
    assert "others take 0.0 of 4 cores" in {finding.figure for finding in found}


def test_the_gpu_is_one_line_with_the_reason_where_there_is_none(laid: Laid) -> None:
    (finding,) = run_checks(laid())["GPU"]
    assert (finding.status, finding.figure) == ("unknown", "none: NVML: no library")


def test_a_laptop_on_its_battery(laid: Laid, find: Find) -> None:
    battery = "sys/class/power_supply/BAT0"
    laptop = laid(
        {
            **{f"{CPU}/cpu{n}/cpufreq/scaling_governor": "powersave\n" for n in range(4)},
            **{f"{CPU}/cpu{n}/topology/thread_siblings_list": f"{n // 2 * 2}-{n // 2 * 2 + 1}\n" for n in range(4)},
            f"{CPU}/intel_pstate/no_turbo": "0\n",
            "sys/class/power_supply/AC/online": "0\n",
            f"{battery}/type": "Battery\n",
            f"{battery}/status": "Discharging\n",
            f"{battery}/capacity": "63\n",
            "sys/class/hwmon/hwmon0/temp1_input": "91000\n",
        }
    )
    supply, governor, turbo, siblings, heat = (
        find(laptop, name) for name in ("supply", "governor", "turbo", "siblings", "heat")
    )
    assert (supply.status, supply.remedy) == ("fail", "Connect the power supply")
    assert "63 %" in supply.figure
    assert (governor.status, governor.remedy) == ("warn", "sudo cpupower frequency-set -g performance")
    assert "powersave" in governor.figure
    assert turbo.status == "warn"
    assert turbo.remedy == "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo"
    assert siblings.status == "warn"
    assert "4 usable cores share 2" in siblings.figure
    assert "taskset -c 0,2 bench run" in siblings.remedy
    assert (heat.status, heat.figure) == ("warn", "91 °C, limit 100 °C")


@pytest.mark.parametrize(
    ("files", "name", "status", "figure", "remedy"),
    [
        (
            {f"{CPU}/intel_pstate/no_turbo": None, f"{CPU}/cpufreq/boost": "1"},
            "turbo",
            "warn",
            "on",
            "echo 0 | sudo tee",
        ),
        ({f"{CPU}/intel_pstate/no_turbo": None, f"{CPU}/cpufreq/boost": "0"}, "turbo", "pass", "off", ""),
        ({f"{CPU}/cpu3/cpufreq/scaling_governor": "ondemand"}, "governor", "warn", "ondemand, performance", "cpupower"),
        ({"sys/class/hwmon/hwmon0/temp1_input": "99000"}, "heat", "fail", "99 °C", "cool down"),
        ({"sys/class/hwmon/hwmon0/name": "nvme"}, "heat", "unknown", "no sensor", ""),
        (
            {
                "sys/class/hwmon/hwmon0/name": "nvme",
                "sys/class/thermal/thermal_zone0/type": "x86_pkg_temp",
                "sys/class/thermal/thermal_zone0/temp": "88000",
                "sys/class/thermal/thermal_zone0/trip_point_0_temp": "95000",
                "sys/class/thermal/thermal_zone0/trip_point_1_temp": "-274000",
            },
            "heat",
            "warn",
            "88 °C, limit 95 °C",
            "cool down",
        ),
        (
            {"sys/class/power_supply/mouse/type": "Battery", "sys/class/power_supply/mouse/scope": "Device"}
            | {"sys/class/power_supply/mouse/status": "Discharging"},
            "supply",
            "pass",
            "mains",
            "",
        ),
        ({"proc/sys/kernel/perf_event_paranoid": "4"}, "perf events", "warn", "is 4", "sudo sysctl kernel.perf_event"),
        (
            {"proc/sys/kernel/randomize_va_space": "0"},
            "ASLR",
            "fail",
            "not random",
            "echo 2 | sudo tee /proc/sys/kernel",
        ),
        ({"proc/sys/kernel/randomize_va_space": "1"}, "ASLR", "warn", "heap", "echo 2 | sudo tee"),
        ({"proc/self/personality": "00040000"}, "ASLR", "fail", "not random here", "setarch -R"),
        (
            {"sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never"},
            "huge pages",
            "warn",
            "always",
            "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled",
        ),
        (
            {"sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet"},
            "clock",
            "warn",
            "hpet",
            "echo tsc | sudo tee /sys/devices",
        ),
        (
            {
                "sys/devices/system/clocksource/clocksource0/current_clocksource": "acpi_pm",
                "sys/devices/system/clocksource/clocksource0/available_clocksource": "hpet acpi_pm",
            },
            "clock",
            "warn",
            "acpi_pm",
            "tsc=reliable",
        ),
        (
            {"proc/meminfo": "MemTotal: 16777216 kB\nMemAvailable: 524288 kB\n"},
            "memory",
            "fail",
            "512 MiB free of 16.0 GiB",
            "ps aux --sort=-rss",
        ),
        (
            {
                "proc/meminfo": "MemTotal: 16777216 kB\nMemAvailable: 12582912 kB\n"
                "SwapTotal: 2097152 kB\nSwapFree: 1048576 kB\n"
            },
            "swap",
            "warn",
            "1.00 GiB of 2.00 GiB",
            "sudo swapoff -a",
        ),
    ],
)
def test_a_setting_that_disturbs_is_found_and_its_remedy_named(
    laid: Laid, find: Find, files: Mapping[str, str | None], name: str, status: str, figure: str, remedy: str
) -> None:
    finding = find(laid(files), name)
    assert finding.status == status
    assert figure in finding.figure
    assert remedy in finding.remedy
    assert bool(finding.remedy) == bool(remedy)


@pytest.fixture
def not_ours(laid: Laid) -> Iterator[Snapshot]:
    """A machine whose RAPL counter is root's alone, seen by somebody else."""
    machine, me = laid(), os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        zone = root / "sys/class/powercap/intel-rapl:0"
        zone.mkdir(parents=True)
        for file, text in (("name", "package-0"), ("max_energy_range_uj", "1000"), ("energy_uj", "5")):
            (zone / file).write_text(text)
        (zone / "energy_uj").chmod(0o400 if me == 0 else 0)
        root.chmod(0o755)
        if me == 0:
            os.seteuid(65534)
        yield replace(machine, root=root)
        os.seteuid(me)


def test_a_meter_that_may_not_be_read_is_named_with_the_permission_it_lacks(not_ours: Snapshot) -> None:
    finding = check_energy(not_ours)
    assert (finding.status, finding.figure) == ("warn", "RAPL may not be read")
    assert finding.remedy == "sudo chmod a+r /sys/class/powercap/intel-rapl:*/*energy*_uj"


@pytest.mark.parametrize(
    ("flags", "reason"), [("fpu tsc", "(sudo modprobe intel_rapl_msr may bring it)"), ("hypervisor", "virtual machine")]
)
def test_without_a_meter_the_reason_is_named(laid: Laid, flags: str, reason: str) -> None:
    machine = laid({"proc/cpuinfo": f"flags\t\t: {flags}\n"})
    shutil.rmtree(machine.root / "sys/class/powercap")
    finding = check_energy(machine)
    assert finding.status == "unknown"
    assert finding.figure.startswith("none: no RAPL ")
    assert reason in finding.figure
    (machine.root / "sys/class/powercap/intel-rapl:0").mkdir(parents=True)
    (machine.root / "sys/class/powercap/intel-rapl:0/name").write_text("package-0\n")
    assert "No such file" in check_energy(machine).figure


def test_a_busy_machine_names_who_computes(laid: Laid, find: Find) -> None:
    before = {"proc/4242/stat": process(4242, "ffmpeg", 1000), "proc/77/stat": process(77, "cc1 (as) x", 0)}
    later = {
        "proc/4242/stat": process(4242, "ffmpeg", 1095),
        "proc/77/stat": process(77, "cc1 (as) x", 60),
        "proc/stat": stat((120, 980, 0), (200, 900, 0), (160, 940, 0), (100, 1000, 0)),
    }
    finding = find(laid(before, later), "load")
    assert finding.status == "fail"
    assert finding.figure == ("others take 1.6 of 4 cores: ffmpeg (pid 4242) 0.9, cc1 (as) x (pid 77) 0.6")
    assert finding.remedy.endswith("kill 4242 77")


def test_one_busy_core_of_many_is_a_warning_and_what_the_doctor_itself_uses_is_none(laid: Laid, find: Find) -> None:
    cores = ",".join(map(str, range(16)))
    status = {"proc/self/status": f"Cpus_allowed_list:\t{cores}\n"}
    quiet = [(100, 900, 0)] * 16
    own = [(120, 980, 0), *[(100, 1000, 0)] * 15]
    assert find(laid({**status, "proc/stat": stat(*quiet)}, {"proc/stat": stat(*own)}), "load").status == "pass"
    busy = {"proc/stat": stat(*own[:15], (200, 900, 0)), "proc/9/stat": process(9, "spin", 100)}
    finding = find(laid({**status, "proc/stat": stat(*quiet)}, busy), "load")
    assert finding.status == "warn"
    assert "spin (pid 9) 1.0" in finding.figure


def test_load_outside_the_usable_cores_does_not_count(laid: Laid, find: Find) -> None:
    pinned = {"proc/self/status": "Cpus_allowed_list:\t0-1\n"}
    later = {"proc/stat": stat((120, 980, 0), (100, 1000, 0), (200, 900, 0), (200, 900, 0))}
    machine = laid(pinned, later)
    assert find(machine, "load").status == "pass"
    assert "2 of 4 can be used" in find(machine, "cores").figure


@pytest.mark.parametrize(("stolen", "status"), [(0, "pass"), (25, "warn"), (60, "fail")])
def test_time_that_the_hypervisor_takes_is_not_the_load_of_others(
    laid: Laid, find: Find, stolen: int, status: str
) -> None:
    virtual = {"proc/cpuinfo": "flags\t\t: fpu hypervisor tsc\n"}
    later = {"proc/stat": stat((120, 980 - stolen, stolen), *[(100, 1000, 0)] * 3)}
    machine = laid(virtual, later)
    assert find(machine, "steal").status == status
    assert "virtual machine" in find(machine, "steal").figure
    assert find(machine, "load").status == "pass"


def test_pages_that_move_to_and_from_swap_are_a_failure(laid: Laid, find: Find) -> None:
    meminfo = "MemTotal: 16777216 kB\nMemAvailable: 12582912 kB\nSwapTotal: 2097152 kB\nSwapFree: 1048576 kB\n"
    finding = find(laid({"proc/meminfo": meminfo}, {"proc/vmstat": "pswpin 8\npswpout 40\n"}), "swap")
    assert finding.status == "fail"
    assert "32 pages moved" in finding.figure


V1 = "5:memory:/docker/ab\n2:cpu,cpuacct:/docker/ab\n0::/\n"


@pytest.mark.parametrize(
    ("container", "files", "status", "figure", "remedy"),
    [
        (
            "docker",
            {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000"},
            "warn",
            "4 of 4 can be used, seen through docker, a quota of 2.5",
            "docker run --cpuset-cpus=0-1",
        ),
        (
            "kubernetes",
            {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000"},
            "fail",
            "a quota of 0.5",
            "cpuManagerPolicy: static",
        ),
        (
            "docker",
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "150000",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            "warn",
            "a quota of 1.5",
            "bench run --threads 1",
        ),
        (
            "",
            {
                "proc/self/cgroup": "0::/user.slice/batch.scope\n",
                "sys/fs/cgroup/user.slice/cpu.max": "300000 100000",
                "sys/fs/cgroup/cpu.max": "max 100000",
                "sys/fs/cgroup/user.slice/batch.scope/cpu.max": "350000 100000",
            },
            "warn",
            "a quota of 3:",
            "systemd-run --scope -p AllowedCPUs=0-2",
        ),
        ("docker", {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000"}, "pass", "docker", ""),
        ("docker", {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "800000 100000"}, "pass", "docker", ""),
        (
            "docker",
            {"proc/self/cgroup": "2:cpu:/\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1"},
            "pass",
            "4 of 4",
            "",
        ),
    ],
)
def test_a_quota_is_seen_in_either_version_of_control_groups_at_any_level(
    laid: Laid, find: Find, container: str, files: Mapping[str, str], status: str, figure: str, remedy: str
) -> None:
    finding = find(laid(files, container=container), "cores")
    assert finding.status == status
    assert figure in finding.figure
    assert remedy in finding.remedy


def test_a_quota_that_stops_threads_now_is_a_failure(laid: Laid, find: Find) -> None:
    group = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000"}
    before, after = ({"sys/fs/cgroup/cpu.stat": f"nr_periods 50\nnr_throttled {times}\n"} for times in (3, 5))
    assert find(laid({**group, **before}), "throttling").status == "pass"
    finding = find(laid({**group, **before}, after), "throttling")
    assert (finding.status, finding.figure) == ("fail", "stopped 2 times just now")


@pytest.mark.parametrize(
    "files",
    [
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/memory.max": str(2 << 30),
            "sys/fs/cgroup/memory.current": str(1 << 30),
            "sys/fs/cgroup/memory.stat": f"anon 5\ninactive_file {512 << 20}\n",
        },
        {
            "proc/self/cgroup": V1,
            "sys/fs/cgroup/memory/memory.limit_in_bytes": str(2 << 30),
            "sys/fs/cgroup/memory/memory.usage_in_bytes": str(1 << 30),
            "sys/fs/cgroup/memory/memory.stat": f"inactive_file 1\ntotal_inactive_file {512 << 20}\n",
        },
    ],
    ids=["v2", "v1"],
)
def test_the_memory_of_a_container_is_what_its_limit_leaves(laid: Laid, find: Find, files: Mapping[str, str]) -> None:
    finding = find(laid(files), "memory")
    assert finding.status == "warn"
    assert finding.figure == "1.50 GiB free of 2.00 GiB, the group's limit"


def test_no_limit_in_version_1_is_a_very_large_number(laid: Laid, find: Find) -> None:
    files = {
        "proc/self/cgroup": V1,
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "1000",
    }
    assert find(laid(files), "memory").figure == "12.0 GiB free of 16.0 GiB"


@pytest.mark.parametrize(
    ("facts", "name", "status", "figure"),
    [
        ({"torch_cuda": "13.0"}, "torch", "warn", "a build for CUDA 13.0, and no driver"),
        ({"packages": {"torch": "", "triton": ""}}, "torch", "fail", "not installed"),
        ({"packages": {"torch": "2.13.0", "triton": "3.8.0"}}, "triton", "warn", "3.8.0, and torch asks for ==3.7.1"),
        ({"packages": {"torch": "2.13.0", "triton": ""}}, "triton", "warn", "not installed"),
        ({"git_dirty": True}, "checkout", "warn", "0123456789ab, with changes"),
        ({"git_commit": ""}, "checkout", "unknown", "not in a git checkout"),
    ],
)
def test_software_that_would_surprise_is_named(
    laid: Laid, find: Find, facts: Mapping[str, Any], name: str, status: str, figure: str
) -> None:
    finding = find(laid(**facts), name)
    assert finding.status == status
    assert figure in finding.figure
    assert bool(finding.remedy) == (status in ("warn", "fail"))


@pytest.mark.parametrize(
    ("version", "wanted", "is_met"),
    [
        ("3.7.1", "==3.7.1", True),
        ("3.7.1+git", "==3.7.1", True),
        ("3.8.0", "==3.7.1", False),
        ("3.8.4", "~=3.8.0", True),
        ("3.9.0", "~=3.8.0", False),
        ("3.7.9", "~=3.8.0", False),
        ("3.9.0", ">=3.8", True),
    ],
)
def test_a_version_is_held_against_what_is_asked_for(version: str, wanted: str, is_met: bool) -> None:
    assert matches_version(version, wanted) == is_met


def test_thread_settings_of_the_shell_are_named_unless_they_change_nothing(laid: Laid, find: Find) -> None:
    assert find(laid(variables={"OMP_NUM_THREADS": "4"}), "threads").status == "pass"
    finding = find(laid(variables={"OMP_NUM_THREADS": "1", "KMP_AFFINITY": "compact"}), "threads")
    assert (finding.status, finding.figure) == ("warn", "OMP_NUM_THREADS=1, KMP_AFFINITY=compact")
    assert finding.remedy.startswith("unset OMP_NUM_THREADS KMP_AFFINITY")


def test_this_machine_is_read_as_it_is(tmp_path: Path) -> None:
    """The files of the real kernel, whatever it is: no check raises, and what every Linux has is told."""
    found = {
        finding.name: finding
        for each in run_checks(read_snapshot(tmp_path / "deep" / "results")).values()
        for finding in each
    }
    told = {name for name, finding in found.items() if finding.status != "unknown"}
    assert told >= {
        "load",
        "steal",
        "cores",
        "siblings",
        "memory",
        "swap",
        "timer",
        "torch",
        "triton",
        "threads",
        "disk",
    }
    assert "ns" in found["timer"].figure or "us" in found["timer"].figure


def test_a_folder_without_proc_or_sys_is_unknown_and_no_error(tmp_path: Path) -> None:
    empty = read_snapshot(tmp_path, tmp_path / "nothing")
    found = {finding.name: finding.status for each in run_checks(empty).values() for finding in each}
    assert {found[name] for name in ("load", "memory", "clock", "governor", "ASLR")} == {"unknown"}
