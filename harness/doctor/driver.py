"""What the driver says of the GPUs that CUDA will see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.probes.meter import MeterError, Reason
from harness.probes.nvml_report import DeviceReport, read_report

if TYPE_CHECKING:
    from harness.core.environment import Environment


@dataclass(frozen=True)
class Driver:
    """What the driver says.

    Attributes:
        devices: those that CUDA will see and that answer.
        lost: the numbers of all devices of the machine that have stopped to answer.
        cuda: the newest CUDA that the driver knows; empty where it is not told.
        reason: why there are no devices; empty where there are.
    """

    devices: tuple[DeviceReport, ...] = ()
    lost: tuple[int, ...] = ()
    cuda: str = ""
    reason: str = ""


def ask_driver(environment: Environment) -> Driver:
    """Return the state of the GPUs that were detected, and what has become of others."""
    try:
        report = read_report()
    except MeterError as error:
        return Driver(reason=str(error))
    visible = {gpu.index for gpu in environment.gpus}
    devices = tuple(one for one in report.devices if one.index in visible and one.reason is None)
    lost = tuple(one.index for one in report.devices if one.reason is Reason.DEVICE_LOST)
    return Driver(devices, lost, report.cuda or "", "" if devices else "the driver says no more of them")
