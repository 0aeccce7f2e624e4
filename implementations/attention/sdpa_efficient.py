"""The memory-efficient backend of torch's attention."""

from __future__ import annotations

from harness import Params, Requires, Step, implementation
from implementations.attention._common import forced, fused_memory, mask_bytes, sdpa_flops
from implementations.attention.workload import AttentionInputs, Sizes


def _memory(params: Params) -> int:
    """What every fused kernel takes, and a mask that torch widens to the working dtype."""
    return fused_memory(params) + mask_bytes(params) * (1 + Sizes.of(params).item)


def _unsupported(params: Params, device: str) -> str:
    sizes = Sizes.of(params)
    multiple = 16 // sizes.item  # its loads are 16 bytes wide
    if sizes.head_dim % multiple or sizes.v_dim % multiple:
        return f"memory-efficient attention takes a head_dim that is a multiple of {multiple} in {params['dtype']}"
    return ""


@implementation(
    "attention",
    requires=Requires(device="cuda", memory=_memory, unsupported=_unsupported),
    executes="_efficient_attention",
    hardware_flops=sdpa_flops,
)
def sdpa_efficient(x: AttentionInputs) -> Step:
    """The memory-efficient attention that comes with torch, a CUTLASS kernel from xFormers (Rabe and Staats 2021)."""
    from torch.nn.attention import SDPBackend

    return forced(x, SDPBackend.EFFICIENT_ATTENTION)
