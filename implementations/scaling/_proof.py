"""Whether ranks train as one process does: their gradients against float64, and that they stay together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Check, Reference
from implementations._training.gradients import differentiated, distance, gradients_of

if TYPE_CHECKING:
    from implementations.scaling._method import ScalingInputs, Taken

# Gradients may have three times the error of one process in float32: ranks add in another order, by the rule of
# FlashAttention's tests.
_FACTOR = 3.0
# Steps after which ranks are compared: a difference of one bit in a gradient has come to the parameters in one.
_STEPS = 3


def reference(x: ScalingInputs) -> Reference:
    """Return the gradients of one process on the first joint batch in float64, and the error of float32."""
    models = (differentiated(x, dtype)[0] for dtype in (torch.float64, torch.float32))
    exact, rounded = (gradients_of(list(model.parameters())) for model in models)
    return Reference({"gradients": exact, "error": distance(rounded, exact)})


def check(taken: Taken, truth: Reference) -> Check:
    """Compare the gradients that a first step has left with those of one process on the joint batch."""
    ours, exact = taken.method.gradients(), truth.value["gradients"]
    if len(ours) != len(exact):
        return Check({}, f"{len(ours)} gradients, {len(exact)} expected")
    error, bound = distance(ours, exact), _FACTOR * truth.value["error"]
    fault = "" if error <= bound else f"gradient_error {error:.3g} exceeds {bound:.3g}"
    return Check({"gradient_error": error}, fault)


def examine(taken: Taken, truth: Reference) -> Check:
    """Take some more steps, and compare the parameters of all ranks bit by bit."""
    for _ in range(_STEPS):
        taken = taken.again()
    if not torch.distributed.is_initialized():
        return Check({})
    ours = torch.cat([parameter.detach().flatten() for parameter in taken.method.model.parameters()])
    first = ours.clone()
    torch.distributed.broadcast(first, 0)
    apart = (ours.view(torch.int32) != first.view(torch.int32)).sum()
    torch.distributed.all_reduce(apart, torch.distributed.ReduceOp.MAX)
    return Check({}, f"{int(apart)} parameters differ between ranks after {_STEPS} steps" if apart else "")
