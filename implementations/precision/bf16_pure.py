"""Training in bfloat16 throughout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Requires, Step, implementation
from implementations.precision._method import Method, clip, memory, training

if TYPE_CHECKING:
    from implementations._training.inputs import TrainingInputs


@implementation("precision", requires=Requires(memory=memory(weights=2, gradients=2, moment=2, kept=2)), dtype="bf16")
def bf16_pure(x: TrainingInputs) -> Step:
    """Weights, gradients and moments in bfloat16: half the memory, and updates that vanish when they are small.

    An update below 2 ** -9 of its weight is lost: a model goes on learning only while its steps are large.
    """

    def begin(x: TrainingInputs) -> Method:
        model = x.make_model(x.parameters, torch.bfloat16)
        optimizer = x.make_optimizer(model.parameters())

        def update() -> None:
            clip(list(model.parameters()))
            optimizer.step()

        return Method(model, optimizer, model, torch.Tensor.backward, update, "bf16")

    return training(x, begin)
