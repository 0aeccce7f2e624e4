"""Flash-decoding: the keys in parts that are attended to apart, and then merged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Params, Requires, Step, implementation
from implementations.attention._common import forward_without_tf32, in_precision
from implementations.attention.workload import AttentionInputs, Sizes, output_bytes

if TYPE_CHECKING:
    from torch import Tensor

# As many parts as there are keys for, so that each gives a core or a multiprocessor enough to do.
PARTS, LEAST_KEYS = 8, 256
QUERY_BLOCK = 128


def part_length(keys: int) -> int:
    """Return the keys of one part."""
    return max(LEAST_KEYS, -(-keys // PARTS))


def _memory(params: Params) -> int:
    """O and L, the masks, and in float32 two blocks of scores, the parts' O, and a part of K or V."""
    sizes = Sizes.of(params)
    rows, columns = min(QUERY_BLOCK, sizes.queries), min(part_length(sizes.keys), sizes.keys)
    masks = 0 if sizes.mask.full else sizes.queries * sizes.keys // 4
    parts = -(-sizes.keys // part_length(sizes.keys))
    widened = 0 if sizes.item == 4 else columns * max(sizes.head_dim, sizes.v_dim) * sizes.kv_heads // sizes.heads
    block = 2 * rows * columns + rows * (parts + 1) * sizes.v_dim + widened
    return output_bytes(params) + sizes.lse + masks + 4 * sizes.batch * sizes.heads * block


@implementation("attention", requires=Requires(memory=_memory, unsupported=forward_without_tf32))
def split_kv(x: AttentionInputs) -> Step:
    """Attend to parts of the keys apart, and merge the parts by their log-sum-exp: flash-decoding in plain torch.

    Flash-decoding (Dao, Haziza, Massa and Sizov 2023) gives every part of a long cache to another multiprocessor,
    where one query alone would leave all but a few idle. Merging is exact and associative: with
    L = logsumexp(L_i), O = sum exp(L_i - L) O_i. Heads that share keys are rows of one product.
    """
    group = x.q.shape[1] // x.k.shape[1]
    q, k, v = x.q.view(-1, group, *x.q.shape[2:]), x.k.flatten(0, 1), x.v.flatten(0, 1)
    tiles, scale = x.mask.tiles(QUERY_BLOCK, part_length(k.shape[1]), q.device), x.scale
    out = q.new_empty(*q.shape[:3], v.shape[-1])
    lse = q.new_empty(q.shape[:3], dtype=torch.float32)

    def attend(queries: Tensor, seen: slice, hidden: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return O and L of one part, as if it were all there is."""
        scores = torch.bmm(queries, k[:, seen].float().mT)
        if hidden is not None:
            scores.unflatten(1, (group, -1)).masked_fill_(hidden, -torch.inf)
        level = scores.logsumexp(-1, keepdim=True)
        weights = scores.sub_(level.clamp(min=torch.finfo(torch.float32).min)).exp_()  # of -inf alone: 0, no NaN
        return torch.bmm(weights, v[:, seen].float()), level

    def merge(parts: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        outs, levels = (torch.stack(tensors) for tensors in zip(*parts, strict=True))
        level = levels.logsumexp(0)
        shares = (levels - level.clamp(min=torch.finfo(torch.float32).min)).exp_()
        return (shares * outs).sum(0), level.squeeze(-1)

    def step() -> tuple[Tensor, Tensor]:
        out.zero_()
        lse.fill_(-torch.inf)
        for rows, blocks in tiles:
            queries = (q[:, :, rows].float() * scale).flatten(1, 2)
            if blocks:
                merged, level = merge([attend(queries, *block) for block in blocks])
                out[:, :, rows], lse[:, :, rows] = merged.unflatten(1, (group, -1)), level.unflatten(1, (group, -1))
        return out.view(*x.q.shape[:3], -1), lse.view(x.q.shape[:3])

    return in_precision(x, step)
