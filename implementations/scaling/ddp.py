"""Training with DistributedDataParallel."""

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
def ddp(x: ScalingInputs) -> Step:
    """DistributedDataParallel: buckets of gradients are averaged while the backward pass goes on (Li et al. 2020)."""

    def begin(x: ScalingInputs) -> Method:
        model = torch.nn.parallel.DistributedDataParallel(
            x.make_model(x.parameters), bucket_cap_mb=x.bucket / (1 << 20), gradient_as_bucket_view=True
        )

        def differentiate(batch: Tensor, labels: Tensor) -> Tensor:
            loss = model(batch, labels)
            loss.backward()
            return loss

        return Method(model, x.make_optimizer(model.parameters()), differentiate)

    return training(x, begin)
