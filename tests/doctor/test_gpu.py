"""The doctor on GPUs: the real nvidia-ml-py in child processes, over a stand-in for the driver library."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.probes.nvml_stand_in import NO_ENERGY, NO_EVENT_REASONS, NO_FIELDS, NO_MARGIN, NO_THIRD_PROCESSES, StandIn
from tests.probes.test_nvml_report import OPTIONAL
from tests.support.command import bench

NOT_SUPPORTED, NO_PERMISSION, DRIVER_NOT_LOADED = 3, 4, 9
NAME = "NVIDIA H100 80GB HBM3"
REST = {"count": 2, "name": NAME, "driver": "575.51.02", "cuda": 12090, "temperature.0": 31, "margin": 54, "reasons": 1}
# Everything that the doctor says by subject and name, for a build of torch that the test names.
CODE = """
import json, sys
from dataclasses import asdict, replace
from pathlib import Path
from harness.doctor.checks import run_checks
from harness.doctor.snapshot import read_snapshot
machine = read_snapshot(Path("results"))
machine = replace(machine, environment=replace(machine.environment, torch_cuda=sys.stdin.read()))
found = run_checks(machine)
print(json.dumps({subject: {one.name: asdict(one) for one in each} for subject, each in found.items()}))
"""
Found = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def newest(tmp_path_factory: pytest.TempPathFactory) -> StandIn:
    return StandIn(tmp_path_factory.mktemp("newest"))


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> StandIn:
    parts = (NO_ENERGY, NO_FIELDS, NO_EVENT_REASONS, NO_MARGIN, NO_THIRD_PROCESSES)
    return StandIn(tmp_path_factory.mktemp("older"), *parts)


@pytest.fixture
def training() -> Iterator[int]:
    """The number of a process that is somebody else's, and real."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        process.kill()


def examined(driver: StandIn, built: str = "12.8", **state: Any) -> dict[str, Found]:
    driver.write(**{**REST, **state})
    return dict(driver.run(CODE, built))


def gpu(driver: StandIn, **state: Any) -> Found:
    return examined(driver, **state)["GPU"]


def test_resting_gpus_have_nothing_to_put_right_and_one_line_a_question(newest: StandIn) -> None:
    found = examined(newest)
    assert {finding["status"] for finding in found["GPU"].values()} == {"pass"}
    assert [finding["figure"] for finding in found["GPU"].values()] == [
        f"2 x {NAME}, driver 575.51.02, CUDA 12.9",
        "none",
        "on",
        "1980 MHz (memory 1980 MHz), the default",
        "700 W, the default",
        "31 °C, 54 below the limit",
        "no error that was not corrected",
    ]
    assert "NVML (2 GPUs)" in found["instruments"]["energy"]["figure"]


@pytest.mark.parametrize(
    ("state", "name", "status", "figure", "remedy"),
    [
        ({"utilization": 97}, "processes", "fail", "busy 97% with processes that cannot be seen", "--device cuda:N"),
        ({"utilization": 97, "graphics": "1:5"}, "processes", "fail", "busy 97% with its screen", "--device cuda:N"),
        ({"graphics": "1:5 2:5"}, "processes", "warn", "a screen is drawn on it by 2", "graphical session"),
        ({"compute": "999999999:-1"}, "processes", "warn", "not seen from here (pid 999999999), busy 0%", "cuda:N"),
        ({"persistence": 0}, "persistence", "warn", "off", "sudo nvidia-smi -pm 1"),
        ({"application_mhz.0": 900}, "GPU clocks", "warn", "900 MHz (memory 1980 MHz), default 1980 MHz", "-i 1 -rac"),
        ({"application_mhz.2": 810}, "GPU clocks", "warn", "1980 MHz (memory 810 MHz), default 1980 MHz", "-i 1 -rac"),
        ({"power_limit_mw": 300000}, "power limit", "warn", "300 W, default 700 W", "sudo nvidia-smi -i 1 -pl 700"),
        ({"margin": 6}, "GPU heat", "warn", "6 below the limit", "cool down"),
        ({"margin": -1}, "GPU heat", "fail", "-1 below the limit", "cool down"),
        (
            {"reasons": 0x20 + 0x40 + 4, "clock_mhz.1": 1215, "temperature.0": 88, "margin": 2},
            "GPU heat",
            "fail",
            "88 °C, 2 below the limit; slowed down now to 1215 MHz (sw_thermal_slowdown, hw_thermal_slowdown)",
            "cool down; look at fans and power supply",
        ),
        ({"ecc_errors.1.0": 3}, "GPU memory", "fail", "3 errors", "-i 1 --gpu-reset"),
    ],
)
def test_the_gpu_that_stands_out_is_named(
    newest: StandIn, state: dict[str, Any], name: str, status: str, figure: str, remedy: str
) -> None:
    finding = gpu(newest, **{f"1.{key}": value for key, value in state.items()})[name]
    assert finding["status"] == status
    assert finding["figure"].startswith("GPU 1: ")
    assert figure in finding["figure"]
    assert "GPU 0" not in finding["figure"]
    assert remedy in finding["remedy"]


def test_a_process_that_computes_is_named_and_fails_once_the_gpu_is_busy(newest: StandIn, training: int) -> None:
    listed = {"1.compute": f"{training}:{40 << 30}", "1.graphics": f"{training}:5"}
    finding = gpu(newest, **listed)["processes"]
    assert (finding["status"], finding["figure"]) == ("warn", f"GPU 1: sleep (pid {training}, 40.0 GiB), busy 0%")
    assert finding["remedy"] == f"Wait for their end, or: kill {training}"
    assert gpu(newest, **listed, **{"1.utilization": 97})["processes"]["status"] == "fail"


