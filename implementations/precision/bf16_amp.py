"""Automatic mixed precision in bfloat16."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Requires, Step, implementation
from implementations.precision._method import Method, clip, memory, training

if TYPE_CHECKING:
    from torch import Tensor

    from implementations._training.inputs import TrainingInputs


@implementation("precision", requires=Requires(memory=memory(weights=6, gradients=4, moment=4, kept=3)), dtype="bf16")
def bf16_amp(x: TrainingInputs) -> Step:
    """Autocast to bfloat16: products in bf16, norms, softmax, loss, weights and moments in float32, and no scaling.

    bfloat16 has the range of float32, so that gradients do not vanish, and its eight bits are of the products alone:
    what is updated is float32.
    """

    def begin(x: TrainingInputs) -> Method:
        model = x.make_model(x.parameters)
        optimizer = x.make_optimizer(model.parameters())

        def forward(batch: Tensor, labels: Tensor) -> Tensor:
            with torch.autocast(x.device, torch.bfloat16):
                return model(batch, labels)

        def update() -> None:
            clip(list(model.parameters()))
            optimizer.step()

        return Method(model, optimizer, forward, torch.Tensor.backward, update, "bf16")

    return training(x, begin)
