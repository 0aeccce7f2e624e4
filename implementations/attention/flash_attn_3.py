"""FlashAttention-3, for Hopper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import Params, Requires, Step, implementation
from implementations.attention._common import aligned_bottom_right, by_layout, fused_flops, fused_memory, half_only
from implementations.attention.workload import FORWARD, AttentionInputs, Sizes

if TYPE_CHECKING:
    from torch import Tensor


def _unsupported(params: Params, device: str) -> str:
    sizes = Sizes.of(params)
    if sizes.head_dim > 256 or sizes.v_dim > 256:
        return "FlashAttention-3 takes a head_dim of at most 256"
    if sizes.head_dim != sizes.v_dim and params["pass"] != FORWARD:
        return "FlashAttention-3 has gradients for one head_dim of Q, K and V"
    return half_only(params, "FlashAttention-3") or aligned_bottom_right(params, "FlashAttention-3")


@implementation(
    "attention",
    requires=Requires(
        device="cuda",
        capability=(9, 0),
        modules=("flash_attn_interface",),
        memory=fused_memory,
        unsupported=_unsupported,
    ),
    hardware_flops=fused_flops,
)
def flash_attn_3(x: AttentionInputs) -> Step:
    """FlashAttention-3 from the folder hopper of its repository (Shah et al. 2024), for compute capability 9.0.

    Written by the interface of August 2026; this has never run here, for want of a GPU.
    """
    from flash_attn_interface import flash_attn_func

    window = (x.mask.window - 1, x.mask.window - 1) if x.mask.window else (-1, -1)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = flash_attn_func(q, k, v, softmax_scale=x.scale, causal=x.causal, window_size=window)
        return out[0] if isinstance(out, tuple) else out  # the first versions returned the log-sum-exp too

    return by_layout(x, attend)