def test_a_gpu_that_is_not_visible_to_cuda_is_not_judged(newest: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    found = gpu(newest, **{"0.persistence": 0, "1.margin": 53})
    assert found["persistence"]["status"] == "pass"
    assert found["GPU heat"]["figure"] == "31 °C, 53 below the limit"
    assert gpu(newest, **{"1.persistence": 0})["persistence"]["figure"].startswith("off")


@pytest.mark.parametrize("code", [NOT_SUPPORTED, NO_PERMISSION])
def test_what_no_gpu_tells_is_unknown_and_no_error(newest: StandIn, code: int) -> None:
    found = examined(newest, **dict.fromkeys(OPTIONAL, code))
    figures = {name: (finding["status"], finding["figure"]) for name, finding in found["GPU"].items()}
    assert figures.pop("devices") == ("pass", f"2 x {NAME}, driver 575.51.02, CUDA 12.9")
    assert figures == {
        "processes": ("unknown", "not told"),
        "persistence": ("unknown", "not told"),
        "GPU clocks": ("unknown", "none to set; a lock (nvidia-smi -lgc) is not told"),
        "power limit": ("unknown", "not told"),
        "GPU heat": ("unknown", "heat is not told; no limit is told"),
        "GPU memory": ("unknown", "errors are not told"),
    }
    assert "NVML" not in found["instruments"]["energy"]["figure"]


def test_a_slowdown_is_told_where_the_heat_is_not(newest: StandIn) -> None:
    refused = {f"nvmlDeviceGet{name}": NOT_SUPPORTED for name in ("Temperature", "MarginTemperature", "ClockInfo")}
    finding = gpu(newest, reasons=0x80, **refused)["GPU heat"]
    assert finding["status"] == "fail"
    assert finding["figure"].endswith("slowed down now (hw_power_brake_slowdown)")


def test_an_older_driver_is_asked_by_its_older_names(older: StandIn) -> None:
    state = {"power_limit_mw": 350000, "threshold.1": 89, "reasons": 8, "compute": f"{os.getpid()}:-1"}
    found = examined(older, **state)
    assert found["GPU"]["power limit"]["figure"] == "350 W, default 700 W"
    heat = "31 °C, 58 below the limit; slowed down now to 1980 MHz (hw_slowdown)"
    assert found["GPU"]["GPU heat"]["figure"] == heat
    assert f"(pid {os.getpid()}), busy 0%" in found["GPU"]["processes"]["figure"]
    assert "NVML (2 GPUs)" in found["instruments"]["energy"]["figure"]


def test_a_lost_gpu_is_a_failure(newest: StandIn) -> None:
    found = gpu(newest, **{"1.lost_at": 0})
    assert found["devices"]["status"] == "fail"
    assert found["devices"]["figure"] == "GPU 1 is lost: it no longer answers the driver"
    assert "sudo reboot" in found["devices"]["remedy"]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"nvmlInitWithFlags": DRIVER_NOT_LOADED}, "none: NVML: Driver Not Loaded"),
        ({"nvmlInitWithFlags": NO_PERMISSION}, "none: NVML: Insufficient Permissions"),
        ({"count": 0}, "none: NVML finds no device that CUDA_VISIBLE_DEVICES allows"),
    ],
)
def test_without_gpus_there_is_one_line_with_the_reason(newest: StandIn, state: dict[str, Any], reason: str) -> None:
    (finding,) = gpu(newest, **state).values()
    assert (finding["name"], finding["status"], finding["figure"]) == ("devices", "unknown", reason)


def test_gpus_that_answer_no_more_are_named_and_why(newest: StandIn) -> None:
    """The driver changes its mind between the two times that it is asked."""
    code = """
import json, sys
from pathlib import Path
from harness.detect import detect_environment
from harness.doctor.driver import ask_driver
environment = detect_environment()
print("up", flush=True)
sys.stdin.readline()
driver = ask_driver(environment)
print(json.dumps([len(environment.gpus), len(driver.devices), driver.reason]))
"""
    cases = [
        ({"nvmlInitWithFlags": NO_PERMISSION}, "NVML: the driver permits this to root or not in here"),
        ({"nvmlDeviceGetHandleByIndex_v2": NO_PERMISSION}, "the driver says no more of them"),
    ]
    for state, reason in cases:
        newest.write(**REST)
        child = newest.start(code)
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        newest.write(**{**REST, **state})
        out, err = child.communicate("\n", timeout=30)
        assert (err, json.loads(out)) == ("", [2, 0, reason])


def test_a_driver_that_is_older_than_the_build_of_torch_is_a_failure(newest: StandIn) -> None:
    finding = examined(newest, built="13.0")["software"]["torch"]
    assert finding["status"] == "fail"
    assert "driver 575.51.02 ends at CUDA 12.9" in finding["figure"]
    assert "a build of torch for CUDA 12" in finding["remedy"]
    assert examined(newest, built="12.8")["software"]["torch"]["status"] == "pass"
    assert examined(newest, built="")["software"]["torch"]["status"] == "warn"
    untold = examined(newest, built="13.0", nvmlSystemGetCudaDriverVersion=NOT_SUPPORTED)
    assert untold["software"]["torch"]["status"] == "pass"
    assert untold["GPU"]["devices"]["figure"] == f"2 x {NAME}, driver 575.51.02"


def test_the_command_prints_what_the_driver_says_and_starts_no_program(newest: StandIn, tmp_path: Path) -> None:
    newest.write(**REST, **{"1.persistence": 0})
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    tool.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = bench("doctor", cwd=tmp_path, **{**newest.environment, "PATH": path})
    assert f"2 x {NAME}" in done.stdout
    assert "GPU 1: off: each run starts the driver anew" in done.stdout
    assert not (tmp_path / "started").exists()
