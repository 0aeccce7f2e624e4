"""The cuDNN backend of torch's attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import Params, Requires, Step, implementation
from implementations.attention._common import forced, fused_memory, half_only, no_window, sdpa_flops
from implementations.attention.workload import Sizes

if TYPE_CHECKING:
    from implementations.attention.workload import AttentionInputs


def _unsupported(params: Params, device: str) -> str:
    sizes = Sizes.of(params)
    if any(features % 8 or features > 128 for features in (sizes.head_dim, sizes.v_dim)):
        return "cuDNN attention takes a head_dim that is a multiple of 8 and at most 128"
    if sizes.keys == 1:
        return "cuDNN attention takes no sequence of length 1"
    return half_only(params, "cuDNN attention") or no_window(params, "cuDNN attention through torch")


@implementation(
    "attention",
    requires=Requires(device="cuda", capability=(8, 0), memory=fused_memory, unsupported=_unsupported),
    hardware_flops=sdpa_flops,
    executes="_cudnn_attention",
)
def sdpa_cudnn(x: AttentionInputs) -> Step:
    """The fused attention of cuDNN, called through torch; fp16 and bf16 only."""
    from torch.nn.attention import SDPBackend

    return forced(x, SDPBackend.CUDNN_ATTENTION)
