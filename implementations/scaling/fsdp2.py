"""Training with parameters, gradients and state divided over ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import implementation
from implementations.scaling._method import Method, requires, training

if TYPE_CHECKING:
    from harness import Step
    from implementations.scaling._method import ScalingInputs


@implementation("scaling", requires=requires(copies=1))
def fsdp2(x: ScalingInputs) -> Step:
    """Fully sharded data parallel: a block's parameters are gathered when it is used (Zhao et al. 2023)."""
    from torch.distributed.fsdp import fully_shard

    def begin(x: ScalingInputs) -> Method:
        model = x.make_model(x.parameters)
        for block in model.get_submodule("blocks").children():
            fully_shard(block)
        fully_shard(model)
        return Method.of(x, model)

    return training(x, begin)
