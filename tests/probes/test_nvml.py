"""The real nvidia-ml-py in child processes, over a stand-in for the driver library."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from harness.core.trial import Rest
from harness.probes.energy import EnergyReading, StepEnergy
from tests.probes.nvml_stand_in import NO_ENERGY, NO_EVENT_REASONS, NO_FIELDS, StandIn
from tests.probes.test_energy import net

NOT_SUPPORTED, NO_PERMISSION, DRIVER_NOT_LOADED = 3, 4, 9
COUNTER = "nvmlDeviceGetTotalEnergyConsumption"
INSTANT, MODULE = "field.186.0", "field.186.1"

PRELUDE = """
import json, math, os, sys, threading, time
from harness.probes.energy import measure_idle_power, measure_step_energy
from harness.probes.meter import MeterError
from harness.probes.nvml import Device
from harness.probes.window import Gauge

def work(seconds):
    # Steps of a millisecond, as a device runs them that has more of them queued.
    steps = max(1, round(seconds / 1e-3))
    time.sleep(steps * 1e-3)
    return steps

def busy(mark):
    with open(os.environ["NVML_STAND_IN"].removesuffix("state") + "busy", "a") as file:
        file.write(mark.format(time.monotonic()))

def show(energy):
    gross = energy.gross
    print(json.dumps({
        "watts": energy.power.value, "half": energy.power.uncertainty, "provenance": gross.provenance,
        "gross": gross.value, "step_s": energy.step_s, "reason": gross.reason, "scope": energy.scope,
        "flags": energy.flags, "disagreement": energy.window and energy.window.disagreement,
    }))
"""
OPENED = """
try:
    device = Device()
    device.meters()
except MeterError as error:
    print(json.dumps([error.reason, str(error)]))
"""
MEASURED = """
device = Device()
meter, check = device.meters()
one = Gauge(meter, check=check, queued=True, seed=1)
show(measure_step_energy(one, work, wanted={wanted}))
"""

# An index of CUDA's, CUDA_VISIBLE_DEVICES, and the device that is meant on a machine with three.
NUMBERED = [
    (1, None, "GPU-0100aaaa-0000"),
    (0, "2,0", "GPU-0200aaaa-0000"),
    (1, "2, 0", "GPU-0000aaaa-0000"),
    (1, "GPU-02,GPU-0100aaaa-0000", "GPU-0100aaaa-0000"),
    (0, "GPU-02", "GPU-0200aaaa-0000"),
    (0, "MIG-0100aaaa-0000", "GPU-0100aaaa-0000"),
    (3, None, "no_device"),
    (1, "2", "no_device"),
    (0, "7", "no_device"),
    (0, "", "no_device"),
    (0, "GPU-09", "no_device"),
    (0, "MIG-09", "no_device"),
    (0, "NoDevFiles", "no_device"),
]


@pytest.fixture(scope="module")
def newest(tmp_path_factory: pytest.TempPathFactory) -> StandIn:
    return StandIn(tmp_path_factory.mktemp("newest"))


@pytest.fixture
def nvml(newest: StandIn) -> StandIn:
    newest.busy.unlink(missing_ok=True)
    newest.write()
    return newest


def measure(nvml: StandIn, wanted: float = 0.05) -> dict[str, Any]:
    return dict(nvml.run(PRELUDE + MEASURED.format(wanted=wanted)))


def started(nvml: StandIn, before: str, after: str) -> subprocess.Popen[str]:
    """Start a child that runs the first part, waits for a line, and runs the second; return when it waits."""
    after = "".join(f"    {line}\n" for line in after.splitlines())
    wait = "print('up', flush=True)\nsys.stdin.readline()\n"
    caught = "except MeterError as error:\n    print(json.dumps([error.reason, str(error)]))\n"
    child = nvml.start(f"{PRELUDE}{before}{wait}try:\n{after}{caught}")
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    return child


def ended(child: subprocess.Popen[str]) -> Any:
    """Let a child go on, and return what it printed last."""
    out, err = child.communicate("\n", timeout=30)
    assert (child.returncode, err) == (0, "")
    return json.loads(out)


def test_a_missing_library_a_missing_driver_and_a_missing_permission_are_told_apart(nvml: StandIn) -> None:
    nvml.write(nvmlInitWithFlags=DRIVER_NOT_LOADED)
    assert nvml.run(PRELUDE + OPENED) == ["no_driver", "NVML: the library is here, but the driver is not loaded"]
    nvml.write(**{COUNTER: NO_PERMISSION})
    reason, text = nvml.run(PRELUDE + OPENED)
    assert (reason, text.partition(":")[0]) == ("no_permission", "NVML total energy")
    nvml.write(nvmlInitWithFlags=NO_PERMISSION)
    assert nvml.run(PRELUDE + OPENED)[0] == "no_permission"


def test_a_library_that_cannot_be_loaded_is_a_missing_one(tmp_path: Path) -> None:
    broken = StandIn(tmp_path)
    (tmp_path / "libnvidia-ml.so.1").write_bytes(b"")
    reason, text = broken.run(PRELUDE + OPENED)
    assert reason == "no_library"
    assert "libnvidia-ml.so.1 is not found" in text


def test_a_device_is_found_as_cuda_numbers_it(nvml: StandIn) -> None:
    nvml.write(count=3)
    code = """
