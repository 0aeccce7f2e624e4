"""The gradients that a method leaves, and how far they may lie from those in float64."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from implementations._training.gradients import differentiated, distance, gradients_of, norm
from implementations.precision._method import STEP, clip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from implementations._training.inputs import TrainingInputs
    from implementations.precision._method import Method

# The rounding of a number to each dtype, relative to it.
ROUNDING = {"fp32": 2.0**-24, "tf32": 2.0**-11, "fp16": 2.0**-11, "bf16": 2.0**-8, "fp8": 2.0**-4}
# Gradients may have three times the error of a model that is rounded to the dtype as a whole, by the rule of
# FlashAttention's tests.
_FACTOR = 3.0
# A scale of 2 ** 16 is 1 when it has been halved so often.
_HALVINGS = 16


def of_first_step(x: TrainingInputs, dtype: torch.dtype) -> tuple[float, list[Tensor], float]:
    """Return the loss of a first step of a model that is in a dtype as a whole, its gradients, and their norm.

    Where a step updates they are clipped, and the norm is that from before.
    """
    model, loss = differentiated(x, dtype)
    parameters = list(model.parameters())
    before = norm(gradients_of(parameters))
    if x.passes == STEP:
        clip(parameters)
    return loss.item(), gradients_of(parameters), before


def rounding_errors(x: TrainingInputs, exact: Sequence[Tensor]) -> dict[str, float]:
    """Return the errors of the gradients of a model that is rounded to each dtype as a whole.

    Processors are slow in float16 and have no tf32 and no float8. For these the weights alone are rounded, and their
    error is taken as many times as bfloat16 shows the whole to be that of the weights. The rounding itself would not
    do: where ReLU is, it turns some elements on and off, and errors grow with the root of it.
    """

    def of(dtype: torch.dtype, weights: torch.dtype = torch.float64) -> float:
        rounded = {name: parameter.to(weights).float() for name, parameter in x.parameters.items()}
        return distance(of_first_step(replace(x, parameters=rounded), dtype)[1], exact)

    errors = {"fp32": of(torch.float32), "bf16": of(torch.bfloat16)}
    share = errors["bf16"] / of(torch.float32, torch.bfloat16)
    half, eighth = (share * of(torch.float32, weights) for weights in (torch.float16, torch.float8_e4m3fn))
    return errors | {"tf32": half, "fp16": half, "fp8": eighth}


def fault_of(gradients: Sequence[Tensor], exact: Sequence[Tensor], errors: Mapping[str, float], dtype: str) -> str:
    """Return in words that gradients are too far from the exact ones; empty where they are not."""
    found, bound = distance(gradients, exact), _FACTOR * errors[dtype]
    return "" if found <= bound else f"gradient_error {found:.3g} exceeds {bound:.3g}"


def left_by(method: Method, x: TrainingInputs, passes: str) -> list[Tensor]:
    """Return the gradients that a first step has left, in float64, without the scale.

    A step that left its update out, since gradients overflowed, has changed nothing but the scale: it is taken again,
    on the same batch, until they are finite. An update takes the scale out and clips.
    """
    for _ in range(_HALVINGS if method.scale else 0):
        if all(gradient.isfinite().all() for gradient in _found(method, passes)):
            break
        if passes != STEP:
            method.update()  # which halves the scale, and no more
        method.train(x.batches[0], x.labels[0], passes)
    return _found(method, passes)


def _found(method: Method, passes: str) -> list[Tensor]:
    if passes == STEP:
        return gradients_of(method.trained())
    return [gradient / method.factor() for gradient in gradients_of(method.weights())]
