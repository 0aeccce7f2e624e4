from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.core.environment import Gpu
from harness.detect import count_usable_cpus, detect_environment, has_module, read_available_memory, select_visible_gpus

GPUS = tuple(Gpu(index, "H100", f"GPU-{index}{index}aa", (9, 0), 80 << 30, 79 << 30) for index in range(3))


@pytest.mark.parametrize(
    ("wanted", "indices"),
    [(None, [0, 1, 2]), ("2,0", [2, 0]), ("GPU-11", [1]), ("1,7,0", [1]), ("", []), ("-1", []), ("NoDevFiles", [])],
)
def test_gpus_are_numbered_as_cuda_will_number_them(wanted: str | None, indices: list[int]) -> None:
    assert [gpu.index for gpu in select_visible_gpus(GPUS, wanted)] == indices


def test_the_machine_is_read_without_torch_and_as_the_kernel_tells_it() -> None:
    here = detect_environment()
    assert here.memory_total == pytest.approx(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), rel=0.05)
    assert 0 < read_available_memory() <= here.memory_total
    assert here.packages["torch"]
    code = "import sys; import harness.detect as here; here.detect_environment(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_process_that_may_use_one_core_is_seen_to_have_one() -> None:
    code = "import os; os.sched_setaffinity(0, {0}); import harness.detect as here; print(here.count_usable_cpus())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"
    assert count_usable_cpus() >= 1


def laid(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


# What the kernel lists, the folder at which its paths begin, and the one in which a limit is set.
VERSION_1, VERSION_2 = "5:memory:/job/step\n2:cpu,cpuacct:/job/step\n0::/", "0::/job/step"
GROUPS = [
    (VERSION_2, "sys/fs/cgroup", "sys/fs/cgroup/job/step"),
    (VERSION_2, "sys/fs/cgroup", "sys/fs/cgroup/job"),
    (VERSION_2, "sys/fs/cgroup", "sys/fs/cgroup"),
    (VERSION_1, "sys/fs/cgroup/{}", "sys/fs/cgroup/{}/job/step"),
    (VERSION_1, "sys/fs/cgroup/{}", "sys/fs/cgroup/{}/job"),
    (VERSION_1, "sys/fs/cgroup/{}", "sys/fs/cgroup/{}"),
]
PLACES = ["v2 own", "v2 above", "v2 container", "v1 own", "v1 above", "v1 container"]


@pytest.mark.parametrize("group", GROUPS, ids=PLACES)
@pytest.mark.parametrize(("quota_us", "cores"), [(190_000, 1), (50_000, 1), (10**9, None), (None, None)])
def test_a_quota_leaves_the_cores_that_it_has_whole_and_one_at_least(
    tmp_path: Path, group: tuple[str, str, str], quota_us: int | None, cores: int | None
) -> None:
    listed, top, folder = (text.format("cpu,cpuacct") for text in group)
    root = laid(tmp_path, {"proc/self/cgroup": listed, f"{top}/cgroup.procs": ""})
    if listed == VERSION_1:
        quota = -1 if quota_us is None else quota_us
        laid(root, {f"{folder}/cpu.cfs_quota_us": str(quota), f"{folder}/cpu.cfs_period_us": "100000"})
    else:
        laid(root, {f"{folder}/cpu.max": f"{quota_us or 'max'} 100000"})
    assert count_usable_cpus(root) == (cores or len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("group", GROUPS, ids=PLACES)
def test_memory_is_what_the_limits_of_all_groups_leave(tmp_path: Path, group: tuple[str, str, str]) -> None:
    listed, top, folder = (text.format("memory") for text in group)
    root = laid(tmp_path, {"proc/self/cgroup": listed, f"{top}/cgroup.procs": ""})
    laid(root, {"proc/meminfo": "MemTotal: 16777216 kB\nMemAvailable: 8388608 kB"})
    assert read_available_memory(root) == 8 << 30
    names = ("memory.max", "memory.current", "inactive_file")
    if listed == VERSION_1:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    for limit, used, files, free in ((6, 5, 2, 3), (6, 7, 0, 0), (1 << 30, 5, 2, 8)):
        texts = (str(limit << 30), str(used << 30), f"anon 1\n{names[2]} {files << 30}")
        laid(root, dict(zip((f"{folder}/{name}" for name in (*names[:2], "memory.stat")), texts, strict=True)))
        assert read_available_memory(root) == free << 30


def test_the_tightest_of_nested_limits_counts(tmp_path: Path) -> None:
    root = laid(tmp_path, {"proc/self/cgroup": VERSION_2, "proc/meminfo": "MemAvailable: 8388608 kB"})
    levels = ("sys/fs/cgroup", "sys/fs/cgroup/job", "sys/fs/cgroup/job/step")
    for folder, quota, limit in zip(levels, ("max", 150_000, 200_000), ("max", 4 << 30, 6 << 30), strict=True):
        laid(root, {f"{folder}/cpu.max": f"{quota} 100000", f"{folder}/memory.max": str(limit)})
        laid(root, {f"{folder}/memory.current": str(1 << 30)})
    assert count_usable_cpus(root) == 1
    assert read_available_memory(root) == 3 << 30


def test_a_module_is_looked_for_without_being_imported() -> None:
    assert has_module("antigravity")
    assert "antigravity" not in sys.modules
    assert not has_module("no_such_module")
    assert not has_module("no_such_package.module")


def test_a_missing_driver_is_a_reason_and_not_an_error() -> None:
    here = detect_environment()
    assert bool(here.gpus) != bool(here.gpu_reason)
