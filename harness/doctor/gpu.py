"""The state of the GPUs that CUDA will see: one line for all of them, which names those that stand out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from harness.doctor.finding import FAIL, PASS, STATUSES, UNKNOWN, WARN, Finding, graded

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.doctor.machine import Machine
    from harness.doctor.nvidia_smi import Device

    # Status, figure, remedy.
    Verdict = tuple[str, str, str]

# Per cent of the time that somebody else's kernels run.
_BUSY = 10
# Degrees below the temperature at which the clock is lowered.
_CLOSE = 10
_REASONS = ("clocks_event_reasons/clocks_event_reason", "clocks_throttle_reasons/clocks_throttle_reason")
_SLOWED = ("hw_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown", "sw_thermal_slowdown")
_POWER = ("gpu_power_readings", "power_readings")


def devices(machine: Machine) -> Finding:
    """Name the GPUs, or the reason why there is nothing to look at."""
    here, driver = machine.environment, machine.driver
    if not here.gpus:
        return Finding("devices", UNKNOWN, f"none: {here.gpu_reason}")
    counted = Counter(gpu.name for gpu in here.gpus)
    names = ", ".join(f"{count} x {name}" if count > 1 else name for name, count in counted.items())
    if driver.reason:
        return Finding("devices", UNKNOWN, f"{names}; {driver.reason}")
    return Finding("devices", PASS, f"{names}, driver {here.driver}, CUDA {driver.cuda}")


def processes(machine: Machine) -> Finding | None:
    """Look for others on the GPUs."""
    return _over(machine, "processes", _others)


def persistence(machine: Machine) -> Finding | None:
    """Look whether the driver stays loaded between runs."""
    return _over(machine, "persistence", _persistence)


def clocks(machine: Machine) -> Finding | None:
    """Look for application clocks that somebody has set."""
    return _over(machine, "GPU clocks", _clocks)


def power(machine: Machine) -> Finding | None:
    """Look for power limits that somebody has set."""
    return _over(machine, "power limit", _power)


def heat(machine: Machine) -> Finding | None:
    """Look how far the GPUs are from lowering their clocks, or whether they do."""
    return _over(machine, "GPU heat", _heat)


def _over(machine: Machine, name: str, judge: Callable[[Device], Verdict]) -> Finding | None:
    """Judge every GPU, and report the worst of them."""
    judged = [(gpu.index, *judge(gpu)) for gpu in machine.driver.devices]
    if not judged:
        return None
    status = min((one[1] for one in judged), key=STATUSES.index)
    worst = [one for one in judged if one[1] == status]
    figures = list(dict.fromkeys(figure for _, _, figure, _ in worst))
    if len(worst) < len(judged) or len(figures) > 1:
        figures = [f"GPU {index}: {figure}" for index, _, figure, _ in worst]
    remedies = dict.fromkeys(remedy for *_, remedy in worst if remedy)
    return Finding(name, status, "; ".join(figures), "\n".join(remedies))


def _others(gpu: Device) -> Verdict:
    load = gpu.number("utilization/gpu_util") or 0
    found = gpu.document.findall("processes/process_info")
    computing = [one for one in found if "C" in (one.findtext("type") or "")]
    named = [f"{_name(one.findtext('process_name'))} (pid {one.findtext('pid')})" for one in computing]
    figure = f"{', '.join(named[:3])}, busy {load:.0f} %"
    if named:
        kill = "Wait for their end, or: kill " + " ".join(str(one.findtext("pid")) for one in computing[:3])
        return FAIL if load >= _BUSY else WARN, figure, kill
    if load >= _BUSY:
        who = "its screen" if found else "processes that cannot be seen from here"
        return (
            FAIL,
            f"busy {load:.0f} % with {who}",
            "Wait for their end, or take another GPU: --device cuda:N",
        )
    if found:
        return WARN, f"a screen is drawn on it by {len(found)} processes", "Measure without a graphical session"
    return PASS, "none", ""


def _persistence(gpu: Device) -> Verdict:
    mode = gpu.text("persistence_mode")
    if mode == "Enabled":
        return PASS, "on", ""
    if mode == "Disabled":
        figure = "off: each run starts the driver anew"
        return WARN, figure, "sudo nvidia-smi -pm 1"
    return UNKNOWN, "not told", ""


def _clocks(gpu: Device) -> Verdict:
    now, usual = (
        gpu.number(f"{group}/graphics_clock") for group in ("applications_clocks", "default_applications_clocks")
    )
    if now is None or usual is None:
        return UNKNOWN, "none to set; a lock (nvidia-smi -lgc) is not told", ""
    if now == usual:
        return PASS, f"{now:.0f} MHz, the default", ""
    return WARN, f"{now:.0f} MHz, default {usual:.0f} MHz", f"sudo nvidia-smi -i {gpu.index} -rac"


def _power(gpu: Device) -> Verdict:
    now = gpu.number(*(f"{group}/{name}" for group in _POWER for name in ("current_power_limit", "power_limit")))
    usual = gpu.number(*(f"{group}/default_power_limit" for group in _POWER))
    if now is None or usual is None:
        return UNKNOWN, "not told", ""
    if now == usual:
        return PASS, f"{now:.0f} W, the default", ""
    return WARN, f"{now:.0f} W, default {usual:.0f} W", f"sudo nvidia-smi -i {gpu.index} -pl {usual:.0f}"


def _heat(gpu: Device) -> Verdict:
    now, room = gpu.number("temperature/gpu_temp"), gpu.number("temperature/gpu_temp_tlimit")
    limit = gpu.number("temperature/gpu_temp_slow_threshold")
    if now is None:
        return UNKNOWN, "not told", ""
    if room is None and limit is not None:
        room = limit - now
    slowed = [name for name in _SLOWED if gpu.text(*(f"{reason}_{name}" for reason in _REASONS)) == "Active"]
    figure = f"{now:.0f} °C" + ("" if room is None else f", {room:.0f} below the limit")
    if slowed:
        return (
            FAIL,
            f"{figure}; slowed down now ({', '.join(slowed)})",
            "Let it cool down; look at fans and power supply",
        )
    status = PASS if room is None else graded(-room, -_CLOSE, 0)
    return status, figure, "" if status == PASS else "Let it cool down; look at the fans"


def _name(path: str | None) -> str:
    """Return the program of a command line."""
    return (path or "").partition(" ")[0].rpartition("/")[2]
