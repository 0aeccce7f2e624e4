"""Training in float32 throughout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Requires, Step, implementation
from implementations.precision._method import Method, clip, memory, training, with_products_in

if TYPE_CHECKING:
    from implementations._training.inputs import TrainingInputs


@implementation("precision", requires=Requires(memory=memory(weights=4, gradients=4, moment=4, kept=4)), dtype="fp32")
def fp32_highest(x: TrainingInputs) -> Step:
    """Everything in float32, products too, whatever the process would allow: what the others are held against.

    Torch's default lets convolutions on CUDA be in tf32; here none are.
    """

    def begin(x: TrainingInputs) -> Method:
        model = x.make_model(x.parameters)
        optimizer = x.make_optimizer(model.parameters())
        forward = with_products_in("ieee", model)
        backward = with_products_in("ieee", torch.Tensor.backward)

        def update() -> None:
            clip(list(model.parameters()))
            optimizer.step()

        return Method(model, optimizer, forward, backward, update, "fp32")

    return training(x, begin)
