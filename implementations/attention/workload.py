"""Attention, forward only: O = softmax(scale * Q K^T) V with scale = head_dim ** -0.5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from harness import Axis, Cost, Params, Reference, Workload

if TYPE_CHECKING:
    from torch import Tensor

ITEM_BYTES = {"fp32": 4, "fp16": 2, "bf16": 2}
REFERENCE_BLOCK_BYTES = 4 << 20  # one float64 block of scores; up to four blocks of that size are alive at once


@dataclass(frozen=True)
class AttentionInputs:
    """One question: three contiguous tensors of shape (batch, heads, seq, head_dim), and whether to mask.

    Attributes:
        causal: query i sees keys 0 to i and no others.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    causal: bool

    @property
    def scale(self) -> float:
        """The factor on the scores, head_dim ** -0.5."""
        return float(self.q.shape[-1] ** -0.5)


def tensor_bytes(params: Params) -> int:
    """Return the size of one of Q, K, V and O."""
    elements = int(params["batch"]) * int(params["heads"]) * int(params["seq"]) * int(params["head_dim"])
    return elements * ITEM_BYTES[str(params["dtype"])]


def score_bytes(params: Params) -> int:
    """Return the size of one matrix of scores for every head, in the working dtype."""
    return tensor_bytes(params) // int(params["head_dim"]) * int(params["seq"])


def make_inputs(params: Params, device: str, generator: torch.Generator) -> AttentionInputs:
    """Draw Q, K and V from the standard normal distribution in float32 and round them to the dtype."""
    dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[str(params["dtype"])]
    shape = [int(params[axis]) for axis in ("batch", "heads", "seq", "head_dim")]
    q, k, v = (torch.randn(shape, generator=generator).to(dtype).to(device) for _ in range(3))
    return AttentionInputs(q, k, v, bool(params["causal"]))


def cost(params: Params) -> Cost:
    """Count two products of 2 * head_dim operations for each (query, key) pair that is not masked.

    Causal pairs are counted exactly, seq (seq + 1) / 2: half of seq ** 2 understates them by 1 / seq.
    """
    seq = int(params["seq"])
    pairs = seq * (seq + 1) // 2 if params["causal"] else seq * seq
    flops = 4 * int(params["batch"]) * int(params["heads"]) * pairs * int(params["head_dim"])
    return Cost(flops=flops, bytes=4 * tensor_bytes(params))


def reference(inputs: AttentionInputs) -> Reference:
    """Return the float64 answer, with twice the error of plain attention in the working dtype as tolerance.

    The rule is that of FlashAttention's tests: at most 2 * (error of the plain version) + 1e-5. It needs no
    constant per dtype or shape. Both versions go by blocks of query rows, so that no seq * seq matrix exists.
    """
    q, k, v = (tensor.flatten(0, 1) for tensor in (inputs.q, inputs.k, inputs.v))
    truth = torch.empty_like(q, dtype=torch.float64)
    rows = max(1, REFERENCE_BLOCK_BYTES // (8 * q.shape[1]))
    plain_error = 0.0
    for head in range(q.shape[0]):
        exact, single = (
            AttentionInputs(q[head].to(wide), k[head].to(wide), v[head].to(wide), inputs.causal)
            for wide in (torch.float64, torch.float32)
        )
        for start in range(0, q.shape[1], rows):
            block = truth[head, start : start + rows]
            block.copy_(_attend(exact, start, rows, torch.float64))
            error = _attend(single, start, rows, q.dtype).double().sub_(block).abs_().max().item()
            plain_error = max(plain_error, error)
    return Reference(truth.view(inputs.q.shape), inputs.q.dtype, 2 * plain_error + 1e-5)


def _attend(head: AttentionInputs, start: int, rows: int, dtype: torch.dtype) -> Tensor:
    """Attend from a block of query rows, rounding the scores, the probabilities and the output to ``dtype``.

    The products are summed in the dtype of the inputs, wider than ``dtype``, as matrix units do.
    """
    seen = slice(start + rows if head.causal else None)
    scores = (head.q[start : start + rows] @ head.k[seen].mT).to(dtype).mul_(head.scale)
    if head.causal:
        hidden = torch.ones(scores.shape, dtype=torch.bool, device=scores.device).triu_(start + 1)
        scores.masked_fill_(hidden, -torch.inf)
    return (torch.softmax(scores, dim=-1).to(head.v.dtype) @ head.v[seen]).to(dtype)


workload = Workload(
    name="attention",
    help="Scaled dot-product attention, forward: softmax(scale * Q K^T) V.",
    axes=(
        Axis.integer("seq", 4096, "number of queries and of keys"),
        Axis.integer("batch", 1, "sequences in a batch"),
        Axis.integer("heads", 8, "attention heads"),
        Axis.integer("head_dim", 64, "features per head"),
        Axis.boolean("causal", False, "let query i see keys 0 to i only"),
        Axis.choice("dtype", tuple(ITEM_BYTES), "bf16", "dtype of Q, K, V and the output"),
    ),
    make_inputs=make_inputs,
    reference=reference,
    baseline="naive",
    cost=cost,
    input_bytes=lambda params: 3 * tensor_bytes(params),
)
