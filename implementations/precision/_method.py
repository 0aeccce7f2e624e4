"""A method of training as its parts, and the step that is made of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from implementations._training.course import Course
from implementations._training.inputs import MOMENTS, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

    from harness import Params, Step
    from implementations._training.inputs import TrainingInputs

    Begin = Callable[[TrainingInputs], "Method"]

T = TypeVar("T")

FORWARD, BACKWARD, STEP = PASSES = ("forward", "forward_backward", "step")
CLIP = 1.0  # the norm that gradients are clipped to, as is usual for a gpt (Brown et al. 2020, appendix B)


@dataclass(frozen=True)
class Method:
    """One way to train, from where it begins.

    Attributes:
        model: what computes the loss; its parameters get the gradients.
        optimizer: over what is trained: the model's parameters, or masters of them in float32.
        forward: a batch and its labels to their loss.
        backward: leaves the gradients of a loss, times the scale, with the model's parameters.
        update: takes the scale out, clips, and changes what is trained.
        dtype: of the products: fp32, tf32, fp16 or bf16.
        scale: the factor on gradients at the moment; None where there never is one.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    forward: Callable[[Tensor, Tensor], Tensor]
    backward: Callable[[Tensor], None]
    update: Callable[[], None]
    dtype: str
    scale: Callable[[], float] | None = None

    def weights(self) -> list[Tensor]:
        """Return the parameters that the loss is computed from."""
        return list(self.model.parameters())

    def trained(self) -> list[Tensor]:
        """Return what the optimiser changes, in the same order."""
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def moments(self) -> list[Tensor]:
        """Return what the optimiser keeps of each parameter."""
        kept = (value for state in self.optimizer.state.values() for value in state.values())
        return [value for value in kept if isinstance(value, torch.Tensor)]

    def factor(self) -> float:
        """Return the factor on gradients at the moment."""
        return self.scale() if self.scale else 1.0

    def train(self, batch: Tensor, labels: Tensor, passes: str = STEP) -> Tensor:
        """Take one step, or its first parts, and return the loss; the gradients stay until the next."""
        loss = self.forward(batch, labels)
        if passes != FORWARD:
            self.model.zero_grad()
            self.backward(loss)
        if passes == STEP:
            self.update()
        return loss.detach()


@dataclass(frozen=True)
class Taken:
    """What a step returns: its loss, and for the check the method as the step has left it."""

    loss: Tensor
    method: Method
    inputs: TrainingInputs
    begin: Begin


def training(x: TrainingInputs, begin: Begin) -> Step:
    """Return the step of a method, which goes on from where the last one ended, with the next batch."""
    course = Course(x, begin)

    def step() -> Taken:
        method, batch, labels = course.next()
        return Taken(method.train(batch, labels, x.passes), method, x, begin)

    return step


def clip(parameters: Sequence[Tensor]) -> None:
    """Clip the gradients of parameters to a norm of ``CLIP``, all together (Pascanu et al. 2013)."""
    torch.nn.utils.clip_grad_norm_(parameters, CLIP, foreach=True)


def with_products_in(precision: str, function: Callable[..., T]) -> Callable[..., T]:
    """Let float32 products of matrices and convolutions on CUDA be in ``ieee`` or ``tf32`` within a function.

    These are process-wide settings, which a step must not leave behind; set_float32_matmul_precision does not govern
    convolutions, which are in tf32 unless that is switched off.
    """

    @wraps(function)
    def inside(*arguments: Any) -> T:
        rooms = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]
        before = [room.fp32_precision for room in rooms]
        try:
            for room in rooms:
                room.fp32_precision = precision
            return function(*arguments)
        finally:
            for room, earlier in zip(rooms, before, strict=True):
                room.fp32_precision = earlier

    return inside


def memory(*, weights: int, gradients: int, moment: int, kept: int) -> Callable[[Params], int]:
    """Predict the peak of a step from the bytes that a method takes for each parameter and for each activation.

    Args:
        weights: of a parameter, its master and its copies.
        gradients: of a parameter's gradient and its master's.
        moment: of one moment of the optimiser; as much again is taken while it updates.
        kept: of what a forward pass keeps.
    """

    def predicted(params: Params) -> int:
        shape, passes = shape_of(params), params["pass"]
        each = weights + (0 if passes == FORWARD else gradients)
        each += (MOMENTS[str(params["optimizer"])] + 1) * moment if passes == STEP else 0
        batch, seq = int(params["batch"]), int(params["seq"])
        return each * shape.parameters(seq) + kept * shape.activations(batch, seq)

    return predicted


def tiny_on_cpu(params: Params, device: str) -> str:
    """Why a larger model is not trained in float16 here: most processors take a hundred times as long as in float32."""
    slow = device == "cpu" and params["size"] != "tiny"
    return "in float16 a processor takes minutes a step of more than size tiny" if slow else ""


def cuda_only(params: Params, device: str) -> str:
    """Why there is no tf32 on this device."""
    return "" if device == "cuda" else "tf32 is a format of CUDA's tensor cores"
