"""A pass that reads as much as it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Requires, Step, implementation

from .workload import ITEM_BYTES, elements

if TYPE_CHECKING:
    from .workload import BandwidthInputs


@implementation("bandwidth", requires=Requires(memory=lambda params: ITEM_BYTES * elements(params) // 2))
def copy(inputs: BandwidthInputs) -> Step:
    """Copy one half of the vector elsewhere: half of the bytes are read, half are written."""
    source = inputs.x[: len(inputs.x) // 2]
    out = torch.empty_like(source)

    def step() -> torch.Tensor:
        return out.copy_(source)

    return step
