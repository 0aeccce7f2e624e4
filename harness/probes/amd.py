"""Energy of an AMD GPU through its vendor's amdsmi.

Written from amdsmi's interface (7.0) and never run on a device. MI100 to MI200 are known to keep the counter still
while a process lives (ROCm/amdsmi issues 22 and 38): no tick is found there, and the figure is unavailable.
"""

from __future__ import annotations

import importlib
from typing import Any

from harness.probes.meter import MEASURED, MeterError, Reason


class AmdCounter:
    """The energy accumulator of one device.

    Args:
        index: among amdsmi's devices; what HIP_VISIBLE_DEVICES makes of it is the caller's to know.
    """

    provenance = MEASURED
    tick_s: float | None = None
    settle_s = 0.1
    scope = "gpu"

    def __init__(self, index: int) -> None:
        self._smi = _load()
        self.name = f"amdsmi energy of device {index}"
        try:
            self._smi.amdsmi_init()
            handles = self._smi.amdsmi_get_processor_handles()
        except self._smi.AmdSmiException as error:
            raise _typed(error, Reason.NO_DRIVER) from None
        if index >= len(handles):
            raise MeterError(Reason.NO_DEVICE, f"amdsmi has {len(handles)} devices, and none of index {index}")
        self._handle = handles[index]
        self.resolution_j = self._count()["counter_resolution"] * 1e-6

    def read(self) -> float:
        """Return the joules since the driver was loaded; raises MeterError."""
        count = self._count()
        return float(count["energy_accumulator"] * count["counter_resolution"] * 1e-6)

    def close(self) -> None:
        """Let go of the driver."""
        self._smi.amdsmi_shut_down()

    def _count(self) -> dict[str, Any]:
        try:
            count: dict[str, Any] = self._smi.amdsmi_get_energy_count(self._handle)
        except self._smi.AmdSmiException as error:
            raise _typed(error, Reason.NOT_SUPPORTED) from None
        return count


def _load() -> Any:
    """Import amdsmi, which loads the vendor's library as it is imported."""
    try:
        return importlib.import_module("amdsmi")
    except ImportError:
        raise MeterError(Reason.NO_LIBRARY, "amdsmi is not installed") from None
    except (OSError, KeyError) as error:
        raise MeterError(Reason.NO_LIBRARY, f"amdsmi does not load: {error}") from None


def _typed(error: Exception, otherwise: Reason) -> MeterError:
    text = " ".join(str(error).split())
    return MeterError(Reason.NO_PERMISSION if "NO_PERM" in text else otherwise, f"amdsmi: {text}")
