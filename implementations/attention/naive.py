"""The textbook method: the whole matrix of scores in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Params, Requires, Step, implementation
from implementations.attention.workload import AttentionInputs, score_bytes, tensor_bytes

if TYPE_CHECKING:
    from torch import Tensor


def _memory(params: Params) -> int:
    """Scores and probabilities at once, the output, and the mask at one byte an element."""
    mask = int(params["seq"]) ** 2 if params["causal"] else 0
    return 2 * score_bytes(params) + mask + tensor_bytes(params)


@implementation("attention", requires=Requires(memory=_memory))
def naive(x: AttentionInputs) -> Step:
    """Scores, mask, softmax and output one after the other, each a whole seq * seq matrix.

    Shapes: scores (batch, heads, seq, seq) in the working dtype. This is what FlashAttention calls standard
    attention (Dao et al. 2022, algorithm 0).
    """
    scale = x.scale
    seq = x.q.shape[2]
    hidden = torch.ones(seq, seq, dtype=torch.bool, device=x.q.device).triu_(1) if x.causal else None

    def step() -> Tensor:
        scores = (x.q @ x.k.mT).mul_(scale)
        if hidden is not None:
            scores.masked_fill_(hidden, -torch.inf)
        return torch.softmax(scores, dim=-1) @ x.v

    return step
