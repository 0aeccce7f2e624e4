"""Whether a step is right: its loss and gradients against float64."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from harness import Check, Reference
from implementations._training.gradients import cosine, distance
from implementations.precision._examination import curves, in_float32
from implementations.precision._gradients import ROUNDING, fault_of, left_by, of_first_step, rounding_errors
from implementations.precision._method import FORWARD, STEP

if TYPE_CHECKING:
    from implementations._training.inputs import TrainingInputs
    from implementations.precision._method import Taken

# A loss may be so many roundings of the dtype away.
_LOSS_ROUNDINGS = 8.0


def reference(x: TrainingInputs) -> Reference:
    """Return the loss and the gradients of a first step in float64, and what training in float32 comes to.

    The value has ``loss``; ``gradients``, clipped where a step clips, and their ``norm`` before that; ``errors``, by
    dtype those of a model that is rounded to it; and where a step updates, ``curves``, the losses of float32.
    """
    x = replace(x, compiled=False)
    loss, exact, norm = of_first_step(x, torch.float64)
    value = {"loss": loss, "gradients": exact, "norm": norm, "errors": rounding_errors(x, exact)}
    return Reference(value | ({"curves": curves(x, in_float32)[0]} if x.passes == STEP else {}))


def check(taken: Taken, truth: Reference) -> Check:
    """Compare the loss of a step, and the gradients that it has left, with those in float64."""
    method, value, passes = taken.method, truth.value, taken.inputs.passes
    errors = {"loss_error": abs(taken.loss.item() / value["loss"] - 1)}
    if not errors["loss_error"] <= (bound := _LOSS_ROUNDINGS * ROUNDING[method.dtype]):
        return Check(errors, f"loss_error {errors['loss_error']:.3g} exceeds {bound:.3g}")
    if passes == FORWARD:
        return Check(errors)
    ours, exact = left_by(method, taken.inputs, passes), value["gradients"]
    errors |= {"gradient_error": distance(ours, exact), "gradient_cosine": cosine(ours, exact)}
    return Check(errors, fault_of(ours, exact, value["errors"], method.dtype))
