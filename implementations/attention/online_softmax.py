"""FlashAttention-2's forward pass written out in plain torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Params, Requires, Step, implementation
from implementations.attention._common import forward_without_tf32, in_precision, tiled_memory

if TYPE_CHECKING:
    from torch import Tensor

    from implementations.attention._mask import Blocks
    from implementations.attention.workload import AttentionInputs

# Among the fastest of 64 to 512 by 128 to 1024 on one and two CPU cores, in float32 and bfloat16.
QUERY_BLOCK, KEY_BLOCK = 256, 512


def _memory(params: Params) -> int:
    return tiled_memory(params, QUERY_BLOCK, KEY_BLOCK)


@implementation("attention", requires=Requires(memory=_memory, unsupported=forward_without_tf32))
def online_softmax(x: AttentionInputs) -> Step:
    """One pass over the keys by tiles, with a running maximum and sum per query row, in plain torch.

    FlashAttention-2 (Dao 2023, algorithm 1): with m, l and O in float32, for each block of keys
    m' = max(m, max S), c = exp(m - m'), l' = c l + sum exp(S - m'), O' = c O + exp(S - m') V; at the end O / l and
    L = m + ln l. The products are float32 too: in fp16 or bf16 they would round S, which FlashAttention does not.
    Heads that share keys are rows of one product: Q is seen as (batch * kv_heads, heads / kv_heads, queries, head_dim).
    """
    group = x.q.shape[1] // x.k.shape[1]
    q, k, v = x.q.view(-1, group, *x.q.shape[2:]), x.k.flatten(0, 1), x.v.flatten(0, 1)
    tiles, scale = x.mask.tiles(QUERY_BLOCK, KEY_BLOCK, q.device), x.scale
    out = q.new_empty(*q.shape[:3], v.shape[-1])
    lse = q.new_empty(q.shape[:3], dtype=torch.float32)
    tile = lse.new_empty(len(k), group * min(QUERY_BLOCK, q.shape[2]), min(KEY_BLOCK, k.shape[1]))

    def attend(rows: slice, blocks: Blocks) -> tuple[Tensor, Tensor]:
        queries = (q[:, :, rows].float() * scale).flatten(1, 2)
        sums = queries.new_zeros(*queries.shape[:2], v.shape[-1])
        total = torch.zeros_like(sums[..., :1])
        # Not -inf, whose difference to itself is no number: a row that has seen no key yet has exp(-inf - lowest) = 0.
        highest = torch.full_like(total, torch.finfo(torch.float32).min)
        for seen, hidden in blocks:
            keys, values = k[:, seen].float(), v[:, seen].float()
            scores = torch.bmm(queries, keys.mT, out=tile[:, : queries.shape[1], : keys.shape[1]])
            if hidden is not None:
                scores.unflatten(1, (group, -1)).masked_fill_(hidden, -torch.inf)
            previous, highest = highest, torch.maximum(highest, scores.amax(-1, keepdim=True))
            rescale = torch.exp(previous - highest)
            weights = scores.sub_(highest).exp_()
            total.mul_(rescale).add_(weights.sum(-1, keepdim=True))
            sums.mul_(rescale).baddbmm_(weights, values)
        level = (highest + total.log()).squeeze(-1)
        sums.div_(total.clamp_(min=torch.finfo(torch.float32).tiny))  # 0, not 0 / 0, for a row that sees no key
        return sums.unflatten(1, (group, -1)), level.unflatten(1, (group, -1))

    def step() -> tuple[Tensor, Tensor]:
        for rows, blocks in tiles:
            out[:, :, rows], lse[:, :, rows] = attend(rows, blocks)
        return out.view(*x.q.shape[:3], -1), lse.view(x.q.shape[:3])

    return in_precision(x, step)
