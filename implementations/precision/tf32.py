"""Training in float32 with products in tf32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Requires, Step, implementation
from implementations.precision._method import Method, clip, cuda_only, memory, training, with_products_in

if TYPE_CHECKING:
    from implementations._training.inputs import TrainingInputs


@implementation(
    "precision",
    requires=Requires(
        device="cuda",
        capability=(8, 0),
        memory=memory(weights=4, gradients=4, moment=4, kept=4),
        unsupported=cuda_only,
    ),
    dtype="tf32",
)
def tf32(x: TrainingInputs) -> Step:
    """Float32 kept, and products on the tensor cores in tf32: ten bits of mantissa, the range of float32.

    Products are summed in float32, and nothing else is rounded.
    """

    def begin(x: TrainingInputs) -> Method:
        model = x.make_model(x.parameters)
        optimizer = x.make_optimizer(model.parameters())
        forward = with_products_in("tf32", model)
        backward = with_products_in("tf32", torch.Tensor.backward)

        def update() -> None:
            clip(list(model.parameters()))
            optimizer.step()

        return Method(model, optimizer, forward, backward, update, "tf32")

    return training(x, begin)
