"""Gradients of a first step, and sets of gradients taken as one vector each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from implementations._training.inputs import TrainingInputs


def differentiated(x: TrainingInputs, dtype: torch.dtype) -> tuple[nn.Module, Tensor]:
    """Return a model that is in a dtype as a whole, with its gradients of the first batch, and the loss of that."""
    model = x.make_model(x.parameters, dtype)
    loss = model(x.batches[0], x.labels[0])
    loss.backward()
    return model, loss


def gradients_of(parameters: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradients that parameters have, in float64 and whole: all ranks call this where they are sharded."""
    return [whole(parameter.grad).double() for parameter in parameters if parameter.grad is not None]


def gradient_of(parameter: Tensor) -> Tensor:
    """Return the gradient of a parameter that a backward pass has reached; raises RuntimeError where none has."""
    if parameter.grad is None:
        raise RuntimeError("a parameter has no gradient: the loss does not depend on it")
    return parameter.grad


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor, gathered from all ranks where each has a shard of it."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def cosine(a: Sequence[Tensor], b: Sequence[Tensor]) -> float:
    """Return the cosine between two sets of gradients."""
    return _dot(a, b) / (norm(a) * norm(b))


def distance(a: Sequence[Tensor], b: Sequence[Tensor]) -> float:
    """Return the norm of a - b over that of b."""
    return norm([one - other for one, other in zip(a, b, strict=True)]) / norm(b)


def norm(a: Sequence[Tensor]) -> float:
    """Return the norm of a set of gradients."""
    return _dot(a, a) ** 0.5


def _dot(a: Sequence[Tensor], b: Sequence[Tensor]) -> float:
    return sum(torch.dot(one.flatten(), other.flatten()).item() for one, other in zip(a, b, strict=True))
