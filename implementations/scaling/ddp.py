"""Training with DistributedDataParallel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import implementation
from implementations.scaling._method import Method, requires, training
from implementations.scaling._replica import replica

if TYPE_CHECKING:
    from harness import Step
    from implementations.scaling._method import ScalingInputs


@implementation("scaling", requires=requires(copies=1))
def ddp(x: ScalingInputs) -> Step:
    """DistributedDataParallel: buckets of gradients are averaged while the backward pass goes on (Li et al. 2020)."""
    return training(x, lambda x: Method.of(x, replica(x)))
