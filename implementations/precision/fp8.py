"""Training with products of linear layers in float8."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Params, Requires, Step, implementation
from implementations.precision._method import Method, clip, memory, training

if TYPE_CHECKING:
    from torch import Tensor, nn

    from implementations._training.inputs import TrainingInputs

_MULTIPLE = 16  # of the rows and columns of a product in float8


def _unsupported(params: Params, device: str) -> str:
    return "a resnet has no linear layers for float8 but one of 10 columns" if params["model"] == "resnet" else ""


@implementation(
    "precision",
    requires=Requires(
        device="cuda",
        capability=(8, 9),
        modules=("torchao",),
        memory=memory(weights=6, gradients=4, moment=4, kept=3),
        unsupported=_unsupported,
    ),
    dtype="fp8",
)
def fp8(x: TrainingInputs) -> Step:
    """Linear layers in float8 through torchao, each tensor with a scale, and the rest as in bf16_amp.

    Micikevicius et al. 2022. Written by the interface of August 2026; this has never run here, for want of a GPU.
    """
    from torchao.float8 import convert_to_float8_training

    def fits(module: nn.Module, name: str) -> bool:
        return isinstance(module, torch.nn.Linear) and not (module.in_features | module.out_features) % _MULTIPLE

    def begin(x: TrainingInputs) -> Method:
        model = convert_to_float8_training(x.make_model(x.parameters), module_filter_fn=fits)
        optimizer = x.make_optimizer(model.parameters())

        def forward(batch: Tensor, labels: Tensor) -> Tensor:
            with torch.autocast(x.device, torch.bfloat16):
                return model(batch, labels)

        def update() -> None:
            clip(list(model.parameters()))
            optimizer.step()

        return Method(model, optimizer, forward, torch.Tensor.backward, update, "fp8")

    return training(x, begin)
