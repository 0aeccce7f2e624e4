"""Training with the optimiser's state divided over ranks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from harness import implementation
from implementations._training.gradients import gradient_of
from implementations.scaling._method import Method, differentiate, requires, training
from implementations.scaling._replica import replica

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from harness import Step
    from implementations.scaling._method import ScalingInputs


@implementation("scaling", requires=requires(copies=3))
def zero1(x: ScalingInputs) -> Step:
    """Each rank updates one part of the parameters, has the moments of that alone, and sends it on (ZeRO stage 1).

    Rajbhandari et al. 2020, section 5.1, written out: gradients are averaged by DistributedDataParallel, all parameters
    lie in one tensor, and its parts are gathered once they are updated.
    """

    def begin(x: ScalingInputs) -> Method:
        model = replica(x)
        return Method(model, _updating(x, model), partial(differentiate, model))

    return training(x, begin)


def _updating(x: ScalingInputs, model: nn.Module) -> Callable[[], None]:
    parameters, ranks = list(model.parameters()), torch.distributed.get_world_size()
    sizes = [parameter.numel() for parameter in parameters]
    padding = parameters[0].new_zeros(-sum(sizes) % ranks)
    whole = torch.cat([*(parameter.detach().flatten() for parameter in parameters), padding])
    for parameter, part in zip(parameters, whole.split([*sizes, len(padding)]), strict=False):
        parameter.data = part.view_as(parameter)
    ours = whole.chunk(ranks)[torch.distributed.get_rank()].clone()
    optimizer = x.make_optimizer([ours])

    def update() -> None:
        gradients = torch.cat([*(gradient_of(parameter).flatten() for parameter in parameters), padding])
        ours.grad = gradients.chunk(ranks)[torch.distributed.get_rank()]
        optimizer.step()
        torch.distributed.all_gather(list(whole.chunk(ranks)), ours)

    return update
