"""Whether ranks train as one process does: their gradients against float64, their losses, and that they stay one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Check, Reference
from implementations._training.gradients import differentiated, distance, gradients_of, whole
from implementations.scaling._method import Method

if TYPE_CHECKING:
    from torch import Tensor

    from implementations.scaling._method import ScalingInputs, Taken

# Gradients may have three times the error of one process in float32: ranks add in another order, by the rule of
# FlashAttention's tests.
_FACTOR = 3.0
# Gradients that are rounded to be sent are so before, when they are divided, and after each sum.
_ROUNDINGS = 4.0
# Steps of training that are compared, and the last of them, whose mean loss is what it comes to.
_STEPS, _LAST = 16, 4
# Share of what one process's loss gains that a loss may lie away from it: by rounding alone, and where less is sent.
_AWAY, _AWAY_LOSSY = 0.01, 0.1


def reference(x: ScalingInputs) -> Reference:
    """Return what one process has on the joint batches: gradients in float64, the error of float32, and its losses."""
    models = (differentiated(x, dtype)[0] for dtype in (torch.float64, torch.float32))
    exact, rounded = (gradients_of(list(model.parameters())) for model in models)
    return Reference({"gradients": exact, "error": distance(rounded, exact), "losses": _losses_of_one(x)})


def check(taken: Taken, truth: Reference) -> Check:
    """Compare the gradients that a first step has left with those of one process on the joint batch."""
    ours, exact = taken.method.gradients(), truth.value["gradients"]
    if len(ours) != len(exact):
        return Check({}, f"{len(ours)} gradients, {len(exact)} expected")
    error, bound = distance(ours, exact), _FACTOR * truth.value["error"] + _ROUNDINGS * taken.method.rounding
    fault = "" if error <= bound else f"gradient_error {error:.3g} exceeds {bound:.3g}"
    return Check({"gradient_error": error}, fault)


def examine(taken: Taken, truth: Reference) -> Check:
    """Take more steps, compare the losses with one process's, and the parameters of all ranks bit by bit."""
    losses = [taken.loss]
    for _ in range(_STEPS - 1):
        taken = taken.again()
        losses.append(taken.loss)
    joint = _mean_over_ranks(torch.stack(losses))
    ours, theirs = joint[-_LAST:].mean().item(), truth.value["losses"]
    found = {"loss": ours, "loss_curve": joint.tolist()}
    if apart := _apart(taken.method):
        return Check(found, f"{apart} parameters differ between ranks after {_STEPS} steps")
    last = theirs[-_LAST:].mean().item()
    share = _AWAY_LOSSY if taken.method.lossy else _AWAY
    away, allowed = abs(ours - last), share * abs(theirs[0].item() - last)
    fault = f"after {_STEPS} steps the loss lies {away:.2g} from one process's, and may lie {allowed:.2g}"
    return Check(found, "" if away <= allowed else fault)


def _losses_of_one(x: ScalingInputs) -> Tensor:
    method, losses = Method.of(x, x.make_model(x.parameters)), []
    for batch, labels in zip(x.batches[:_STEPS], x.labels[:_STEPS], strict=True):
        method.model.zero_grad()
        losses.append(method.differentiate(batch, labels).detach())
        method.update()
    return torch.stack(losses).cpu()


def _mean_over_ranks(losses: Tensor) -> Tensor:
    """Return the means of what each rank has; a loss is the mean over its share."""
    if not torch.distributed.is_initialized():
        return losses
    losses = losses.clone()
    torch.distributed.all_reduce(losses)
    return losses / torch.distributed.get_world_size()


def _apart(method: Method) -> int:
    """Return how many parameters have other bits on some rank than on the first."""
    if not torch.distributed.is_initialized():
        return 0
    ours = torch.cat([whole(parameter.detach()).flatten() for parameter in method.model.parameters()])
    first = ours.clone()
    torch.distributed.broadcast(first, 0)
    apart = (ours.view(torch.uint8) != first.view(torch.uint8)).sum()
    torch.distributed.all_reduce(apart, torch.distributed.ReduceOp.MAX)
    return int(apart)
