"""What NVIDIA's driver library says of every device at one moment: who uses it, how it is set, how it fares."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import pynvml

from harness.probes.meter import MeterError, Reason
from harness.probes.nvml import Device, translate_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")

# The bits of the driver's answer, in nvidia-smi's words.
_WORDS = {
    pynvml.nvmlClocksThrottleReasonGpuIdle: "gpu_idle",
    pynvml.nvmlClocksThrottleReasonApplicationsClocksSetting: "applications_clocks_setting",
    pynvml.nvmlClocksThrottleReasonSwPowerCap: "sw_power_cap",
    pynvml.nvmlClocksThrottleReasonHwSlowdown: "hw_slowdown",
    pynvml.nvmlClocksThrottleReasonSyncBoost: "sync_boost",
    pynvml.nvmlClocksThrottleReasonSwThermalSlowdown: "sw_thermal_slowdown",
    pynvml.nvmlClocksThrottleReasonHwThermalSlowdown: "hw_thermal_slowdown",
    pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown: "hw_power_brake_slowdown",
    pynvml.nvmlClocksThrottleReasonDisplayClockSetting: "display_clock_setting",
}


class Clocks(NamedTuple):
    """Two clocks in hertz."""

    graphics: float
    memory: float


@dataclass(frozen=True)
class Process:
    """A process that computes on a device.

    Attributes:
        pid: as the driver counts, which in a container may be the host's.
        name: None where the process cannot be seen from here.
        memory: bytes on the device; None where they are not told.
    """

    pid: int
    name: str | None
    memory: int | None


@dataclass(frozen=True)
class DeviceReport:
    """One device; everything but its number is None where the driver does not tell.

    Attributes:
        index: the driver's number, as in ``nvidia-smi -i``.
        reason: why the device does not answer at all; None where it does.
        processes: those that compute.
        drawing: how many others draw.
        busy: the share of the last moment in which a kernel ran.
        margin: degrees until the clock is lowered, as newer drivers tell it.
        slowdown: the temperature at which the clock is lowered, as older drivers tell it.
        events: why the clock is not higher, in nvidia-smi's words.
        ecc_errors: errors that were not corrected, since the driver was loaded.
    """

    index: int
    reason: Reason | None = None
    name: str | None = None
    uuid: str | None = None
    processes: tuple[Process, ...] | None = None
    drawing: int | None = None
    busy: float | None = None
    persistence: bool | None = None
    application_clocks: Clocks | None = None
    default_clocks: Clocks | None = None
    clocks: Clocks | None = None
    power_limit_w: float | None = None
    default_power_limit_w: float | None = None
    power_w: float | None = None
    temperature: float | None = None
    margin: float | None = None
    slowdown: float | None = None
    events: tuple[str, ...] | None = None
    ecc_errors: int | None = None

    @property
    def room(self) -> float | None:
        """Degrees until the clock is lowered, whichever way the driver tells it."""
        if self.margin is not None:
            return self.margin
        return None if self.slowdown is None or self.temperature is None else self.slowdown - self.temperature


@dataclass(frozen=True)
class DriverReport:
    """All devices in the driver's order, its version, and the newest CUDA that it knows, as ``12.9``."""

    devices: tuple[DeviceReport, ...]
    driver: str | None
    cuda: str | None


def read_report() -> DriverReport:
    """Ask the driver about every device.

    Raises:
        MeterError: there is no driver that answers; a device that does not has its reason in its own report.
    """
    with contextlib.ExitStack() as stack:
        with translate_errors("NVML"):
            pynvml.nvmlInit()
            stack.callback(pynvml.nvmlShutdown)
            count = pynvml.nvmlDeviceGetCount()
        devices = tuple(_device(index) for index in range(count))
        return DriverReport(devices, _told(pynvml.nvmlSystemGetDriverVersion), _told(_cuda))


def _cuda() -> str:
    version = pynvml.nvmlSystemGetCudaDriverVersion()
    return f"{version // 1000}.{version % 1000 // 10}"


def _device(index: int) -> DeviceReport:
    try:
        device = Device(index)
    except MeterError as error:
        return DeviceReport(index, error.reason)
    with contextlib.closing(device):
        # By its number again: a device that is lost from here on tells nothing, and that is no error.
        handle = _told(pynvml.nvmlDeviceGetHandleByIndex, index)
        facts = {**_users(handle), **_settings(handle), **_condition(handle, device.state())}
        return DeviceReport(index, None, device.name, device.uuid, **facts)


def _users(handle: Any) -> dict[str, Any]:
    computing, drawing = (_processes(handle, kind) for kind in ("Compute", "Graphics"))
    pids = {one.pid for one in computing or ()}
    load = _told(pynvml.nvmlDeviceGetUtilizationRates, handle)
    return {
        "processes": computing,
        "drawing": None if drawing is None else sum(one.pid not in pids for one in drawing),
        "busy": None if load is None else load.gpu / 100,
    }


def _settings(handle: Any) -> dict[str, Any]:
    limit = _told(pynvml.nvmlDeviceGetPowerManagementLimit, handle)
    usual = _told(pynvml.nvmlDeviceGetPowerManagementDefaultLimit, handle)
    mode = _told(pynvml.nvmlDeviceGetPersistenceMode, handle)
    return {
        "persistence": None if mode is None else bool(mode),
        "application_clocks": _clocks(pynvml.nvmlDeviceGetApplicationsClock, handle),
        "default_clocks": _clocks(pynvml.nvmlDeviceGetDefaultApplicationsClock, handle),
        "power_limit_w": None if limit is None else limit / 1000,
        "default_power_limit_w": None if usual is None else usual / 1000,
    }


def _condition(handle: Any, state: dict[str, float]) -> dict[str, Any]:
    bits = state.get("throttle_reasons")
    words = None if bits is None else tuple(word for bit, word in _WORDS.items() if int(bits) & bit)
    uncorrected = (pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, pynvml.NVML_VOLATILE_ECC)
    known = "sm_clock" in state and "memory_clock" in state
    return {
        "clocks": Clocks(state["sm_clock"], state["memory_clock"]) if known else None,
        "power_w": state.get("power"),
        "temperature": state.get("temperature"),
        "margin": _told(pynvml.nvmlDeviceGetMarginTemperature, handle),
        "slowdown": _told(pynvml.nvmlDeviceGetTemperatureThreshold, handle, pynvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN),
        "events": words,
        "ecc_errors": _told(pynvml.nvmlDeviceGetTotalEccErrors, handle, *uncorrected),
    }


def _clocks(read: Callable[[Any, int], int], handle: Any) -> Clocks | None:
    graphics, memory = (_told(read, handle, kind) for kind in (pynvml.NVML_CLOCK_GRAPHICS, pynvml.NVML_CLOCK_MEM))
    return None if graphics is None or memory is None else Clocks(graphics * 1e6, memory * 1e6)


def _processes(handle: Any, kind: str) -> tuple[Process, ...] | None:
    """Return the processes of a kind; drivers before 510 have only the second version of the function."""
    for version in (3, 2):
        found = _told(getattr(pynvml, f"nvmlDeviceGet{kind}RunningProcesses_v{version}"), handle)
        if found is not None:
            return tuple(Process(one.pid, _name(one.pid), one.usedGpuMemory) for one in found)
    return None


def _name(pid: int) -> str | None:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    return None


def _told(read: Callable[..., T], *arguments: Any) -> T | None:
    """Return what the driver tells; None where it does not, for want of support, of permission or of the function."""
    with contextlib.suppress(pynvml.NVMLError):
        return read(*arguments)
    return None
