"""The math backend of torch's attention."""

from __future__ import annotations

from harness import Params, Requires, Step, implementation
from implementations.attention._common import forced, mask_bytes, matrix_flops, no_tf32
from implementations.attention.workload import FORWARD, AttentionInputs, Sizes, output_bytes


def _memory(params: Params) -> int:
    """In float32: scores, probabilities, a byte for each to find empty rows, scaled Q, the mask, Q, K and V."""
    sizes = Sizes.of(params)
    matrices = 9 if sizes.passes == FORWARD else 13
    widened = (sizes.qkv + sizes.out) * 4 // sizes.item if sizes.item < 4 else output_bytes(params)
    mask = 0 if sizes.mask.full else 4 * sizes.queries * sizes.keys
    return sizes.scores * matrices + widened + mask + mask_bytes(params)


@implementation(
    "attention",
    requires=Requires(memory=_memory, unsupported=no_tf32),
    executes="_attention_math|Softmax",
    hardware_flops=matrix_flops,
)
def sdpa_math(x: AttentionInputs) -> Step:
    """The matrix products and softmax that torch falls back to, in float32 whatever the dtype."""
    from torch.nn.attention import SDPBackend

    return forced(x, SDPBackend.MATH)
