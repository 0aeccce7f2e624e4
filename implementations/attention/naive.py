"""The textbook method: the whole matrix of scores in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Requires, Step, implementation
from implementations.attention._common import by_autograd, matrix_flops, matrix_memory, no_tf32

if TYPE_CHECKING:
    from torch import Tensor

    from implementations.attention.workload import AttentionInputs


@implementation("attention", requires=Requires(memory=matrix_memory, unsupported=no_tf32), hardware_flops=matrix_flops)
def naive(x: AttentionInputs) -> Step:
    """Scores, mask, softmax and output one after the other, each a whole matrix, and autograd's backward pass.

    Shapes: scores (batch, kv_heads, heads / kv_heads, queries, keys) in the working dtype. This is what FlashAttention
    calls standard attention (Dao et al. 2022, algorithms 0 and 3).
    """
    scale, group = x.scale, x.q.shape[1] // x.k.shape[1]
    hidden = x.mask.hidden(range(x.mask.queries), range(x.mask.keys), x.q.device)
    blind = x.mask.blind(x.q.device)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        grouped = q.unflatten(1, (k.shape[1], group))
        scores = (grouped @ k.unsqueeze(2).mT).mul_(scale)
        if hidden is not None:
            scores.masked_fill_(hidden, -torch.inf)
        if blind is not None:
            scores = scores.masked_fill(blind, 0.0)  # no NaN for rows of -inf alone, in their gradients neither
        weights = torch.softmax(scores, dim=-1)
        if blind is not None:
            weights = weights.masked_fill(blind, 0.0)
        return (weights @ v.unsqueeze(2)).flatten(1, 2)

    return by_autograd(x, attend)
