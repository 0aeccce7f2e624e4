"""Training on ranks that average all gradients by a ring of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import implementation
from implementations._collectives.ring import ring_all_reduce
from implementations.scaling._method import requires, training
from implementations.scaling._together import summed_together

if TYPE_CHECKING:
    from harness import Step
    from implementations.scaling._method import ScalingInputs


@implementation("scaling", requires=requires(copies=2))
def ring_allreduce(x: ScalingInputs) -> Step:
    """All gradients at once around a ring, sends and receives written out: reduce-scatter, then all-gather."""
    return training(x, lambda x: summed_together(x, ring_all_reduce))
