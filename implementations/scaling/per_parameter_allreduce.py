"""Training on ranks that average gradients one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import implementation
from implementations._training.gradients import gradient_of
from implementations.scaling._method import Method, differentiate, requires, training

if TYPE_CHECKING:
    from torch import Tensor

    from harness import Step
    from implementations.scaling._method import ScalingInputs


@implementation("scaling", requires=requires())
def per_parameter_allreduce(x: ScalingInputs) -> Step:
    """An all-reduce for each parameter, after the backward pass: many small messages, and nothing overlaps."""
    ranks = torch.distributed.get_world_size()

    def begin(x: ScalingInputs) -> Method:
        model = x.make_model(x.parameters)

        def average(batch: Tensor, labels: Tensor) -> Tensor:
            loss = differentiate(model, batch, labels)
            for parameter in model.parameters():
                gradient = gradient_of(parameter)
                torch.distributed.all_reduce(gradient)
                gradient /= ranks
            return loss

        return Method(model, x.make_optimizer(model.parameters()).step, average)

    return training(x, begin)
