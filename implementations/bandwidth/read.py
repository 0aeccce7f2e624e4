"""A pass that only reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Step, implementation

if TYPE_CHECKING:
    from .workload import BandwidthInputs


@implementation("bandwidth")
def read(inputs: BandwidthInputs) -> Step:
    """Add up the vector, one integer addition for each eight bytes read."""
    # On a Zen 5 core as fast as a loop in C (39 GB/s): torch's sum of int64, fp32 and fp64 and its amax of int32 all
    # read 39 to 41 GB/s, its dot and norm 31, its max 28.
    out = torch.empty((), dtype=inputs.x.dtype, device=inputs.x.device)

    def step() -> torch.Tensor:
        return torch.sum(inputs.x, dim=0, out=out)

    return step
