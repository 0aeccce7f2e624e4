"""FlashAttention-4, for Hopper and Blackwell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import Params, Requires, Step, implementation
from implementations.attention._common import aligned_bottom_right, by_layout, fused_flops, fused_memory, half_only

if TYPE_CHECKING:
    from torch import Tensor

    from implementations.attention.workload import AttentionInputs


def _unsupported(params: Params, device: str) -> str:
    return half_only(params, "FlashAttention-4") or aligned_bottom_right(params, "FlashAttention-4")


@implementation(
    "attention",
    requires=Requires(
        device="cuda", capability=(9, 0), modules=("flash_attn.cute",), memory=fused_memory, unsupported=_unsupported
    ),
    hardware_flops=fused_flops,
)
def flash_attn_4(x: AttentionInputs) -> Step:
    """FlashAttention-4 from the package flash-attn-4, written in CuTe DSL, for Hopper and Blackwell.

    Written by the interface of August 2026; this has never run here, for want of a GPU. It compiles at its first call.
    """
    from flash_attn.cute import flash_attn_func

    window = (x.mask.window - 1, x.mask.window - 1) if x.mask.window else (None, None)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = flash_attn_func(q, k, v, softmax_scale=x.scale, causal=x.causal, window_size=window)
        return out[0] if isinstance(out, tuple) else out

    return by_layout(x, attend)
