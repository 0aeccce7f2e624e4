"""The package flash-attn: FlashAttention-2 by its author."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import Params, Requires, Step, implementation
from implementations.attention._common import aligned_bottom_right, by_layout, fused_flops, fused_memory, half_only
from implementations.attention.workload import AttentionInputs, Sizes

if TYPE_CHECKING:
    from torch import Tensor


def _unsupported(params: Params, device: str) -> str:
    sizes = Sizes.of(params)
    if sizes.head_dim != sizes.v_dim or sizes.head_dim > 256:
        return "flash-attn takes one head_dim of at most 256 for Q, K and V"
    return half_only(params, "flash-attn") or aligned_bottom_right(params, "flash-attn")


@implementation(
    "attention",
    requires=Requires(
        device="cuda", capability=(8, 0), modules=("flash_attn",), memory=fused_memory, unsupported=_unsupported
    ),
    hardware_flops=fused_flops,
)
def flash_attn(x: AttentionInputs) -> Step:
    """FlashAttention-2 from the package flash-attn (Dao 2023).

    Written by its interface of version 2.8; this has never run here, for want of a GPU.
    """
    from flash_attn import flash_attn_func

    window = (x.mask.window - 1, x.mask.window - 1) if x.mask.window else (-1, -1)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return flash_attn_func(q, k, v, softmax_scale=x.scale, causal=x.causal, window_size=window)

    return by_layout(x, attend)
