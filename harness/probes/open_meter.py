"""The meter of a device, whichever there is."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from harness.probes.amd import AmdCounter
from harness.probes.meter import Meter, MeterError, Reason
from harness.probes.nvml import Device
from harness.probes.rapl import POWERCAP, Rapl
from harness.probes.window import Gauge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.probes.meter import Tick

# Where the host's powercap folder is, for containers that see it somewhere else.
_FOLDER = "BENCHWRIGHT_POWERCAP"
_NO_NVIDIA = (Reason.NO_LIBRARY, Reason.NO_DRIVER)


@contextlib.contextmanager
def open_gauge(device: str, seed: int, tick: Tick | None = None) -> Iterator[Gauge]:
    """Open the meter of ``cpu`` or ``cuda:N``, and close it in the end.

    Args:
        device: as torch names it; N counts in PCI bus order under CUDA_VISIBLE_DEVICES.
        seed: of the pauses before windows.
        tick: the meter's, where it was measured before; it is measured here otherwise.

    Raises:
        MeterError: there is none, or it cannot be read; the message is the reason for the user.
    """
    with contextlib.ExitStack() as stack:
        meter, check = _open(device, stack)
        yield Gauge(meter, tick, check, queued=device != "cpu", seed=seed)


def open_device(device: str) -> Device:
    """Open the NVIDIA device that torch calls ``cuda:N``; raises MeterError."""
    return Device(int(device.partition(":")[2]), os.environ.get("CUDA_VISIBLE_DEVICES"))


def _open(device: str, stack: contextlib.ExitStack) -> tuple[Meter, Meter | None]:
    if device == "cpu":
        rapl = Rapl(Path(os.environ.get(_FOLDER, POWERCAP)))
        stack.callback(rapl.close)
        return rapl, None
    try:
        nvidia = open_device(device)
    except MeterError as error:
        if error.reason not in _NO_NVIDIA:
            raise
        with contextlib.suppress(MeterError):
            amd = AmdCounter(int(device.partition(":")[2]))
            stack.callback(amd.close)
            return amd, None
        raise
    stack.callback(nvidia.close)
    meter, check = nvidia.meters()
    for one in filter(None, (meter, check)):
        stack.callback(one.close)
    return meter, check
