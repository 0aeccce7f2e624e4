"""Torch's FlexAttention: a kernel that the compiler makes for the mask at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Params, Requires, Step, implementation
from implementations.attention._common import by_autograd, fused_flops, fused_memory, no_tf32
from implementations.attention.workload import FORWARD, AttentionInputs, Sizes

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 128  # queries and keys of a block of the mask


def _memory(params: Params) -> int:
    """What every fused kernel takes, and to make the list of blocks, the mask as booleans and then as numbers."""
    sizes = Sizes.of(params)
    return fused_memory(params) + (0 if sizes.mask.full else 9 * sizes.queries * sizes.keys)


def _unsupported(params: Params, device: str) -> str:
    if params["pass"] != FORWARD and device != "cuda":
        return "FlexAttention has no backward pass on the CPU"
    return no_tf32(params, device)


@implementation(
    "attention",
    requires=Requires(memory=_memory, unsupported=_unsupported),
    hardware_flops=lambda params: fused_flops(params, sweeps=2),  # one for dK and dV, one for dQ
)
def flex_attention(x: AttentionInputs) -> Step:
    """FlexAttention, compiled: one template, into which the mask is compiled, and blocks that it hides are left out.

    Dong et al. 2024. The mask is a function of the numbers of a query and a key; which blocks it hides is found
    in set-up.
    """
    from torch.nn.attention.flex_attention import create_block_mask
    from torch.nn.attention.flex_attention import flex_attention as attention

    mask, scale, shared = x.mask, x.scale, x.q.shape[1] != x.k.shape[1]

    def seen(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        own = query + mask.offset
        visible = key <= own if mask.causal else key < own + mask.window
        return visible & (key > own - mask.window) if mask.window else visible

    blocks = None
    if not mask.full:
        blocks = create_block_mask(seen, None, None, mask.queries, mask.keys, x.q.device, BLOCK)
    compiled = torch.compile(attention, dynamic=False, fullgraph=True)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return compiled(q, k, v, block_mask=blocks, scale=scale, enable_gqa=shared)

    return by_autograd(x, attend)
