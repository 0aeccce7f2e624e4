"""Training with DistributedDataParallel, gradients gathered over parts of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import implementation
from implementations.scaling._method import Method, joint_batch, on_ranks, requires, training
from implementations.scaling._replica import replica

if TYPE_CHECKING:
    from torch import Tensor, nn

    from harness import Params, Step
    from implementations.scaling._method import ScalingInputs


_PARTS = 2


def _too_small(params: Params) -> str:
    share = joint_batch(params) // on_ranks(params)
    return f"a share of {share} has no {_PARTS} equal parts" if share % _PARTS else ""


@implementation("scaling", requires=requires(copies=1, unsupported=_too_small))
def ddp_accumulate(x: ScalingInputs) -> Step:
    """Each rank's share in two parts, of which only the last communicates (no_sync): a larger batch in less memory."""

    def begin(x: ScalingInputs) -> Method:
        model = replica(x)

        def in_parts(batch: Tensor, labels: Tensor) -> Tensor:
            *silent, last = zip(batch.chunk(_PARTS), labels.chunk(_PARTS), strict=True)
            with model.no_sync():
                losses = [_differentiate(model, *part) for part in silent]
            return sum(losses, _differentiate(model, *last))

        return Method(model, x.make_optimizer(model.parameters()).step, in_parts)

    return training(x, begin)


def _differentiate(model: nn.Module, batch: Tensor, labels: Tensor) -> Tensor:
    loss: Tensor = model(batch, labels) / _PARTS
    loss.backward()
    return loss.detach()
