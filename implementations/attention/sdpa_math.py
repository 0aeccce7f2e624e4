"""The math backend of torch's attention."""

from __future__ import annotations

from harness import Params, Requires, Step, implementation
from implementations.attention._common import forced
from implementations.attention.workload import ITEM_BYTES, AttentionInputs, score_bytes, tensor_bytes


def _memory(params: Params) -> int:
    """In float32: scores, probabilities, a byte for each to find empty rows, scaled Q, the mask, Q, K and V."""
    item = ITEM_BYTES[str(params["dtype"])]
    scores, tensor = (size(params) * 4 // item for size in (score_bytes, tensor_bytes))
    mask = 4 * int(params["seq"]) ** 2 if params["causal"] else 0
    return scores * 9 // 4 + tensor * (1 if item == 4 else 4) + mask


@implementation("attention", requires=Requires(memory=_memory), executes="_attention_math")
def sdpa_math(x: AttentionInputs) -> Step:
    """The matrix products and softmax that torch falls back to, in float32 whatever the dtype."""
    from torch.nn.attention import SDPBackend

    return forced(x, SDPBackend.MATH)
