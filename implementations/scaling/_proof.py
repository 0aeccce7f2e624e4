"""Whether ranks train as one process does: their gradients against float64, and that they stay together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Check, Reference

if TYPE_CHECKING:
    from torch import Tensor

    from implementations.scaling._method import ScalingInputs, Taken

# Gradients may have three times the error of one process in float32: ranks add in another order, by the rule of
# FlashAttention's tests.
_FACTOR = 3.0
# Steps after which ranks are compared: a difference of one bit in a gradient has come to the parameters in one.
_STEPS = 3


def reference(x: ScalingInputs) -> Reference:
    """Return the gradients of one process on the first joint batch in float64, and the error of float32."""
    exact, rounded = (_gradients(x, dtype) for dtype in (torch.float64, torch.float32))
    return Reference({"gradients": exact, "error": _distance(rounded, exact)})


def check(taken: Taken, truth: Reference) -> Check:
    """Compare the gradients that a first step has left with those of one process on the joint batch."""
    ours, exact = taken.method.gradients(), truth.value["gradients"]
    if len(ours) != len(exact):
        return Check({}, f"{len(ours)} gradients, {len(exact)} expected")
    error, bound = _distance(ours, exact), _FACTOR * truth.value["error"]
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


def _gradients(x: ScalingInputs, dtype: torch.dtype) -> list[Tensor]:
    model = x.make_model(x.parameters, dtype)
    loss = model(x.batches[0].to(dtype) if x.batches.is_floating_point() else x.batches[0], x.labels[0])
    return [gradient.double() for gradient in torch.autograd.grad(loss, list(model.parameters()))]


def _distance(ours: list[Tensor], exact: list[Tensor]) -> float:
    """Return how far gradients lie from the exact ones, over the norm of these."""
    squares = sum(((one.double() - other) ** 2).sum().item() for one, other in zip(ours, exact, strict=True))
    return float((squares / sum((one**2).sum().item() for one in exact)) ** 0.5)
