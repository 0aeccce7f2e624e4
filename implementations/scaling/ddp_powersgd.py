"""Training with DistributedDataParallel, gradients sent as products of narrow matrices."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness import implementation
from implementations.scaling._method import Method, requires, training
from implementations.scaling._replica import replica

if TYPE_CHECKING:
    from harness import Step
    from implementations.scaling._method import ScalingInputs


# Of the narrow matrices; 4 is enough for the transformers of Vogels et al. 2019, table 4.
_RANK = 4
# The first steps send gradients whole: the matrices start from what error feedback has then gathered.
_WHOLE_STEPS = 2
# All gradients are of one bucket: over gloo the collectives of several overtake each other, and not alike on all ranks.
_ONE_BUCKET = 1 << 40


@implementation("scaling", requires=requires(copies=2))
def ddp_powersgd(x: ScalingInputs) -> Step:
    """DistributedDataParallel with gradients as products of rank 4, errors fed back (Vogels et al. 2019): lossy."""
    from torch.distributed.algorithms.ddp_comm_hooks.powerSGD_hook import PowerSGDState, powerSGD_hook

    def begin(x: ScalingInputs) -> Method:
        model = replica(replace(x, bucket=_ONE_BUCKET))
        state = PowerSGDState(None, matrix_approximation_rank=_RANK, start_powerSGD_iter=_WHOLE_STEPS)
        model.register_comm_hook(state, powerSGD_hook)
        return Method.of(x, model, lossy=True)

    return training(x, begin)