found = []
for index, visible, _ in json.loads(sys.stdin.read()):
    try:
        found.append(Device(index, visible).uuid)
    except MeterError as error:
        found.append(error.reason)
print(json.dumps(found))
"""
    found = nvml.run(PRELUDE + code, json.dumps(NUMBERED))
    assert dict(zip(NUMBERED, found, strict=True)) == {case: case[2] for case in NUMBERED}


def test_the_counter_is_read_between_its_ticks_and_agrees_with_polled_power(nvml: StandIn) -> None:
    nvml.write(watts=300, tick=0.01)
    energy = measure(nvml)
    assert (energy["provenance"], energy["scope"], energy["flags"]) == ("measured", "gpu", [])
    assert energy["watts"] == pytest.approx(300, abs=energy["half"])
    assert energy["half"] <= 0.05 * energy["watts"]
    assert energy["gross"] == pytest.approx(energy["watts"] * energy["step_s"])
    assert energy["disagreement"] < 0.05


def test_a_power_that_pulses_and_one_that_rises_are_read_as_their_mean(nvml: StandIn) -> None:
    nvml.write(watts=100, high=500, period=0.005, duty=0.25, tick=0.01)
    energy = measure(nvml)
    assert energy["watts"] == pytest.approx(200, abs=energy["half"])
    nvml.write(watts=200, slope=100, origin=time.monotonic(), tick=0.01)
    energy = measure(nvml)
    assert 200 < energy["watts"] < 500
    assert energy["disagreement"] < 0.02
    assert energy["half"] <= 0.05 * energy["watts"]


def test_a_counter_that_disagrees_with_power_is_flagged(nvml: StandIn) -> None:
    nvml.write(watts=300, tick=0.01, module_share=1.5, **{INSTANT: NOT_SUPPORTED, MODULE: 0})
    energy = measure(nvml)
    assert energy["flags"] == ["meters_disagree"]
    assert energy["disagreement"] == pytest.approx(0.5, abs=0.05)


def test_without_a_counter_power_is_polled(nvml: StandIn) -> None:
    nvml.write(watts=300, **{COUNTER: NOT_SUPPORTED})
    energy = measure(nvml, wanted=0.1)
    assert (energy["provenance"], energy["scope"]) == ("integrated", "gpu")
    assert energy["watts"] == pytest.approx(300, rel=0.01)
    assert energy["half"] <= 0.1 * energy["watts"]
    assert energy["disagreement"] is None


@pytest.mark.parametrize(
    ("works", "name", "scope", "watts"),
    [
        (INSTANT, "of the gpu", "gpu", 300),
        (MODULE, "of the module", "module", 450),
        ("", "(average of 1 s)", "gpu", 300),
    ],
)
def test_what_is_polled_is_named(nvml: StandIn, works: str, name: str, scope: str, watts: float) -> None:
    fields = {INSTANT: NOT_SUPPORTED, MODULE: NOT_SUPPORTED, works: 0}
    nvml.write(watts=300, **{COUNTER: NOT_SUPPORTED}, **fields)
    code = """
