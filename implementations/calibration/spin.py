"""A step of a known duration."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from harness import Requires, Step, implementation

if TYPE_CHECKING:
    import torch

    from .workload import CalibrationInputs


@implementation("calibration", requires=Requires(device="cpu"))
def spin(inputs: CalibrationInputs) -> Step:
    """Keep one core busy until the axis `duration` has passed on the wall clock."""
    length_ns = round(inputs.duration * 1e9)

    def step() -> torch.Tensor:
        end = time.perf_counter_ns() + length_ns
        while time.perf_counter_ns() < end:
            pass
        return inputs.x

    return step
