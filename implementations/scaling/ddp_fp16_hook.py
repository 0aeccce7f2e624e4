"""Training with DistributedDataParallel, gradients sent in float16."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import implementation
from implementations.scaling._method import Method, requires, training
from implementations.scaling._replica import replica

if TYPE_CHECKING:
    from harness import Step
    from implementations.scaling._method import ScalingInputs


@implementation("scaling", requires=requires(copies=2))
def ddp_fp16_hook(x: ScalingInputs) -> Step:
    """DistributedDataParallel that rounds gradients to float16 to send them: half the bytes."""
    from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import fp16_compress_hook

    def begin(x: ScalingInputs) -> Method:
        model = replica(x)
        model.register_comm_hook(None, fp16_compress_hook)
        return Method.of(x, model, rounding=torch.finfo(torch.float16).eps / 2)

    return training(x, begin)
