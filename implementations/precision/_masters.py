"""Master weights: float32 copies that are updated, and that a model in less precision follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from implementations._training.gradients import gradient_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from implementations._training.inputs import TrainingInputs


def masters_of(x: TrainingInputs, model: nn.Module) -> list[Tensor]:
    """Return the parameters in float32, as they were before the model's were rounded, in the model's order."""
    names = (name.removeprefix("_orig_mod.") for name, _ in model.named_parameters())  # as torch.compile calls them
    return [x.parameters[name].detach().clone().requires_grad_() for name in names]


def hand_over(model: nn.Module, masters: list[Tensor], factor: float = 1.0) -> None:
    """Give the masters the model's gradients, widened to float32, times a factor."""
    for master, weight in zip(masters, model.parameters(), strict=True):
        master.grad = gradient_of(weight).float().mul_(factor)


def follow(model: nn.Module, masters: list[Tensor]) -> None:
    """Round the masters to the model's parameters."""
    with torch.no_grad():
        torch._foreach_copy_(list(model.parameters()), masters)
