"""Automatic mixed precision in float16, with torch's scaler of gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Requires, Step, implementation
from implementations.precision._method import Method, clip, memory, tiny_on_cpu, training

if TYPE_CHECKING:
    from torch import Tensor

    from implementations._training.inputs import TrainingInputs


@implementation(
    "precision",
    requires=Requires(memory=memory(weights=6, gradients=4, moment=4, kept=3), unsupported=tiny_on_cpu),
    dtype="fp16",
)
def fp16_amp(x: TrainingInputs) -> Step:
    """Autocast to float16, and a GradScaler that keeps small gradients from vanishing (Micikevicius et al. 2018).

    float16 flushes what is below 2 ** -24. The loss is multiplied by a scale, 65536 to begin with; the gradients are
    divided by it again, clipped after that, and where one of them has overflowed the update is left out and the scale
    halved. The first steps do so as a rule.
    """

    def begin(x: TrainingInputs) -> Method:
        model = x.make_model(x.parameters)
        optimizer = x.make_optimizer(model.parameters())
        scaler = torch.amp.GradScaler(x.device)

        def forward(batch: Tensor, labels: Tensor) -> Tensor:
            with torch.autocast(x.device, torch.float16):
                return model(batch, labels)

        def backward(loss: Tensor) -> None:
            scaler.scale(loss).backward()

        def update() -> None:
            scaler.unscale_(optimizer)
            clip(list(model.parameters()))
            scaler.step(optimizer)
            scaler.update()

        return Method(model, optimizer, forward, backward, update, "fp16", scaler.get_scale)

    return training(x, begin)
