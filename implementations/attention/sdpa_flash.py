"""The flash backend of torch's attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import Params, Requires, Step, implementation
from implementations.attention._common import forced, fused_memory
from implementations.attention.workload import tensor_bytes

if TYPE_CHECKING:
    from implementations.attention.workload import AttentionInputs

CPU_SCRATCH_BYTES = 7 << 18  # tiles of two CPU threads; a GPU keeps its tiles on chip


def _memory(params: Params) -> int:
    """What every fused kernel takes, the CPU's scratch, and K and V packed, as CPUs with AMX do in half precision."""
    packed = 0 if params["dtype"] == "fp32" else 2 * tensor_bytes(params)
    return fused_memory(params) + packed + CPU_SCRATCH_BYTES


def _unsupported(params: Params, device: str) -> str:
    if device != "cuda":
        return ""
    if params["dtype"] == "fp32":
        return "FlashAttention on CUDA has no fp32"
    return "FlashAttention takes a head_dim of at most 256" if int(params["head_dim"]) > 256 else ""


@implementation(
    "attention",
    requires=Requires(capability=(8, 0), memory=_memory, unsupported=_unsupported),
    executes="_flash_attention",
)
def sdpa_flash(x: AttentionInputs) -> Step:
    """The FlashAttention that comes with torch: FlashAttention-2 on CUDA, a tiled C++ kernel on the CPU."""
    from torch.nn.attention import SDPBackend

    return forced(x, SDPBackend.FLASH_ATTENTION)
