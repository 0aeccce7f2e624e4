"""The sum over ranks in its two halves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Step, implementation
from implementations.all_reduce.workload import requires

if TYPE_CHECKING:
    from implementations.all_reduce.workload import AllReduceInputs


# Its own are the padded tensor and a part of it; gloo copies what it scatters once more.
@implementation("all_reduce", requires=requires(2.5))
def reduce_scatter_all_gather(inputs: AllReduceInputs) -> Step:
    """The library's two halves of it, which FSDP does apart: each rank gets the sum of one part, then all parts."""
    ranks, elements = inputs.ranks, inputs.x.numel()
    part = inputs.x.new_empty(-(-elements // ranks))
    padded = inputs.x.new_zeros(ranks * part.numel())  # both halves want equal parts
    out = padded[:elements]
    # Newer versions of torch have both under other names, and warn at every call by the old ones.
    scatter = getattr(torch.distributed, "reduce_scatter_single", None) or torch.distributed.reduce_scatter_tensor
    gather = getattr(torch.distributed, "all_gather_single", None) or torch.distributed.all_gather_into_tensor

    def step() -> torch.Tensor:
        out.copy_(inputs.x)
        scatter(part, padded)
        gather(padded, part)
        return out

    return step
