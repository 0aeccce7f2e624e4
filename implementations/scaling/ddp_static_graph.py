"""Training with DistributedDataParallel on a graph that stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import implementation
from implementations.scaling._method import Method, requires, training
from implementations.scaling._replica import replica

if TYPE_CHECKING:
    from harness import Step
    from implementations.scaling._method import ScalingInputs


@implementation("scaling", requires=requires(copies=1))
def ddp_static_graph(x: ScalingInputs) -> Step:
    """The same, told that each step uses the same parameters, so that it need not look which have a gradient."""
    return training(x, lambda x: Method.of(x, replica(x, static_graph=True)))
