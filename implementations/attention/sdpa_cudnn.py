"""The cuDNN backend of torch's attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import Params, Requires, Step, implementation
from implementations.attention._common import forced, fused_memory

if TYPE_CHECKING:
    from implementations.attention.workload import AttentionInputs


def _unsupported(params: Params, device: str) -> str:
    head_dim = int(params["head_dim"])
    if params["dtype"] == "fp32":
        return "cuDNN attention has no fp32"
    if head_dim % 8 or head_dim > 128:
        return "cuDNN attention takes a head_dim that is a multiple of 8 and at most 128"
    return "cuDNN attention takes no sequence of length 1" if int(params["seq"]) == 1 else ""


@implementation(
    "attention",
    requires=Requires(device="cuda", capability=(8, 0), memory=fused_memory, unsupported=_unsupported),
    executes="_cudnn_attention",
)
def sdpa_cudnn(x: AttentionInputs) -> Step:
    """The fused attention of cuDNN, called through torch; fp16 and bf16 only."""
    from torch.nn.attention import SDPBackend

    return forced(x, SDPBackend.CUDNN_ATTENTION)
