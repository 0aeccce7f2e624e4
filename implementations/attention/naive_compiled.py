"""The textbook method, compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Requires, Step, implementation
from implementations.attention._common import by_autograd, matrix_flops, matrix_memory, no_tf32

if TYPE_CHECKING:
    from torch import Tensor

    from implementations.attention.workload import AttentionInputs


@implementation("attention", requires=Requires(memory=matrix_memory, unsupported=no_tf32), hardware_flops=matrix_flops)
def naive_compiled(x: AttentionInputs) -> Step:
    """The same formula as naive, through torch.compile, which fuses scale, mask and softmax or finds a fused kernel.

    Inductor has patterns for attention, and where one fits it calls scaled_dot_product_attention in place of the
    formula: the operators that a step ran, which the harness keeps, tell.
    """
    scale, group = x.scale, x.q.shape[1] // x.k.shape[1]
    hidden = x.mask.hidden(range(x.mask.queries), range(x.mask.keys), x.q.device)
    blind = x.mask.blind(x.q.device)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if group > 1:
            k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        scores = (q @ k.mT) * scale
        if hidden is not None:
            scores = scores.masked_fill(hidden, -torch.inf)
        if blind is not None:
            scores = scores.masked_fill(blind, 0.0)
        weights = torch.softmax(scores, dim=-1)
        if blind is not None:
            weights = weights.masked_fill(blind, 0.0)
        return weights @ v

    return by_autograd(x, torch.compile(attend, dynamic=False, fullgraph=True))
