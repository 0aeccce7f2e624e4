"""Online softmax that rescales only when it must, as FlashAttention-4 does, in plain torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Params, Requires, Step, implementation
from implementations.attention._common import forward_without_tf32, in_precision, tiled_memory

if TYPE_CHECKING:
    from torch import Tensor

    from implementations.attention._mask import Blocks
    from implementations.attention.workload import AttentionInputs

QUERY_BLOCK, KEY_BLOCK = 256, 512
LOG2_E = 1.4426950408889634
# Scores may exceed the maximum that weights are relative to by so many powers of two: weights then reach 256, far
# from the end of float32, and the sum stays as exact as it was.
TAU = 8.0


def _memory(params: Params) -> int:
    return tiled_memory(params, QUERY_BLOCK, KEY_BLOCK)


@implementation("attention", requires=Requires(memory=_memory, unsupported=forward_without_tf32))
def online_softmax_lazy(x: AttentionInputs) -> Step:
    """As online_softmax, but O and l are rescaled only where the maximum has risen by more than a factor of 256.

    FlashAttention-4's lazy rescaling (2025): a stale maximum m is kept while m' - m <= tau = log2(256) = 8 in units of
    base 2, and the division by l at the end makes that exact. The choice is made for every row, the branch once
    a tile, as a warp group does.
    """
    group = x.q.shape[1] // x.k.shape[1]
    q, k, v = x.q.view(-1, group, *x.q.shape[2:]), x.k.flatten(0, 1), x.v.flatten(0, 1)
    tiles, scale = x.mask.tiles(QUERY_BLOCK, KEY_BLOCK, q.device), x.scale * LOG2_E
    out = q.new_empty(*q.shape[:3], v.shape[-1])
    lse = q.new_empty(q.shape[:3], dtype=torch.float32)
    tile = lse.new_empty(len(k), group * min(QUERY_BLOCK, q.shape[2]), min(KEY_BLOCK, k.shape[1]))

    def attend(rows: slice, blocks: Blocks) -> tuple[Tensor, Tensor]:
        queries = (q[:, :, rows].float() * scale).flatten(1, 2)
        sums = queries.new_zeros(*queries.shape[:2], v.shape[-1])
        total = torch.zeros_like(sums[..., :1])
        stale = torch.full_like(total, torch.finfo(torch.float32).min)  # not -inf, as in online_softmax
        for seen, hidden in blocks:
            keys, values = k[:, seen].float(), v[:, seen].float()
            scores = torch.bmm(queries, keys.mT, out=tile[:, : queries.shape[1], : keys.shape[1]])
            if hidden is not None:
                scores.unflatten(1, (group, -1)).masked_fill_(hidden, -torch.inf)
            highest = torch.maximum(stale, scores.amax(-1, keepdim=True))
            if (risen := highest - stale > TAU).any():
                previous, stale = stale, torch.where(risen, highest, stale)
                rescale = torch.exp2(previous - stale)
                total.mul_(rescale)
                sums.mul_(rescale)
            weights = scores.sub_(stale).exp2_()
            total.add_(weights.sum(-1, keepdim=True))
            sums.baddbmm_(weights, values)
        level = (stale + total.log2()).squeeze(-1).div_(LOG2_E)
        sums.div_(total.clamp_(min=torch.finfo(torch.float32).tiny))
        return sums.unflatten(1, (group, -1)), level.unflatten(1, (group, -1))

    def step() -> tuple[Tensor, Tensor]:
        for rows, blocks in tiles:
            out[:, :, rows], lse[:, :, rows] = attend(rows, blocks)
        return out.view(*x.q.shape[:3], -1), lse.view(x.q.shape[:3])

    return in_precision(x, step)
