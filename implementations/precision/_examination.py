"""Whether a method trains: its losses beside float32's, an overflow on purpose, and what it keeps in memory."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import torch

from harness import Check
from implementations.precision._gradients import fault_of, left_by
from implementations.precision._method import BACKWARD, CLIP, FORWARD, STEP, Method, clip

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

    from harness import Reference
    from implementations._training.inputs import TrainingInputs
    from implementations.precision._method import Begin, Taken

SEEDS = 3
# The loss that a training comes to is the mean of its last ones.
_LAST = 8


def examine(taken: Taken, truth: Reference) -> Check:
    """Train from several beginnings and compare the losses, clip and overflow on purpose, and add up what is kept.

    Two trainings that differ in nothing that matters lie as far apart as float32's own do from seed to seed: the mean
    loss that a method comes to may lie no further from float32's than the highest of its seeds from the lowest.
    """
    found = _kept(taken)
    if taken.inputs.passes != STEP:
        return Check(found)
    found |= {"vanished_gradients": _vanished(taken, truth.value["gradients"])}
    if fault := _clipping_fault(taken, truth) or (_overflow_fault(taken) if taken.method.scale else ""):
        return Check(found, fault)
    losses, skipped, scale = curves(taken.inputs, taken.begin)
    ours, theirs = losses[:, -_LAST:].mean(1), truth.value["curves"][:, -_LAST:].mean(1)
    found |= {
        "loss_curve": losses.mean(0).tolist(),
        "loss_curve_low": losses.amin(0).tolist(),
        "loss_curve_high": losses.amax(0).tolist(),
    }
    loss = ours.mean().item()
    found |= {"loss": loss, "loss_low": ours.min().item(), "loss_high": ours.max().item()}
    if taken.method.scale:
        found |= {"skipped_steps": skipped, "final_scale": scale}
    away, band = abs(loss - theirs.mean().item()), (theirs.max() - theirs.min()).item()
    if not away <= band:
        return Check(found, f"loss {loss:.3g} lies {away:.2g} from float32's, whose seeds span {band:.2g}")
    return Check(found)


def curves(x: TrainingInputs, begin: Begin) -> tuple[Tensor, float, float]:
    """Train over all batches from several beginnings.

    Returns:
        the losses (SEEDS, BATCHES); how many updates of a training were left out, in the mean; and the last scale.
    """
    losses, skipped, scales = [], 0, [1.0]
    for seed in range(SEEDS):
        again = x.redrawn(seed)
        method, taken = begin(again), []
        scales = [method.factor()]
        for batch, labels in zip(again.batches, again.labels, strict=True):
            taken.append(method.train(batch, labels).item())
            scales.append(method.factor())
        losses.append(taken)
        skipped += sum(later < earlier for earlier, later in pairwise(scales))
    return torch.tensor(losses), skipped / SEEDS, scales[-1]


def in_float32(x: TrainingInputs) -> Method:
    """Begin to train as torch does where nothing is said of precision."""
    model = x.make_model(x.parameters)
    optimizer = x.make_optimizer(model.parameters())

    def update() -> None:
        clip(list(model.parameters()))
        optimizer.step()

    return Method(model, optimizer, model, torch.Tensor.backward, update, "fp32")


def _clipping_fault(taken: Taken, truth: Reference) -> str:
    """Take a step of a loss whose gradients lie on the other side of the limit: what clipped before must not, or must.

    A step that never takes the scale out is like a right one wherever both are clipped.
    """
    x, right, before = taken.inputs, taken.begin(taken.inputs), truth.value["norm"]
    wanted = CLIP / 2 if before > CLIP else 2 * CLIP
    method = replace(right, forward=lambda *batch: right.forward(*batch) * (wanted / before))
    method.train(x.batches[0], x.labels[0])
    factor = min(wanted, CLIP) / min(before, CLIP)
    exact = [factor * gradient for gradient in truth.value["gradients"]]
    fault = fault_of(left_by(method, x, STEP), exact, truth.value["errors"], method.dtype)
    return f"of gradients with a norm of {wanted:.2g}: {fault}" if fault else ""


def _overflow_fault(taken: Taken) -> str:
    """Put an infinity into the gradients of one step: the scale must halve, and nothing that is trained may change."""
    x, method = taken.inputs, taken.begin(taken.inputs)
    method.train(x.batches[0], x.labels[0])
    left_by(method, x, STEP)  # until a step is good, so that there are moments to be spoilt
    was, scale = [tensor.clone() for tensor in _state(method)], method.factor()
    handle = method.weights()[0].register_hook(lambda gradient: torch.full_like(gradient, torch.inf))
    method.train(x.batches[0], x.labels[0])
    handle.remove()
    if method.factor() != scale / 2:
        return f"after an overflow the scale is {method.factor():g}, and was {scale:g}"
    if not all(torch.equal(now, earlier) for now, earlier in zip(_state(method), was, strict=True)):
        return "an overflow has changed parameters or moments"
    return ""


def _state(method: Method) -> list[Tensor]:
    """Return the parameters, their masters, and the moments."""
    return [*method.weights(), *method.trained(), *method.moments()]


def _vanished(taken: Taken, exact: Iterable[Tensor]) -> float:
    """Return the share of the gradients of a first step that are zero and should not be."""
    x, method = taken.inputs, taken.begin(taken.inputs)
    method.train(x.batches[0], x.labels[0], BACKWARD)
    zeros = [(w.grad == 0) & (truth != 0) for w, truth in zip(method.weights(), exact, strict=True)]
    return sum(int(one.sum()) for one in zeros) / sum(one.numel() for one in zeros)


def _kept(taken: Taken) -> dict[str, float | Sequence[float]]:
    """Return the bytes of weights and masters, of gradients, of the optimiser's state, and of what autograd keeps.

    Of the last each storage counts once, and weights not at all; copies of weights that autocast makes do.
    """
    x, method = taken.inputs, taken.method
    kept: dict[int, int] = {}
    if x.passes == STEP:
        left_by(method, x, STEP)  # until a step is good, so that there are moments
    weights = _storages([*method.weights(), *method.trained()])

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = method.forward(x.batches[0], x.labels[0])
    sizes: dict[str, float | Sequence[float]] = {}
    sizes["activation_memory"] = sum(size for place, size in kept.items() if place not in weights)
    del loss
    sizes["weight_memory"] = sum(weights.values())
    if x.passes != FORWARD:
        gradients = (tensor.grad for tensor in {*method.weights(), *method.trained()} if tensor.grad is not None)
        sizes["gradient_memory"] = sum(_storages(gradients).values())
    if x.passes == STEP:
        sizes["optimizer_memory"] = sum(_storages(method.moments()).values())
    return sizes


def _storages(tensors: Iterable[Tensor]) -> dict[int, int]:
    """Return the bytes of each storage by its address."""
    found = (tensor.untyped_storage() for tensor in tensors)
    return {storage.data_ptr(): storage.nbytes() for storage in found}
