"""Training with DistributedDataParallel, communication after the backward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import implementation
from implementations.scaling._method import Method, requires, training
from implementations.scaling._replica import replica

if TYPE_CHECKING:
    from harness import Step
    from implementations.scaling._method import ScalingInputs


@implementation("scaling", requires=requires(copies=1))
def ddp_no_overlap(x: ScalingInputs) -> Step:
    """The same buckets, but none is sent before all are full: what overlap saves is the difference to ddp."""

    def begin(x: ScalingInputs) -> Method:
        model = replica(x)
        model.register_comm_hook([], _when_all_are_full)
        return Method.of(x, model)

    return training(x, begin)


# Without annotations: DistributedDataParallel takes none that are text.
def _when_all_are_full(waiting, bucket):  # type: ignore[no-untyped-def]
    """Keep a bucket back, and return its future; with the last one, average all in their order."""
    buffer = bucket.buffer()
    future: torch.futures.Future[torch.Tensor] = torch.futures.Future(
        devices=[buffer.device] if buffer.is_cuda else None
    )
    waiting.append((buffer, future))
    if bucket.is_last():
        for full, done in waiting:
            torch.distributed.all_reduce(full)
            full /= torch.distributed.get_world_size()
            done.set_result(full)
        waiting.clear()
    return future
