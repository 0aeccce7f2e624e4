"""The sum over ranks, taken by one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Step, implementation
from implementations.all_reduce.workload import requires

if TYPE_CHECKING:
    from implementations.all_reduce.workload import AllReduceInputs


@implementation("all_reduce", requires=requires(1, at_root=1))
def gather_broadcast(inputs: AllReduceInputs) -> Step:
    """All to the first rank, which adds up and sends the sum to all: 2 (n - 1) of the tensor cross its link."""
    out = torch.empty_like(inputs.x)
    first = torch.distributed.get_rank() == 0
    rows = inputs.x.new_empty(inputs.ranks, inputs.x.numel()) if first else None

    def step() -> torch.Tensor:
        torch.distributed.gather(inputs.x, None if rows is None else list(rows))
        if rows is not None:
            torch.sum(rows, dim=0, out=out)
        torch.distributed.broadcast(out, 0)
        return out

    return step
