"""The state of the GPUs that CUDA will see: one line for all of them, which names those that stand out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from harness.core.metric import format_value
from harness.doctor.finding import FAIL, PASS, STATUSES, UNKNOWN, WARN, Finding, grade_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.doctor.snapshot import Snapshot
    from harness.probes.nvml_report import Clocks, DeviceReport, Process

    # Status, figure, remedy.
    Verdict = tuple[str, str, str]

# The share of the time that somebody else's kernels run.
_BUSY = 0.1
# Degrees below the temperature at which the clock is lowered.
_CLOSE = 10
_SLOWED = ("hw_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown", "sw_thermal_slowdown")
_ELSEWHERE = "Wait for their end, or take another GPU: --device cuda:N"


def check_devices(machine: Snapshot) -> Finding:
    """Name the GPUs, or the reason why there is nothing to look at."""
    here, driver = machine.environment, machine.driver
    if driver.lost:
        lost = ", ".join(f"GPU {index}" for index in driver.lost)
        remedy = "Find out why: sudo dmesg | grep -i xid\nand start the machine anew: sudo reboot"
        return Finding("devices", FAIL, f"{lost} is lost: it no longer answers the driver", remedy)
    if not here.gpus:
        return Finding("devices", UNKNOWN, f"none: {here.gpu_reason}")
    counted = Counter(gpu.name for gpu in here.gpus)
    names = ", ".join(f"{count} x {name}" if count > 1 else name for name, count in counted.items())
    if driver.reason:
        return Finding("devices", UNKNOWN, f"{names}; {driver.reason}")
    return Finding("devices", PASS, f"{names}, driver {here.driver}" + (driver.cuda and f", CUDA {driver.cuda}"))


def check_processes(machine: Snapshot) -> Finding | None:
    """Look for others on the GPUs."""
    return _over(machine, "processes", _others)


def check_persistence(machine: Snapshot) -> Finding | None:
    """Look whether the driver stays loaded between runs."""
    return _over(machine, "persistence", _persistence)


def check_clocks(machine: Snapshot) -> Finding | None:
    """Look for application clocks that somebody has set."""
    return _over(machine, "GPU clocks", _clocks)


def check_power(machine: Snapshot) -> Finding | None:
    """Look for power limits that somebody has set."""
    return _over(machine, "power limit", _power)


def check_heat(machine: Snapshot) -> Finding | None:
    """Look how far the GPUs are from lowering their clocks, or whether they do."""
    return _over(machine, "GPU heat", _heat)


def check_memory(machine: Snapshot) -> Finding | None:
    """Look for errors of the memory that were not corrected."""
    return _over(machine, "GPU memory", _memory)


def _over(machine: Snapshot, name: str, judge: Callable[[DeviceReport], Verdict]) -> Finding | None:
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


def _others(gpu: DeviceReport) -> Verdict:
    busy = gpu.busy or 0
    if gpu.processes:
        figure = f"{', '.join(map(_named, gpu.processes[:3]))}, busy {busy:.0%}"
        pids = " ".join(str(one.pid) for one in gpu.processes[:3] if one.name is not None)
        remedy = f"Wait for their end, or: kill {pids}" if pids else _ELSEWHERE
        return FAIL if busy >= _BUSY else WARN, figure, remedy
    if busy >= _BUSY:
        who = "its screen" if gpu.drawing else "processes that cannot be seen from here"
        return FAIL, f"busy {busy:.0%} with {who}", _ELSEWHERE
    if gpu.drawing:
        figure = f"a screen is drawn on it by {gpu.drawing} processes"
        return WARN, figure, "Measure without a graphical session"
    if gpu.processes is None:
        return UNKNOWN, "not told", ""
    return PASS, "none", ""


def _named(process: Process) -> str:
    memory = "" if process.memory is None else f", {format_value(process.memory, 'B')}"
    return f"{process.name or 'not seen from here'} (pid {process.pid}{memory})"


def _persistence(gpu: DeviceReport) -> Verdict:
    if gpu.persistence is None:
        return UNKNOWN, "not told", ""
    if gpu.persistence:
        return PASS, "on", ""
    return WARN, "off: each run starts the driver anew", "sudo nvidia-smi -pm 1"


def _clocks(gpu: DeviceReport) -> Verdict:
    now, usual = gpu.application_clocks, gpu.default_clocks
    if now is None or usual is None:
        return UNKNOWN, "none to set; a lock (nvidia-smi -lgc) is not told", ""
    if now == usual:
        return PASS, f"{_mhz(now)}, the default", ""
    return WARN, f"{_mhz(now)}, default {_mhz(usual)}", f"sudo nvidia-smi -i {gpu.index} -rac"


def _mhz(clocks: Clocks) -> str:
    return f"{clocks.graphics / 1e6:.0f} MHz (memory {clocks.memory / 1e6:.0f} MHz)"


def _power(gpu: DeviceReport) -> Verdict:
    now, usual = gpu.power_limit_w, gpu.default_power_limit_w
    if now is None or usual is None:
        return UNKNOWN, "not told", ""
    if now == usual:
        return PASS, f"{now:.0f} W, the default", ""
    return WARN, f"{now:.0f} W, default {usual:.0f} W", f"sudo nvidia-smi -i {gpu.index} -pl {usual:.0f}"


def _heat(gpu: DeviceReport) -> Verdict:
    figure = "heat is not told" if gpu.temperature is None else f"{gpu.temperature:.0f} °C"
    figure += "; no limit is told" if gpu.room is None else f", {gpu.room:.0f} below the limit"
    if slowed := [event for event in gpu.events or () if event in _SLOWED]:
        to = f" to {gpu.clocks.graphics / 1e6:.0f} MHz" if gpu.clocks else ""
        remedy = "Let it cool down; look at fans and power supply"
        return FAIL, f"{figure}; slowed down now{to} ({', '.join(slowed)})", remedy
    if gpu.room is None:
        return UNKNOWN if gpu.temperature is None else PASS, figure, ""
    status = grade_value(-gpu.room, -_CLOSE, 0)
    return status, figure, "" if status == PASS else "Let it cool down; look at the fans"


def _memory(gpu: DeviceReport) -> Verdict:
    if gpu.ecc_errors is None:
        return UNKNOWN, "errors are not told", ""
    if not gpu.ecc_errors:
        return PASS, "no error that was not corrected", ""
    figure = f"{gpu.ecc_errors} errors that were not corrected"
    return FAIL, figure, f"sudo nvidia-smi -i {gpu.index} --gpu-reset, and replace it if they come back"
