"""The memory-efficient backend of torch's attention."""

from __future__ import annotations

from harness import Params, Requires, Step, implementation
from implementations.attention._common import forced, fused_memory
from implementations.attention.workload import ITEM_BYTES, AttentionInputs


def _unsupported(params: Params, device: str) -> str:
    multiple = 16 // ITEM_BYTES[str(params["dtype"])]  # its loads are 16 bytes wide
    if int(params["head_dim"]) % multiple:
        return f"memory-efficient attention takes a head_dim that is a multiple of {multiple} in {params['dtype']}"
    return ""


@implementation(
    "attention",
    requires=Requires(device="cuda", memory=fused_memory, unsupported=_unsupported),
    executes="_efficient_attention",
)
def sdpa_efficient(x: AttentionInputs) -> Step:
    """The memory-efficient attention that comes with torch, a CUTLASS kernel from xFormers (Rabe and Staats 2021)."""
    from torch.nn.attention import SDPBackend

    return forced(x, SDPBackend.EFFICIENT_ATTENTION)
