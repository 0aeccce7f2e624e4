"""Mixed precision in float16 written out: master weights and the scaler's states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Requires, Step, implementation
from implementations._training.gradients import gradient_of
from implementations.precision._masters import follow, hand_over, masters_of
from implementations.precision._method import Method, clip, memory, tiny_on_cpu, training

if TYPE_CHECKING:
    from torch import Tensor

    from implementations._training.inputs import TrainingInputs

FIRST_SCALE, GROWTH, BACKOFF, GROWTH_INTERVAL = 2.0**16, 2.0, 0.5, 2000


@implementation(
    "precision",
    requires=Requires(memory=memory(weights=6, gradients=6, moment=4, kept=2), unsupported=tiny_on_cpu),
    dtype="fp16",
)
def fp16_amp_manual(x: TrainingInputs) -> Step:
    """Weights and gradients in float16, masters of the weights in float32, and the loss scaled by hand.

    Micikevicius et al. 2018, sections 3.1 and 3.2. After each backward pass the gradients go to the masters, where
    they are divided by the scale. Is one of them infinite or NaN, the update is left out and the scale halved; after
    2000 updates in a row it is doubled. Clipping comes after the division: before it, it would clip the scale.
    """

    def begin(x: TrainingInputs) -> Method:
        model = x.make_model(x.parameters, torch.float16)
        masters = masters_of(x, model)
        optimizer = x.make_optimizer(masters)
        scale, good_steps = FIRST_SCALE, 0

        def backward(loss: Tensor) -> None:
            (loss * scale).backward()

        def update() -> None:
            nonlocal scale, good_steps
            hand_over(model, masters, 1 / scale)
            if not torch.stack([gradient_of(master).isfinite().all() for master in masters]).all():
                scale, good_steps = scale * BACKOFF, 0
                return
            clip(masters)
            optimizer.step()
            follow(model, masters)
            good_steps += 1
            if good_steps == GROWTH_INTERVAL:
                scale, good_steps = scale * GROWTH, 0

        return Method(model, optimizer, model, backward, update, "fp16", lambda: scale)

    return training(x, begin)
