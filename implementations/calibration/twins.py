"""The same code under two names, and once more with a little extra work: does the harness see what is there?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Step, implementation

if TYPE_CHECKING:
    from .workload import CalibrationInputs

# Enough repetitions for 1 % more to be a whole number of them.
_REPETITIONS = 1000


@implementation("calibration")
def twin_a(inputs: CalibrationInputs) -> Step:
    """Multiply a vector by one, a thousand times."""
    return _work(inputs, _REPETITIONS)


@implementation("calibration")
def twin_b(inputs: CalibrationInputs) -> Step:
    """Multiply a vector by one, a thousand times: the same code as `twin_a`."""
    return _work(inputs, _REPETITIONS)


@implementation("calibration")
def slower(inputs: CalibrationInputs) -> Step:
    """Do the twins' work, and the axis `percent` more of it."""
    return _work(inputs, round(_REPETITIONS * (1 + inputs.percent)))


def _work(inputs: CalibrationInputs, repetitions: int) -> Step:
    out = torch.empty_like(inputs.x)

    def step() -> torch.Tensor:
        for _ in range(repetitions):
            torch.mul(inputs.x, 1.0, out=out)
        return out

    return step
