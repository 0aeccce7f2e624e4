"""The ring all-reduce, written out of sends and receives (Patarasuk and Yuan 2009, section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def ring_all_reduce(flat: Tensor) -> int:
    """Sum a tensor of one dimension over all ranks, in place, and return the bytes that this rank has sent.

    The tensor is cut into as many parts as there are ranks, the first of them one element longer where it does not
    divide. Reduce-scatter: n - 1 times each rank passes a part to the next rank, which adds its own; each then has the
    sum of one part. All-gather: n - 1 times the sums are passed on. A rank sends 2 (n - 1) / n of the tensor.
    """
    rank, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
    parts = flat.tensor_split(ranks)
    received = torch.empty_like(parts[0])
    sent = 0
    for turn in range(ranks - 1):
        ours, theirs = parts[(rank - turn) % ranks], parts[(rank - turn - 1) % ranks]
        sent += _pass_on(ours, received[: theirs.numel()])
        theirs += received[: theirs.numel()]
    for turn in range(ranks - 1):
        sent += _pass_on(parts[(rank + 1 - turn) % ranks], parts[(rank - turn) % ranks])
    return sent


def _pass_on(ours: Tensor, theirs: Tensor) -> int:
    """Send a part to the next rank while the one before sends another; return the bytes sent."""
    rank, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
    send = torch.distributed.P2POp(torch.distributed.isend, ours, (rank + 1) % ranks)
    receive = torch.distributed.P2POp(torch.distributed.irecv, theirs, (rank - 1) % ranks)
    for work in torch.distributed.batch_isend_irecv([send, receive]):
        work.wait()
    return ours.nbytes
