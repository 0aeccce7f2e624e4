"""The report of all devices, by the real nvidia-ml-py over the stand-in for the driver library."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.probes.nvml_stand_in import NO_ENERGY, NO_EVENT_REASONS, NO_FIELDS, NO_MARGIN, NO_THIRD_PROCESSES, StandIn

NOT_SUPPORTED, NO_PERMISSION, DRIVER_NOT_LOADED = 3, 4, 9
GIB = 1 << 30
# What a device may refuse; without the rest it has neither name nor number.
OPTIONAL = [
    "nvmlDeviceGetComputeRunningProcesses_v3",
    "nvmlDeviceGetGraphicsRunningProcesses_v3",
    "nvmlDeviceGetUtilizationRates",
    "nvmlDeviceGetPersistenceMode",
    "nvmlDeviceGetApplicationsClock",
    "nvmlDeviceGetDefaultApplicationsClock",
    "nvmlDeviceGetClockInfo",
    "nvmlDeviceGetPowerManagementLimit",
    "nvmlDeviceGetPowerManagementDefaultLimit",
    "nvmlDeviceGetFieldValues",
    "nvmlDeviceGetPowerUsage",
    "nvmlDeviceGetTemperature",
    "nvmlDeviceGetMarginTemperature",
    "nvmlDeviceGetTemperatureThreshold",
    "nvmlDeviceGetCurrentClocksEventReasons",
    "nvmlDeviceGetCurrentClocksThrottleReasons",
    "nvmlDeviceGetTotalEccErrors",
]
CODE = """
import json
from dataclasses import asdict
from harness.probes.meter import MeterError
from harness.probes.nvml_report import read_report
try:
    report = read_report()
    rooms = [device.room for device in report.devices]
    print(json.dumps({**asdict(report), "rooms": rooms}))
except MeterError as error:
    print(json.dumps([error.reason, str(error)]))
"""


@pytest.fixture(scope="module")
def newest(tmp_path_factory: pytest.TempPathFactory) -> StandIn:
    return StandIn(tmp_path_factory.mktemp("newest"))


@pytest.fixture
def sleeper() -> Iterator[int]:
    """The number of a process that is somebody else's, and real."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        process.kill()


def test_all_that_the_driver_tells_of_two_devices_is_in_si_units(newest: StandIn, sleeper: int) -> None:
    newest.write(
        **{"count": 2, "driver": "580.95.05", "cuda": 13010, "watts": 250, "1.name": "NVIDIA H100 PCIe"},
        **{"0.compute": f"{sleeper}:{2 * GIB} 999999999:-1", "0.graphics": f"{sleeper}:5 999999998:5"},
        **{"0.utilization": 97, "1.persistence": 0, "1.power_limit_mw": 300000, "1.default_limit_mw": 350000},
        **{"1.application_mhz.0": 1200, "application_mhz.2": 2619, "default_mhz.2": 1593},
        **{"clock_mhz.1": 345, "clock_mhz.2": 2600, "temperature.0": 61, "1.margin": -3, "threshold.1": 87},
        **{"1.reasons": 4 + 0x20 + 0x40, "1.ecc_errors.1.0": 7, "1.ecc_errors.0.0": 100},
    )
    report = newest.run(CODE)
    first, second = report["devices"]
    assert (report["driver"], report["cuda"]) == ("580.95.05", "13.1")
    assert [first["power_w"], second["power_w"]] == pytest.approx([250, 250], rel=0.01)
    del first["power_w"], second["power_w"]
    both = {"reason": None, "clocks": [345e6, 2600e6], "temperature": 61, "slowdown": 87}
    assert first == {
        **both,
        "index": 0,
        "name": "NVIDIA Stand-in",
        "uuid": "GPU-0000aaaa-0000",
        "processes": [
            {"pid": sleeper, "name": "sleep", "memory": 2 * GIB},
            {"pid": 999999999, "name": None, "memory": None},
        ],
        "drawing": 1,
        "busy": 0.97,
        "persistence": True,
        "application_clocks": [1980e6, 2619e6],
        "default_clocks": [1980e6, 1593e6],
        "power_limit_w": 700,
        "default_power_limit_w": 700,
        "margin": 42,
        "events": [],
        "ecc_errors": 0,
    }
    assert second == {
        **both,
        "index": 1,
        "name": "NVIDIA H100 PCIe",
        "uuid": "GPU-0100aaaa-0000",
        "processes": [],
        "drawing": 0,
        "busy": 0,
        "persistence": False,
        "application_clocks": [1200e6, 2619e6],
        "default_clocks": [1980e6, 1593e6],
        "power_limit_w": 300,
        "default_power_limit_w": 350,
        "margin": -3,
        "events": ["sw_power_cap", "sw_thermal_slowdown", "hw_thermal_slowdown"],
        "ecc_errors": 7,
    }


