"""A pass that reads one half and writes as much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Params, Requires, Step, implementation

if TYPE_CHECKING:
    from .workload import BandwidthInputs


def _memory(params: Params) -> int:
    return int(params["bytes"]) // 2


@implementation("bandwidth", requires=Requires(memory=_memory))
def copy(inputs: BandwidthInputs) -> Step:
    """Copy half of the vector to another place; half of the bytes are read, half are written."""
    first, _ = inputs.halves
    out = torch.empty_like(first)

    def step() -> torch.Tensor:
        return out.copy_(first)

    return step
