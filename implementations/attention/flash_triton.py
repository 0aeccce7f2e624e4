"""FlashAttention-2's forward pass as a Triton kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Params, Requires, Step, implementation
from implementations.attention._common import forward_only, no_window
from implementations.attention.workload import AttentionInputs, Sizes, output_bytes

if TYPE_CHECKING:
    from torch import Tensor

# By the size of an item, then by the largest head_dim: query rows and keys of a tile, warps, pipeline stages.
# Chosen by what the compiler reports for sm_80 and sm_90: spills of at most 64 bytes, shared memory of at most 96 KiB
# on sm_80 (and so within the 99 KiB of sm_86, sm_89 and sm_120) and 128 KiB on sm_90. Not tuned by time.
CONFIGS = {
    2: {64: (128, 64, 4, 3), 128: (128, 64, 8, 3), 256: (64, 32, 8, 2)},
    4: {32: (64, 32, 4, 2), 64: (64, 16, 4, 2), 128: (32, 32, 8, 2), 256: (16, 16, 8, 2)},
}


def config(item_bytes: int, head_dim: int) -> tuple[int, int, int, int]:
    """Return query rows and keys of a tile, warps and pipeline stages."""
    return next(chosen for largest, chosen in CONFIGS[item_bytes].items() if head_dim <= largest)


def _unsupported(params: Params, device: str) -> str:
    sizes = Sizes.of(params)
    head_dim = sizes.head_dim
    if head_dim.bit_count() != 1 or not 16 <= head_dim <= 256:
        return "the Triton kernel takes a head_dim of 16, 32, 64, 128 or 256"
    if (sizes.queries, sizes.heads, sizes.head_dim) != (sizes.keys, sizes.kv_heads, sizes.v_dim):
        return "the Triton kernel takes Q, K and V of one shape"
    if params["dtype"] == "tf32":
        return "the Triton kernel multiplies fp32 as three tf32 products, and not as one"
    return forward_only(params) or no_window(params, "the Triton kernel")


@implementation(
    "attention",
    requires=Requires(
        device="cuda", capability=(8, 0), modules=("triton",), memory=output_bytes, unsupported=_unsupported
    ),
)
def flash_triton(x: AttentionInputs) -> Step:
    """FlashAttention-2 forward in Triton, one program per block of queries (Dao 2023, algorithm 1).

    Sums are float32; fp16 and bf16 go to the tensor cores as they are, fp32 as three TF32 products, because one
    alone misses float32's error a hundredfold.
    """
    import triton

    from implementations.attention._flash_forward import flash_forward

    batch, heads, seq, head_dim = x.q.shape
    rows, keys, warps, stages = config(x.q.element_size(), head_dim)
    grid = (triton.cdiv(seq, rows), batch * heads)
    scale = x.scale * 1.4426950408889634  # log2(e)
    # Triton's interpreter multiplies the bit patterns of bfloat16, and truncates float32 to it: there, all is float32.
    widen = triton.knobs.runtime.interpret
    out = torch.empty_like(x.q, dtype=torch.float32 if widen else None)

    def step() -> Tensor:
        flash_forward[grid](
            x.q, x.k, x.v, out, seq, scale, head_dim, rows, keys, x.causal, widen, "tf32x3",
            num_warps=warps, num_stages=stages, enable_fp_fusion=True,
        )  # fmt: skip
        return out.to(x.q.dtype)

    return step
