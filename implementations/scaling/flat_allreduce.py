"""Training on ranks that average all gradients at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import implementation
from implementations.scaling._method import Method, requires, training

if TYPE_CHECKING:
    from torch import Tensor

    from harness import Step
    from implementations.scaling._method import ScalingInputs


@implementation("scaling", requires=requires(copies=1))
def flat_allreduce(x: ScalingInputs) -> Step:
    """One all-reduce of all gradients, copied together after the backward pass: one large message, no overlap."""
    ranks = torch.distributed.get_world_size()

    def begin(x: ScalingInputs) -> Method:
        model = x.make_model(x.parameters)

        def differentiate(batch: Tensor, labels: Tensor) -> Tensor:
            loss = model(batch, labels)
            loss.backward()
            gradients = [parameter.grad for parameter in model.parameters()]
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            torch.distributed.all_reduce(flat)
            flat /= ranks
            parts = flat.split([gradient.numel() for gradient in gradients])
            torch._foreach_copy_(gradients, [part.view_as(one) for part, one in zip(parts, gradients, strict=True)])
            return loss

        return Method(model, x.make_optimizer(model.parameters()), differentiate)

    return training(x, begin)
