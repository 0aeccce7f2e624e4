from __future__ import annotations

import os
import subprocess
import sys

import pytest

from harness.core.environment import Gpu
from harness.detect import available_memory, detect, has_module, usable_cpus, visible

GPUS = tuple(Gpu(index, "H100", f"GPU-{index}{index}aa", (9, 0), 80 << 30, 79 << 30) for index in range(3))


@pytest.mark.parametrize(
    ("wanted", "indices"),
    [(None, [0, 1, 2]), ("2,0", [2, 0]), ("GPU-11", [1]), ("1,7,0", [1]), ("", []), ("-1", []), ("NoDevFiles", [])],
)
def test_gpus_are_numbered_as_cuda_will_number_them(wanted: str | None, indices: list[int]) -> None:
    assert [gpu.index for gpu in visible(GPUS, wanted)] == indices


def test_the_machine_is_read_without_torch_and_as_the_kernel_tells_it() -> None:
    here = detect()
    assert here.memory_total == pytest.approx(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), rel=0.05)
    assert 0 < available_memory() <= here.memory_total
    assert here.packages["torch"]
    code = "import sys; from harness.detect import detect; detect(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_process_that_may_use_one_core_is_seen_to_have_one() -> None:
    code = "import os; os.sched_setaffinity(0, {0}); from harness.detect import usable_cpus; print(usable_cpus())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"
    assert usable_cpus() >= 1


def test_a_module_is_looked_for_without_being_imported() -> None:
    assert has_module("antigravity")
    assert "antigravity" not in sys.modules
    assert not has_module("no_such_module")
    assert not has_module("no_such_package.module")


def test_a_missing_driver_is_a_reason_and_not_an_error() -> None:
    here = detect()
    assert bool(here.gpus) != bool(here.gpu_reason)
