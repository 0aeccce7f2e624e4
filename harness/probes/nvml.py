"""NVIDIA's driver library: energy and power of a device as meters, and its state from round to round."""

from __future__ import annotations

import contextlib
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pynvml

from harness.probes.meter import INTEGRATED, MEASURED, Meter, MeterError, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_REASONS = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: (Reason.NO_LIBRARY, "libnvidia-ml.so.1 is not found: no NVIDIA driver here"),
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: (Reason.NO_DRIVER, "the library is here, but the driver is not loaded"),
    pynvml.NVML_ERROR_NO_PERMISSION: (Reason.NO_PERMISSION, "the driver permits this to root or not in here"),
    pynvml.NVML_ERROR_NOT_SUPPORTED: (Reason.NOT_SUPPORTED, "the device does not support this"),
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND: (Reason.NOT_SUPPORTED, "the driver is too old for this"),
    pynvml.NVML_ERROR_GPU_IS_LOST: (Reason.DEVICE_LOST, "the device is lost"),
    pynvml.NVML_ERROR_NOT_FOUND: (Reason.NO_DEVICE, "there is no such device"),
    pynvml.NVML_ERROR_INVALID_ARGUMENT: (Reason.NO_DEVICE, "there is no such device"),
}
# Sensors are read by the driver every 20 to 100 ms (Yang et al. 2023, arXiv:2312.02741).
_SENSOR_S = 0.1
_POLL_S, _LONGEST_GAP_S = 0.02, 1.0


class EnergyCounter:
    """The energy that the driver has counted since it was loaded: Volta and newer."""

    provenance = MEASURED
    name = "NVML total energy"
    tick_s: float | None = None
    settle_s = _SENSOR_S
    resolution_j = 1e-3

    def __init__(self, handle: Any, scope: str) -> None:
        self._handle = handle
        self.scope = scope
        self.read()

    def read(self) -> float:
        """Return the joules since the driver was loaded; raises MeterError."""
        with translate_errors(self.name):
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) * 1e-3

    def close(self) -> None:
        """Nothing is held."""


class PolledPower:
    """Power, polled by a thread that sleeps in between, and added up by trapezoids from when this object is made.

    A gap of over a second between polls, as in a process that was stopped, is an error from then on.
    """

    provenance = INTEGRATED
    tick_s: float | None = _SENSOR_S
    resolution_j = 0.0

    def __init__(self, watts: Callable[[], float], name: str, scope: str, settle_s: float) -> None:
        self.name, self.scope, self.settle_s = name, scope, settle_s
        self._watts = watts
        self._joules, self._last_w, self._last_s = 0.0, watts(), time.perf_counter()
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._poll, name="power", daemon=True)
        self._thread.start()

    def read(self) -> float:
        """Return the joules until now; raises MeterError."""
        with self._lock:
            self._add()
            return self._joules

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._thread.join()

    def _poll(self) -> None:
        """Keep the integral fresh; what is wrong here is still wrong when it is read."""
        while not self._closed.wait(_POLL_S):
            with self._lock, contextlib.suppress(MeterError):
                self._add()

    def _add(self) -> None:
        watts, now = self._watts(), time.perf_counter()
        gap_s = now - self._last_s
        if gap_s > _LONGEST_GAP_S:
            raise MeterError(Reason.NOT_POLLED, f"{self.name} was not polled for {gap_s:.1f} s")
        self._joules += gap_s * (watts + self._last_w) / 2
        self._last_w, self._last_s = watts, now


