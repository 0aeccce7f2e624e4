"""Training on ranks that average all gradients at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import implementation
from implementations.scaling._method import requires, training
from implementations.scaling._together import summed_together

if TYPE_CHECKING:
    from harness import Step
    from implementations.scaling._method import ScalingInputs


@implementation("scaling", requires=requires(copies=1))
def flat_allreduce(x: ScalingInputs) -> Step:
    """One all-reduce of all gradients, copied together after the backward pass: one large message, no overlap."""
    return training(x, lambda x: summed_together(x, torch.distributed.all_reduce))
