"""Where ranks begin, the share of a batch that each takes, and the step that is made of it."""

from __future__ import annotations

from dataclasses import dataclass
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
    """

    bucket: int


@dataclass(frozen=True)
class Method:
    """One way to train on some ranks.

    Attributes:
        model: its parameters have the gradients.
        optimizer: over them.
        differentiate: a share of a batch and its labels to their mean loss; leaves gradients of the joint batch's mean
            loss with the model's parameters.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    differentiate: Callable[[Tensor, Tensor], Tensor]

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
        method.optimizer.zero_grad()
        loss = method.differentiate(batch, labels)
        method.optimizer.step()
        return Taken(loss.detach(), method, step)

    return step


def share(batch: Tensor) -> Tensor:
    """Return this rank's part of a joint batch."""
    return batch.chunk(torch.distributed.get_world_size())[torch.distributed.get_rank()]


def on_ranks(params: Params) -> int:
    """Return the ranks that a point names."""
    return int(params["world_size"])


def joint_batch(params: Params) -> int:
    """Return the batch of all ranks together."""
    return int(params["batch"]) * (on_ranks(params) if params["scale"] == "weak" else 1)


def requires(*, ranks: bool = True, copies: int = 0) -> Requires:
    """Return what an implementation requires: ranks, and the memory of training in float32 on each.

    Args:
        ranks: whether it runs on the ranks of a point, or in one process whatever they are.
        copies: of a model's gradients that are held to be sent.
    """

    def memory(params: Params) -> int:
        moments = MOMENTS[str(params["optimizer"])] + 1  # as much again is taken while the optimiser updates
        shape, seq = shape_of(params), int(params["seq"])
        each = 4 * (2 + moments + copies) * shape.parameters(seq)
        return each * (on_ranks(params) if ranks else 1) + 4 * shape.activations(joint_batch(params), seq)

    def unsupported(params: Params, device: str) -> str:
        return "one rank has nobody to share with: see single" if ranks and on_ranks(params) == 1 else ""

    return Requires(memory=memory, world_size=on_ranks if ranks else None, unsupported=unsupported)