class Device:
    """One device, held open.

    Args:
        index: as CUDA numbers devices in PCI_BUS_ID order, under ``visible``.
        visible: CUDA_VISIBLE_DEVICES (indices, UUIDs or their beginnings, MIG UUIDs), or None where it is not set. A
            device's own UUID with index 0 is the surest: CUDA's default order is by speed.

    Raises:
        MeterError: with a reason that tells a missing library, driver, permission and device apart.
    """

    def __init__(self, index: int = 0, visible: str | None = None) -> None:
        with translate_errors("NVML"):
            pynvml.nvmlInit()
            self._handle, self._instance = _select(index, visible)
            self.uuid = str(pynvml.nvmlDeviceGetUUID(self._handle))
            self.name = str(pynvml.nvmlDeviceGetName(self._handle))

    def meters(self) -> tuple[Meter, Meter | None]:
        """Return the best meter and, where that is a counter, polled power to hold against it; raises MeterError.

        NVML has no energy of a MIG instance: the scope is ``board`` then, with all that runs on the others.
        """
        shared = self._shared()
        try:
            counter = EnergyCounter(self._handle, "board" if shared else "gpu")
        except MeterError as error:
            if error.reason is not Reason.NOT_SUPPORTED:
                raise
            return self._power(shared), None
        with contextlib.suppress(MeterError):
            return counter, self._power(shared)
        return counter, None

    def state(self) -> dict[str, float]:
        """Return clocks (Hz), temperature (degC), power (W) and throttle reasons (bits), without those that fail."""
        handle, state = self._handle, dict[str, float]()
        sources: dict[str, tuple[Callable[[], float], ...]] = {
            "sm_clock": (lambda: 1e6 * pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM),),
            "memory_clock": (lambda: 1e6 * pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM),),
            "temperature": (lambda: float(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)),),
            "power": (lambda: _instant_w(handle, pynvml.NVML_POWER_SCOPE_GPU), lambda: _average_w(handle)),
            # The second name is that of drivers before 535.
            "throttle_reasons": (
                lambda: float(pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle)),
                lambda: float(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)),
            ),
        }
        for name, reads in sources.items():
            for read in reads:
                with contextlib.suppress(pynvml.NVMLError):
                    state[name] = read()
                    break
        return state

    def close(self) -> None:
        """Let go of the driver."""
        pynvml.nvmlShutdown()

    def _shared(self) -> bool:
        with contextlib.suppress(pynvml.NVMLError):
            return self._instance or bool(pynvml.nvmlDeviceGetMigMode(self._handle)[0])
        return self._instance

    def _power(self, shared: bool) -> Meter:
        """Return polled power: at the moment, of the GPU or (GH200) its module, else the driver's average of 1 s."""
        handle = self._handle
        for scope, word in ((pynvml.NVML_POWER_SCOPE_GPU, "gpu"), (pynvml.NVML_POWER_SCOPE_MODULE, "module")):
            with contextlib.suppress(pynvml.NVMLError):
                _instant_w(handle, scope)
                name, read, settle_s = f"NVML power of the {word}", partial(_instant_w, handle, scope), _SENSOR_S
                break
        else:
            word, name = "gpu", "NVML power (average of 1 s)"
            read, settle_s = partial(_average_w, handle), 1.0 + _SENSOR_S

        def watts() -> float:
            with translate_errors(name):
                return read()

        return PolledPower(watts, name, "board" if shared else word, settle_s)


def _instant_w(handle: Any, scope: int) -> float:
    value = pynvml.nvmlDeviceGetFieldValues(handle, [(pynvml.NVML_FI_DEV_POWER_INSTANT, scope)])[0]
    if value.nvmlReturn != pynvml.NVML_SUCCESS:
        raise pynvml.NVMLError(value.nvmlReturn)
    return float(value.value.uiVal) * 1e-3


def _average_w(handle: Any) -> float:
    return float(pynvml.nvmlDeviceGetPowerUsage(handle)) * 1e-3


def _select(index: int, visible: str | None) -> tuple[Any, bool]:
    """Return the handle of the device that CUDA numbers so, and whether only an instance of it is meant."""
    if visible is None:
        return pynvml.nvmlDeviceGetHandleByIndex(index), False
    words = [word.strip() for word in visible.split(",")]
    word = words[index] if index < len(words) else ""
    if word.isdecimal():
        return pynvml.nvmlDeviceGetHandleByIndex(int(word)), False
    if word.startswith("MIG-"):
        instance = pynvml.nvmlDeviceGetHandleByUUID(word)
        return pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(instance), True
    for own in range(pynvml.nvmlDeviceGetCount() if word else 0):
        handle = pynvml.nvmlDeviceGetHandleByIndex(own)
        if str(pynvml.nvmlDeviceGetUUID(handle)).startswith(word):
            return handle, False
    raise MeterError(Reason.NO_DEVICE, f"CUDA_VISIBLE_DEVICES={visible!r} has no device {index} here")


@contextlib.contextmanager
def translate_errors(what: str) -> Iterator[None]:
    """Turn what the driver raises into a MeterError, with the reason as a type and as a sentence."""
    try:
        yield
    except pynvml.NVMLError as error:
        reason, text = _REASONS.get(error.value, (Reason.FAILED, str(error)))
        raise MeterError(reason, f"{what}: {text}") from None