meter, _ = Device().meters()
started, joules = time.perf_counter(), meter.read()
time.sleep(0.2)
print(json.dumps([meter.name, meter.scope, (meter.read() - joules) / (time.perf_counter() - started)]))
"""
    said = nvml.run(PRELUDE + code)
    assert said[0].endswith(name)
    assert said[1] == scope
    assert said[2] == pytest.approx(watts, rel=0.05)


def test_the_thread_that_polls_ends_when_the_meter_is_closed(nvml: StandIn) -> None:
    nvml.write(**{COUNTER: NOT_SUPPORTED})
    code = "meter, _ = Device().meters()\nbefore = threading.active_count()\nmeter.close()\n"
    assert nvml.run(PRELUDE + code + "print(json.dumps([before, threading.active_count()]))") == [2, 1]


def test_a_gap_in_polling_is_not_filled_in(nvml: StandIn) -> None:
    nvml.write(**{COUNTER: NOT_SUPPORTED})
    child = started(nvml, "meter, _ = Device().meters()\n", "meter.read()\ntime.sleep(0.1)\nmeter.read()\n")
    child.send_signal(signal.SIGSTOP)
    time.sleep(1.2)
    child.send_signal(signal.SIGCONT)
    reason, text = ended(child)
    assert reason == "not_polled"
    assert "NVML power of the gpu was not polled for 1." in text


def test_an_instance_of_a_shared_device_gets_the_energy_of_the_board_and_is_told_so(nvml: StandIn) -> None:
    nvml.write(watts=300, tick=0.01, mig=1)
    assert measure(nvml)["scope"] == "board"
    nvml.write(watts=300, tick=0.01)
    code = "print(json.dumps([meter and meter.scope for meter in Device(0, 'MIG-0000aaaa-0000').meters()]))"
    assert nvml.run(PRELUDE + code) == ["board", "board"]


@pytest.mark.parametrize("polled", [False, True])
def test_a_device_that_is_lost_in_a_window_is_a_reason(nvml: StandIn, polled: bool) -> None:
    state = {COUNTER: NOT_SUPPORTED} if polled else {}
    nvml.write(watts=300, lost_at=time.monotonic() + 1e6, tick=0.01, **state)
    first, window = MEASURED.format(wanted=0.02 if polled else 0.005).split("show(")
    child = started(nvml, first, f"show({window}")
    time.sleep(0.3)
    nvml.write(watts=300, lost_at=time.monotonic() + 0.2, tick=0.01, **state)
    energy = ended(child)
    assert energy["reason"] == "device_lost"
    assert energy["provenance"].endswith("the device is lost")


def test_a_counter_that_jumps_back_in_a_window_is_a_reason(nvml: StandIn) -> None:
    nvml.write(watts=300, jump=100, jump_at=time.monotonic() + 1.0, tick=0.01)
    energy = measure(nvml, wanted=0.0005)
    assert energy["reason"] == "went_backwards"


def test_net_energy_is_that_above_the_power_at_rest(nvml: StandIn) -> None:
    nvml.write(watts=60, busy=nvml.busy, busy_watts=300, tick=0.01)
    code = """
device = Device()
meter, check = device.meters()
one = Gauge(meter, check=check, queued=True, seed=1)
idle = measure_idle_power(one, wanted=0.05)
busy("{0} ")
energy = measure_step_energy(one, work, wanted=0.05)
busy("{0}\\n")
after = measure_idle_power(one, wanted=0.05)
figures = [[one.value, one.uncertainty] for one in (idle, energy.gross, energy.power)]
print(json.dumps([*figures, energy.step_s, after.value]))
"""
    (idle, half_w), gross, power, step_s, after = nvml.run(PRELUDE + code)
    assert idle == pytest.approx(60, abs=half_w)
    assert after == pytest.approx(60, rel=0.03)
    energy = StepEnergy(EnergyReading(*gross, "measured"), EnergyReading(*power, "measured"), step_s, None, "gpu", ())
    found = net(energy, Rest("", idle, half_w, "measured"))
    assert found is not None
    assert found.ci_low <= 240 * step_s <= found.ci_high


def test_the_state_of_a_device_is_read_in_si_units(nvml: StandIn) -> None:
    nvml.write(watts=250, reasons=4, **{"clock_mhz.1": 1755, "clock_mhz.2": 2619, "temperature.0": 61})
    state = nvml.run(PRELUDE + "print(json.dumps(Device().state()))")
    rest = {"sm_clock": 1755e6, "memory_clock": 2619e6, "temperature": 61, "throttle_reasons": 4}
    assert state.pop("power") == pytest.approx(250, rel=0.01)
    assert state == rest


def test_what_a_device_does_not_tell_is_left_out_of_its_state(nvml: StandIn) -> None:
    nvml.write(nvmlDeviceGetTemperature=NOT_SUPPORTED, nvmlDeviceGetClockInfo=NO_PERMISSION)
    child = started(nvml, "device = Device()\n", "print(json.dumps(sorted(device.state())))\n")
    assert ended(child) == ["power", "throttle_reasons"]
    child = started(nvml, "device = Device()\n", "print(json.dumps(device.state()))\n")
    nvml.write(lost_at=0)
    assert ended(child) == {}


def test_an_older_driver_lacks_functions_and_is_read_all_the_same(tmp_path: Path) -> None:
    old = StandIn(tmp_path, NO_ENERGY, NO_FIELDS, NO_EVENT_REASONS)
    old.write(watts=200, reasons=8)
    code = "device = Device()\nmeter, check = device.meters()\nprint(json.dumps([meter.name, check, device.state()]))"
    name, check, state = old.run(PRELUDE + code)
    assert (name, check) == ("NVML power (average of 1 s)", None)
    assert state["throttle_reasons"] == 8
    assert state["power"] == pytest.approx(200, rel=0.01)
