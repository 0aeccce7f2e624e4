"""Training in one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import implementation
from implementations.scaling._method import Method, requires, training

if TYPE_CHECKING:
    from torch import Tensor

    from harness import Step
    from implementations.scaling._method import ScalingInputs


@implementation("scaling", requires=requires(ranks=False))
def single(x: ScalingInputs) -> Step:
    """One process with all threads, on the joint batch: what ranks are held against."""

    def begin(x: ScalingInputs) -> Method:
        model = x.make_model(x.parameters)

        def differentiate(batch: Tensor, labels: Tensor) -> Tensor:
            loss = model(batch, labels)
            loss.backward()
            return loss

        return Method(model, x.make_optimizer(model.parameters()), differentiate)

    return training(x, begin, shared=False)
