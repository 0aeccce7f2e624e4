"""Training in bfloat16 with master weights in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Requires, Step, implementation
from implementations.precision._masters import follow, hand_over, masters_of
from implementations.precision._method import Method, clip, memory, training

if TYPE_CHECKING:
    from implementations._training.inputs import TrainingInputs


@implementation("precision", requires=Requires(memory=memory(weights=6, gradients=6, moment=4, kept=2)), dtype="bf16")
def bf16_master(x: TrainingInputs) -> Step:
    """Weights, gradients and activations in bfloat16, and masters of the weights, and moments, in float32.

    An update below 2 ** -9 of its weight vanishes in bfloat16; in a master it adds up until it shows.
    """

    def begin(x: TrainingInputs) -> Method:
        model = x.make_model(x.parameters, torch.bfloat16)
        masters = masters_of(x, model)
        optimizer = x.make_optimizer(masters)

        def update() -> None:
            hand_over(model, masters)
            clip(masters)
            optimizer.step()
            follow(model, masters)

        return Method(model, optimizer, model, torch.Tensor.backward, update, "bf16")

    return training(x, begin)
