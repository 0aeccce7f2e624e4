"""Gradients of all parameters, copied together into one tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from implementations._training.gradients import gradient_of
from implementations.scaling._method import Method, differentiate

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from implementations.scaling._method import ScalingInputs


def summed_together(x: ScalingInputs, add_up: Callable[[Tensor], Any]) -> Method:
    """Return a method that adds all gradients up over ranks in one call, and takes their mean.

    Args:
        x: the inputs.
        add_up: sums a tensor of one dimension over all ranks, in place.
    """
    ranks = torch.distributed.get_world_size()
    model = x.make_model(x.parameters)

    def average(batch: Tensor, labels: Tensor) -> Tensor:
        loss = differentiate(model, batch, labels)
        gradients = [gradient_of(parameter) for parameter in model.parameters()]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        add_up(flat)
        flat /= ranks
        parts = flat.split([gradient.numel() for gradient in gradients])
        torch._foreach_copy_(gradients, [part.view_as(one) for part, one in zip(parts, gradients, strict=True)])
        return loss

    return Method(model, x.make_optimizer(model.parameters()).step, average)
