"""Online softmax that rescales only when it must, as FlashAttention-4 does, in plain torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Params, Requires, Step, implementation
from implementations.attention._common import forward_only, in_precision, no_tf32
from implementations.attention.workload import AttentionInputs, Sizes, output_bytes

if TYPE_CHECKING:
    from torch import Tensor

    from implementations.attention._mask import Blocks

QUERY_BLOCK, KEY_BLOCK = 256, 512
LOG2_E = 1.4426950408889634
# Scores may exceed the maximum that weights are relative to by so many powers of two: weights then reach 256, far
# from the end of float32, and the sum stays as exact as it was.
TAU = 8.0


def _memory(params: Params) -> int:
    """O and L, the masks, and in float32 a tile of scores, a block of Q and of O, and two each of K and V."""
    sizes = Sizes.of(params)
    rows, columns = min(QUERY_BLOCK, sizes.queries), min(KEY_BLOCK, sizes.keys)
    masks = 0 if sizes.mask.full else 2 * rows * columns
    widened = 0 if sizes.item == 4 else 2 * columns * (sizes.head_dim + sizes.v_dim) * sizes.kv_heads // sizes.heads
    statistics = 6 * rows
    block = rows * columns + rows * (sizes.head_dim + sizes.v_dim) + widened + statistics
    return output_bytes(params) + sizes.lse + masks + 4 * sizes.batch * sizes.heads * block


def _unsupported(params: Params, device: str) -> str:
    return no_tf32(params, device) or forward_only(params)


@implementation("attention", requires=Requires(memory=_memory, unsupported=_unsupported))
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
