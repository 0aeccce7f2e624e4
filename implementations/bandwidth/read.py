"""A pass that only reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Step, implementation

if TYPE_CHECKING:
    from .workload import BandwidthInputs


@implementation("bandwidth")
def read(inputs: BandwidthInputs) -> Step:
    """Multiply one half of the vector with the other, and add up: two operations for eight bytes."""
    first, second = inputs.halves

    def step() -> torch.Tensor:
        return torch.dot(first, second)

    return step
