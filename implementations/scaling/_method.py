"""Where ranks begin, the share of a batch that each takes, and the step that is made of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from harness import Requires
from implementations._training.course import Course
from implementations._training.gradients import gradients_of
from implementations._training.inputs import MOMENTS, TrainingInputs, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from harness import Params, Step

    Begin = Callable[["ScalingInputs"], "Method"]


@dataclass(frozen=True)
class ScalingInputs(TrainingInputs):
    """One beginning, the same on every rank.

    Attributes:
        bucket: bytes of gradients that are sent together, where an implementation has buckets.
        ranks: that share a batch.
    """

    bucket: int
    ranks: int


@dataclass(frozen=True)
class Method:
    """One way to train on some ranks.

    Attributes:
        model: its parameters have the gradients.
        update: changes the parameters by their gradients.
        differentiate: a share of a batch and its labels to their mean loss; leaves gradients of the joint batch's mean
            loss with the model's parameters.
        rounding: half the distance from 1 to the next number of the dtype in which gradients are sent, where they are
            rounded for that.
        lossy: whether ranks send less than all of the gradients.
    """

    model: nn.Module
    update: Callable[[], object]
    differentiate: Callable[[Tensor, Tensor], Tensor]
    rounding: float = 0.0
    lossy: bool = False

    @classmethod
    def of(cls, x: ScalingInputs, model: nn.Module, *, rounding: float = 0.0, lossy: bool = False) -> Method:
        """Return the method of a model whose backward pass leaves the gradients as they should be."""
        update = x.make_optimizer(model.parameters()).step
        return cls(model, update, partial(differentiate, model), rounding, lossy)

    def gradients(self) -> list[Tensor]:
        """Return the gradients of the last step, in the order of the parameters, in float64."""
        return gradients_of(list(self.model.parameters()))


@dataclass(frozen=True)
class Taken:
    """What a step returns: the loss of the rank's share, and the method as the step has left it."""

    loss: Tensor
    method: Method
    again: Callable[[], Taken]


def training(x: ScalingInputs, begin: Begin, *, shared: bool = True) -> Step:
    """Return the step of a method: forward, backward with communication, update.

    Args:
        x: the inputs.
        begin: sets the method up.
        shared: whether a rank takes its share of each batch, or all of it.
    """
    course = Course(x, begin)

    def step() -> Taken:
        method, batch, labels = course.next()
        if shared:
            batch, labels = share(batch), share(labels)
        method.model.zero_grad()
        loss = method.differentiate(batch, labels)
        method.update()
        return Taken(loss.detach(), method, step)

    return step


def differentiate(model: nn.Module, batch: Tensor, labels: Tensor) -> Tensor:
    """Take a forward and a backward pass, and return the loss."""
    loss: Tensor = model(batch, labels)
    loss.backward()
    return loss


def share(batch: Tensor) -> Tensor:
    """Return this rank's part of a joint batch."""
    return batch.chunk(torch.distributed.get_world_size())[torch.distributed.get_rank()]


def on_ranks(params: Params) -> int:
    """Return the ranks that a point names."""
    return int(params["world_size"])


def joint_batch(params: Params) -> int:
    """Return the batch of all ranks together."""
    return int(params["batch"]) * (on_ranks(params) if params["scale"] == "weak" else 1)


def requires(
    *,
    ranks: bool = True,
    copies: int = 0,
    device: str | None = None,
    unsupported: Callable[[Params], str] = lambda params: "",
) -> Requires:
    """Return what an implementation requires: ranks, and the memory of training in float32 on each.

    Args:
        ranks: whether it runs on the ranks of a point, or in one process whatever they are.
        copies: of a model's gradients that are held to be sent.
        device: the kind of device that it runs on; None is any.
        unsupported: why a point cannot be trained in this way; empty where it can.
    """

    def memory(params: Params) -> int:
        moments = MOMENTS[str(params["optimizer"])] + 1  # as much again is taken while the optimiser updates
        shape, seq = shape_of(params), int(params["seq"])
        each = 4 * (2 + moments + copies) * shape.parameters(seq)
        return each * (on_ranks(params) if ranks else 1) + 4 * shape.activations(joint_batch(params), seq)

    def why_not(params: Params, device: str) -> str:
        alone = "one rank has nobody to share with: see single" if ranks and on_ranks(params) == 1 else ""
        return alone or unsupported(params)

    return Requires(device, memory=memory, world_size=on_ranks if ranks else None, unsupported=why_not)
