"""Training on ranks that average all gradients by a ring of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import implementation
from implementations.scaling._method import Method, requires, training
from implementations.scaling._ring import ring_all_reduce

if TYPE_CHECKING:
    from torch import Tensor

    from harness import Step
    from implementations.scaling._method import ScalingInputs


@implementation("scaling", requires=requires(copies=2))
def ring_allreduce(x: ScalingInputs) -> Step:
    """All gradients at once around a ring, sends and receives written out: reduce-scatter, then all-gather."""
    ranks = torch.distributed.get_world_size()

    def begin(x: ScalingInputs) -> Method:
        model = x.make_model(x.parameters)

        def differentiate(batch: Tensor, labels: Tensor) -> Tensor:
            loss = model(batch, labels)
            loss.backward()
            gradients = [parameter.grad for parameter in model.parameters()]
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            ring_all_reduce(flat)
            flat /= ranks
            parts = flat.split([gradient.numel() for gradient in gradients])
            torch._foreach_copy_(gradients, [part.view_as(one) for part, one in zip(parts, gradients, strict=True)])
            return loss

        return Method(model, x.make_optimizer(model.parameters()), differentiate)

    return training(x, begin)
