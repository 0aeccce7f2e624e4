"""A step of a known memory peak."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Requires, Step, implementation

if TYPE_CHECKING:
    from .workload import CalibrationInputs


@implementation("calibration", requires=Requires(memory=lambda params: int(params["bytes"])))
def allocate(inputs: CalibrationInputs) -> Step:
    """Take the axis `bytes` of memory, write to all of it, and give it back."""

    def step() -> torch.Tensor:
        torch.empty(inputs.bytes, dtype=torch.uint8, device=inputs.x.device).fill_(1)
        return inputs.x

    return step
