from __future__ import annotations

import math
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.analysis.roof import compute_roofline_share
from harness.catalog import load_catalog
from harness.core.case import Case, PlannedCase
from harness.core.ceilings import Ceilings, find_datasheet
from harness.core.environment import Environment
from harness.core.measurement import Measurement
from harness.core.suite import Policy
from harness.core.workload import Cost
from harness.detect import detect_environment
from harness.plan import make_plan
from harness.store.ceilings import read_ceilings, write_ceilings

ROOFS = Ceilings({"fp32": 1e12, "bf16": 4e12}, 1e11, 1e-6, "2026-01-01T00:00:00+00:00")


def share(cost: Cost, seconds: float, dtype: str = "fp32", ceilings: Ceilings | None = ROOFS) -> Measurement | None:
    case = Case("work", "base", (("dtype", dtype),))
    time = Measurement(case, "time", 10, 5, seconds, seconds * 0.9, seconds * 1.1)
    return compute_roofline_share(PlannedCase(case, cost), time, ceilings)


def test_the_roof_that_binds_is_the_one_that_takes_longest() -> None:
    compute = share(Cost(flops=1e12, bytes=1e9), 2.0)
    memory = share(Cost(flops=1e9, bytes=1e11), 2.0)
    assert compute is not None
    assert memory is not None
    assert (compute.median, compute.provenance) == (0.5, "bound by compute: 1.00 TFLOP/s fp32")
    assert (memory.median, memory.provenance) == (0.5, "bound by memory: 100 GB/s")
    assert compute.ci_low < 0.5 < compute.ci_high


def test_a_rate_above_the_roof_is_a_flag_and_no_roof_is_no_share() -> None:
    above = share(Cost(flops=1e12), 0.5)
    assert above is not None
    assert above.flags == ("above_roof",)
    assert share(Cost(flops=1e12), 0.95) == share(Cost(flops=1e12), 0.95)
    within = share(Cost(flops=1e12), 0.95)
    assert within is not None
    assert within.flags == ()
    assert share(Cost(flops=1e12), 1.0, dtype="fp64") is None
    assert share(Cost(), 1.0) is None
    assert share(Cost(flops=1e12), 1.0, ceilings=None) is None


def test_roofs_are_kept_by_machine_device_and_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    here: Environment = detect_environment()
    policy = Policy(device="cpu", threads=2)
    assert read_ceilings(here, policy) is None
    path = write_ceilings(here, policy, ROOFS)
    assert read_ceilings(here, policy) == ROOFS
    assert read_ceilings(here, Policy(device="cpu", threads=1)) is None
    path.write_text("{")
    assert read_ceilings(here, policy) is None


def test_what_a_maker_states_is_found_by_the_longest_name() -> None:
    found = find_datasheet("NVIDIA H100 80GB HBM3")
    assert found is not None
    assert math.isclose(found.bf16_flops_per_s, 989e12)
    assert find_datasheet("Some other device") is None


# The project's own suite multiplies matrices for a minute; this one is found before it.
QUICK_SUITE = """
[[select]]
workload = "gemm"
axes = { n = "256", dtype = "fp32" }

[[select]]
workload = "bandwidth"
axes = { bytes = "4mib" }

[[select]]
workload = "calibration"
implementations = ["launch"]
"""


def test_roofs_that_the_doctor_measured_are_what_a_run_is_a_share_of(
    place: Path, bench: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (place / "suites").mkdir()
    (place / "suites" / "__init__.py").touch()
    (place / "suites" / "ceilings_cpu.toml").write_text(QUICK_SUITE)
    first = os.pathsep.join(filter(None, (str(place), os.environ.get("PYTHONPATH", ""))))
    quick = ("--launches", "1", "--budget", "0.3s", "--device", "cpu")
    done = bench("doctor", "--ceilings", *quick, XDG_CACHE_HOME=str(place), PYTHONPATH=first)
    assert "Roofs of cpu under" in done.stdout, done.stdout + done.stderr
    arguments = ("--seq", "256", "--dtype", "fp32", "--impl", "naive", *quick)
    shown = bench("run", "attention", *arguments, XDG_CACHE_HOME=str(place)).stdout
    assert "of roof" in shown
    assert "%" in next(line for line in shown.splitlines() if line.split()[:1] == ["naive"])
    assert "of roof" not in bench("run", "attention", *arguments, XDG_CACHE_HOME=str(place / "none")).stdout


def test_the_suite_of_a_processors_roofs_has_each_dtype_memory_and_a_call() -> None:
    catalog = load_catalog()
    suite = catalog.suites["ceilings_cpu"]
    plan = make_plan(catalog, suite.selections, suite.policy, detect_environment())
    planned = [case.case for group in plan.groups for case in group.cases]
    assert {case.params["dtype"] for case in planned if case.workload == "gemm"} == {"fp64", "fp32", "bf16", "fp16"}
    assert {case.implementation for case in planned if case.workload == "bandwidth"} == {"copy", "read", "write"}
    assert [case.implementation for case in planned if case.workload == "calibration"] == ["launch"]
