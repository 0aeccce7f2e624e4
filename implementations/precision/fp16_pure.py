"""Training in float16 throughout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Requires, Step, implementation
from implementations.precision._method import Method, clip, memory, tiny_on_cpu, training

if TYPE_CHECKING:
    from implementations._training.inputs import TrainingInputs


@implementation(
    "precision",
    requires=Requires(memory=memory(weights=2, gradients=2, moment=2, kept=2), unsupported=tiny_on_cpu),
    dtype="fp16",
)
def fp16_pure(x: TrainingInputs) -> Step:
    """Weights, gradients and moments in float16 without a scale: small gradients vanish, large ones overflow.

    AdamW's second moments are squares of gradients, which vanish first: this is expected to fail its check on some
    models, and shows why the others do more.
    """

    def begin(x: TrainingInputs) -> Method:
        model = x.make_model(x.parameters, torch.float16)
        optimizer = x.make_optimizer(model.parameters())

        def update() -> None:
            clip(list(model.parameters()))
            optimizer.step()

        return Method(model, optimizer, model, torch.Tensor.backward, update, "fp16")

    return training(x, begin)
