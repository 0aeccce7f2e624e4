"""The flash backend of torch's attention."""

from __future__ import annotations

from harness import Params, Requires, Step, implementation
from implementations.attention._common import (
    forced,
    fused_memory,
    half_only,
    mask_bytes,
    no_tf32,
    no_window,
    sdpa_flops,
)
from implementations.attention.workload import FORWARD, AttentionInputs, Sizes

CPU_SCRATCH_BYTES = 7 << 18  # tiles of two CPU threads; a GPU keeps its tiles on chip


def _memory(params: Params) -> int:
    """What every fused kernel takes, and on the CPU scratch, K and V packed in half precision, and gathered rows."""
    sizes = Sizes.of(params)
    packed = 0 if sizes.item == 4 else 2 * sizes.batch * sizes.heads * sizes.keys * sizes.head_dim * sizes.item
    gathered = 0 if sizes.passes == FORWARD else 2 * sizes.out
    return fused_memory(params) + packed + gathered + CPU_SCRATCH_BYTES + mask_bytes(params)


def _unsupported(params: Params, device: str) -> str:
    sizes = Sizes.of(params)
    if sizes.head_dim != sizes.v_dim:
        return "torch's flash kernels take one head_dim for Q, K and V"
    if device != "cuda":
        return no_tf32(params, device)
    if sizes.head_dim > 256:
        return "FlashAttention takes a head_dim of at most 256"
    return half_only(params, "FlashAttention on CUDA") or no_window(params, "torch's flash kernel on CUDA")


@implementation(
    "attention",
    requires=Requires(capability=(8, 0), memory=_memory, unsupported=_unsupported),
    executes="_flash_attention",
    hardware_flops=sdpa_flops,
)
def sdpa_flash(x: AttentionInputs) -> Step:
    """The FlashAttention that comes with torch: FlashAttention-2 on CUDA, a tiled C++ kernel on the CPU."""
    from torch.nn.attention import SDPBackend

    return forced(x, SDPBackend.FLASH_ATTENTION)
