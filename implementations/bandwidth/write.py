"""A pass that only writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Requires, Step, implementation

from .workload import ITEM_BYTES, elements

if TYPE_CHECKING:
    from .workload import BandwidthInputs


@implementation("bandwidth", requires=Requires(memory=lambda params: ITEM_BYTES * elements(params)))
def write(inputs: BandwidthInputs) -> Step:
    """Fill a vector with one value, read anew each time."""
    out = torch.empty_like(inputs.x)

    def step() -> torch.Tensor:
        return out.fill_(inputs.value.item())

    return step
