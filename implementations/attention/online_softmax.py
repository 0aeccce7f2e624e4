"""FlashAttention-2's forward pass written out in plain torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Params, Requires, Step, implementation
from implementations.attention.workload import AttentionInputs, tensor_bytes

if TYPE_CHECKING:
    from torch import Tensor

# Among the fastest of 64 to 512 by 128 to 1024 on one and two CPU cores, in float32 and bfloat16. The first must
# divide the second: then the causal diagonal crosses only the last key block of each query block.
QUERY_BLOCK, KEY_BLOCK = 256, 512


def _memory(params: Params) -> int:
    """The output, the masks, and in float32 a tile of scores, a block of Q and of O, and two each of K and V."""
    heads, seq, head_dim = int(params["batch"]) * int(params["heads"]), int(params["seq"]), int(params["head_dim"])
    rows, columns = min(QUERY_BLOCK, seq), min(KEY_BLOCK, seq)
    masks = KEY_BLOCK // QUERY_BLOCK * rows * columns if params["causal"] else 0
    widened = 0 if params["dtype"] == "fp32" else 2 * 2 * columns * head_dim
    statistics = 4 * rows
    block = 4 * heads * (rows * columns + 2 * rows * head_dim + widened + statistics)
    return tensor_bytes(params) + masks + block


@implementation("attention", requires=Requires(memory=_memory))
def online_softmax(x: AttentionInputs) -> Step:
    """One pass over the keys by tiles, with a running maximum and sum per query row, in plain torch.

    FlashAttention-2 (Dao 2023, algorithm 1): with m, l and O in float32, for each block of keys
    m' = max(m, max S), c = exp(m - m'), l' = c l + sum exp(S - m'), O' = c O + exp(S - m') V; at the end O / l.
    The products are float32 too: in fp16 or bf16 they would round S, which FlashAttention does not.
    """
    q, k, v = (tensor.flatten(0, 1) for tensor in (x.q, x.k, x.v))
    scale, seq = x.scale, q.shape[1]
    out = torch.empty_like(q)
    tile = torch.empty(q.shape[0], min(QUERY_BLOCK, seq), min(KEY_BLOCK, seq), device=q.device)
    hidden = {
        ahead: torch.ones(tile.shape[1:], dtype=torch.bool, device=q.device).triu_(ahead + 1)
        for ahead in range(0, KEY_BLOCK if x.causal else 0, QUERY_BLOCK)
    }

    def attend(start: int) -> Tensor:
        queries = q[:, start : start + QUERY_BLOCK].float() * scale
        rows = queries.shape[1]
        sums = torch.zeros_like(queries)
        total = torch.zeros_like(sums[..., :1])
        highest = torch.full_like(total, -torch.inf)
        for first in range(0, start + rows if x.causal else seq, KEY_BLOCK):
            keys, values = (tensor[:, first : first + KEY_BLOCK].float() for tensor in (k, v))
            scores = torch.bmm(queries, keys.mT, out=tile[:, :rows, : keys.shape[1]])
            if x.causal and first + KEY_BLOCK > start:
                scores.masked_fill_(hidden[start - first][:rows, : keys.shape[1]], -torch.inf)
            previous, highest = highest, torch.maximum(highest, scores.amax(-1, keepdim=True))
            rescale = torch.exp(previous - highest)
            weights = scores.sub_(highest).exp_()
            total.mul_(rescale).add_(weights.sum(-1, keepdim=True))
            sums.mul_(rescale).baddbmm_(weights, values)
        return sums.div_(total)

    def step() -> Tensor:
        for start in range(0, seq, QUERY_BLOCK):
            out[:, start : start + QUERY_BLOCK] = attend(start)
        return out.view(x.q.shape)

    return step