def told(device: dict[str, Any]) -> set[str]:
    return {name for name, value in device.items() if value is not None}


@pytest.mark.parametrize("code", [NOT_SUPPORTED, NO_PERMISSION])
def test_what_a_device_refuses_is_none_and_its_neighbour_is_read(newest: StandIn, code: int) -> None:
    newest.write(count=2, **{f"1.{function}": code for function in OPTIONAL})
    report = newest.run(CODE)
    assert told(report["devices"][1]) == {"index", "name", "uuid"}
    assert set(report["devices"][0]) - told(report["devices"][0]) == {"reason"}
    assert report["rooms"] == [42, None]


@pytest.mark.parametrize("function", OPTIONAL)
def test_one_refusal_hides_no_more_than_what_it_is_about(newest: StandIn, function: str) -> None:
    newest.write(**{function: NOT_SUPPORTED})
    (device,) = newest.run(CODE)["devices"]
    assert len(set(device) - told(device) - {"reason"}) <= 1


def test_an_older_driver_lacks_functions_and_tells_the_rest(tmp_path: Path) -> None:
    old = StandIn(tmp_path, NO_ENERGY, NO_FIELDS, NO_EVENT_REASONS, NO_MARGIN, NO_THIRD_PROCESSES)
    old.write(watts=200, reasons=8, compute=f"{os.getpid()}:{GIB}", **{"temperature.0": 61, "threshold.1": 87})
    report = old.run(CODE)
    (device,) = report["devices"]
    assert set(device) - told(device) == {"reason", "margin"}
    assert (device["events"], report["rooms"]) == (["hw_slowdown"], [26])
    assert device["power_w"] == pytest.approx(200, rel=0.01)
    name = Path(f"/proc/{os.getpid()}/comm").read_text().strip()
    assert device["processes"] == [{"pid": os.getpid(), "name": name, "memory": GIB}]


def test_a_lost_device_has_its_reason_and_the_others_their_figures(newest: StandIn) -> None:
    newest.write(count=3, **{"1.lost_at": 0, "2.nvmlDeviceGetHandleByIndex_v2": NO_PERMISSION})
    first, lost, refused = newest.run(CODE)["devices"]
    assert (first["reason"], first["temperature"]) == (None, 45)
    assert (told(lost), lost["reason"]) == ({"index", "reason"}, "device_lost")
    assert (told(refused), refused["reason"]) == ({"index", "reason"}, "no_permission")


def test_without_a_driver_that_answers_the_reason_is_typed(newest: StandIn, tmp_path: Path) -> None:
    newest.write(nvmlInitWithFlags=DRIVER_NOT_LOADED)
    assert newest.run(CODE) == ["no_driver", "NVML: the library is here, but the driver is not loaded"]
    newest.write(nvmlDeviceGetCount_v2=NO_PERMISSION)
    assert newest.run(CODE)[0] == "no_permission"
    broken = StandIn(tmp_path)
    (tmp_path / "libnvidia-ml.so.1").write_bytes(b"")
    assert broken.run(CODE)[0] == "no_library"


def test_the_driver_is_let_go_of(newest: StandIn) -> None:
    newest.write(count=2)
    code = f"{CODE}import pynvml\nprint(json.dumps(pynvml._nvmlLib_refcount))"
    assert newest.run(code) == 0
