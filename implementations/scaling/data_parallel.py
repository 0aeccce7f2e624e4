"""Training in one process with several GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import implementation
from implementations.scaling._method import Method, requires, training

if TYPE_CHECKING:
    from torch import Tensor

    from harness import Step
    from implementations.scaling._method import ScalingInputs


@implementation("scaling", requires=requires(ranks=False, device="cuda"))
def data_parallel(x: ScalingInputs) -> Step:
    """DataParallel: one process copies the model to all GPUs each step, and a thread drives each of them."""
    if (there := torch.cuda.device_count()) < x.ranks:
        raise RuntimeError(f"needs {x.ranks} GPUs, and there are {there}")

    def begin(x: ScalingInputs) -> Method:
        model = x.make_model(x.parameters)
        copies = torch.nn.DataParallel(model, list(range(x.ranks)))

        def differentiate(batch: Tensor, labels: Tensor) -> Tensor:
            loss = copies(batch, labels).mean()
            loss.backward()
            return loss

        return Method(model, x.make_optimizer(model.parameters()).step, differentiate)

    return training(x, begin, shared=False)
