"""A plug-in of implementations of `calibration` that are bad in ways that only a GPU has; loaded with ``--load``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from harness import Step, implementation

if TYPE_CHECKING:
    from implementations.calibration.workload import CalibrationInputs


@implementation("calibration")
def never_ends(inputs: CalibrationInputs) -> Step:
    """Keep the device busy for ever; on a processor, sleep."""

    def step() -> torch.Tensor:
        if inputs.x.is_cuda:
            torch.cuda._sleep(1 << 62)
        else:
            time.sleep(3600)
        return inputs.x

    return step


@implementation("calibration")
def writes_astray(inputs: CalibrationInputs) -> Step:
    """Write to an address that the process does not own: a sticky error of the context."""
    # A plug-in's folder is not on the path, and a file that is loaded by its path would import Triton in the parent.
    sys.path.append(str(Path(__file__).parent))
    import hostile_kernels

    def step() -> torch.Tensor:
        hostile_kernels.write_astray[(1,)](inputs.x, 1 << 40)
        return inputs.x

    return step


@implementation("calibration")
def asserts(inputs: CalibrationInputs) -> Step:
    """Fail an assertion on the device."""

    def step() -> torch.Tensor:
        torch._assert_async(torch.zeros(1, device=inputs.x.device))
        return inputs.x

    return step


@implementation("calibration")
def takes_200_gib(inputs: CalibrationInputs) -> Step:
    """Ask for more memory than any card has."""

    def step() -> torch.Tensor:
        torch.empty(200 << 30, dtype=torch.uint8, device=inputs.x.device)
        return inputs.x

    return step
