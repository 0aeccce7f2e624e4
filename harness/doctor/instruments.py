"""What there is to measure with: the clock, the counters, the energy meters; and what feeds the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.core.metric import format_value
from harness.doctor.finding import FAIL, PASS, UNKNOWN, WARN, Finding, grade_value
from harness.doctor.sysfs import find_paths, read_integer, read_text
from harness.probes.meter import MeterError, Reason
from harness.probes.rapl import Rapl
from harness.probes.wallclock import measure_resolution

if TYPE_CHECKING:
    from harness.doctor.snapshot import Snapshot

_CLOCKS = "sys/devices/system/clocksource/clocksource0"
# Read with a system call or from a slow device, where tsc and its like are read in place.
_SLOW = ("hpet", "acpi_pm", "jiffies", "pit", "refined-jiffies", "xen")
_RESOLUTION = (1e-6, 1e-3)
# Beyond this, perf_event_open refuses a process its own events.
_PARANOID = 2
_METERS = "sys/class/powercap"


def check_clock(machine: Snapshot) -> Finding:
    """Look at what the kernel tells the time by."""
    now, others = (read_text(machine.root, f"{_CLOCKS}/{name}_clocksource") for name in ("current", "available"))
    if not now:
        return Finding("clock", UNKNOWN, "the kernel does not say what it tells the time by")
    if now not in _SLOW:
        return Finding("clock", PASS, now)
    remedy = f"echo tsc | sudo tee /{_CLOCKS}/current_clocksource"
    if "tsc" not in others.split():
        remedy = "Boot with tsc=reliable, if the firmware is up to date"
    return Finding("clock", WARN, f"{now}: a reading takes microseconds", remedy)


def check_timer(machine: Snapshot) -> Finding:
    """Measure the smallest step of the clock that times are taken with."""
    del machine
    step = measure_resolution()
    status = grade_value(step, *_RESOLUTION)
    remedy = "See the clock; short steps are timed in blocks of many"
    return Finding("timer", status, f"steps of {format_value(step, 's')}", "" if status == PASS else remedy)


def check_counters(machine: Snapshot) -> Finding:
    """Look whether a process may count its own hardware events."""
    level = read_integer(machine.root, "proc/sys/kernel/perf_event_paranoid")
    if level is None:
        return Finding("perf events", UNKNOWN, "the kernel has no perf events")
    figure = f"perf_event_paranoid is {level}"
    if level <= _PARANOID:
        return Finding("perf events", PASS, figure)
    remedy = f"sudo sysctl kernel.perf_event_paranoid={_PARANOID}"
    return Finding("perf events", WARN, f"{figure}: no hardware events", remedy)


def check_energy(machine: Snapshot) -> Finding:
    """Look for meters of energy: RAPL of the processor, the power sensors of the GPUs."""
    gpus = [gpu for gpu in machine.driver.devices if gpu.power_w is not None]
    meters = [f"NVML ({len(gpus)} GPUs)"] if gpus else []
    try:
        meters.insert(0, Rapl(machine.root / _METERS).name)
    except MeterError as error:
        if error.reason is Reason.NO_PERMISSION:
            figure = "; ".join(["RAPL may not be read", *meters])
            return Finding("energy", WARN, figure, f"sudo chmod a+r /{_METERS}/intel-rapl:*/*energy*_uj")
        why = "in a virtual machine" if machine.virtual else "(sudo modprobe intel_rapl_msr may bring it)"
        missing = f"no RAPL {why}" if error.reason is Reason.NO_DEVICE else str(error)
    if meters:
        return Finding("energy", PASS, ", ".join(meters))
    return Finding("energy", UNKNOWN, f"none: {missing}, no GPU sensor")


def check_supply(machine: Snapshot) -> Finding:
    """Look whether the machine runs on a battery."""
    folders = [path.removesuffix("/type") for path in find_paths(machine.root, "sys/class/power_supply/*/type")]
    # Mice and keyboards report their batteries too.
    own = [one for one in folders if read_text(machine.root, f"{one}/scope") != "Device"]
    drained = [one for one in own if read_text(machine.root, f"{one}/status") == "Discharging"]
    if not drained:
        return Finding("supply", PASS, "mains" if own else "no battery")
    charge = read_integer(machine.root, f"{drained[0]}/capacity")
    figure = "on battery" + ("" if charge is None else f", {charge} % left") + ": the clock is held down"
    return Finding("supply", FAIL, figure, "Connect the power supply")
