"""FlashAttention-2's backward pass written out in plain torch, as a function that autograd can call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from harness import Params, Requires, Step, implementation
from implementations.attention._common import by_autograd, fused_flops, no_tf32
from implementations.attention.workload import FORWARD, AttentionInputs, Sizes

if TYPE_CHECKING:
    from torch import Tensor

    from implementations.attention._mask import Blocks

QUERY_BLOCK, KEY_BLOCK = 256, 512


def _memory(params: Params) -> int:
    """O and L, the masks, and in float32 two tiles, or three and the gradients, with their rows of Q, K, V and O."""
    sizes = Sizes.of(params)
    rows, columns = min(QUERY_BLOCK, sizes.queries), min(KEY_BLOCK, sizes.keys)
    tiles, gradients = (2, 0) if sizes.passes == FORWARD else (3, 4 * sizes.qkv // sizes.item)
    masks = 0 if sizes.mask.full else 2 * rows * columns
    features = sizes.head_dim + sizes.v_dim
    widened = 0 if sizes.item == 4 else (rows + columns * sizes.kv_heads // sizes.heads) * features
    block = tiles * rows * columns + rows * features + widened
    return sizes.out + 2 * sizes.lse + gradients + masks + 4 * sizes.batch * sizes.heads * block


@implementation("attention", requires=Requires(memory=_memory, unsupported=no_tf32), hardware_flops=fused_flops)
def recompute_backward(x: AttentionInputs) -> Step:
    """Forward by online softmax, and a backward pass by tiles that computes the probabilities anew from L.

    FlashAttention-2 (Dao 2023, algorithms 1 and 2). Forward keeps O and L = m + ln l alone. Backward, with
    D = rowsum(dO * O): P = exp(S - L), dV += P^T dO, dP = dO V^T, dS = P * (dP - D), dQ += scale dS K,
    dK += scale dS^T Q: five products against the two of the forward pass. All sums are float32. Heads that share keys
    are rows of one product, which adds their gradients up.
    """
    group = x.q.shape[1] // x.k.shape[1]
    tiles, scale = x.mask.tiles(QUERY_BLOCK, KEY_BLOCK, x.q.device), x.scale

    def folded(tensor: Tensor) -> Tensor:
        """See (batch, heads, queries, n) as (batch * kv_heads, heads / kv_heads, queries, n)."""
        return tensor.reshape(-1, group, *tensor.shape[2:])

    class Attention(torch.autograd.Function):
        """Attention that keeps Q, K, V, O and L for its backward pass."""

        @staticmethod
        def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            out = q.new_empty(*q.shape[:3], v.shape[-1])
            lse = q.new_empty(*q.shape[:3], 1, dtype=torch.float32)
            for rows, blocks in tiles:
                queries = (folded(q)[:, :, rows].float() * scale).flatten(1, 2)
                found = _attend(queries, k.flatten(0, 1), v.flatten(0, 1), blocks, group)
                folded(out)[:, :, rows], folded(lse)[:, :, rows] = (one.unflatten(1, (group, -1)) for one in found)
            ctx.save_for_backward(q, k, v, out, lse)
            return out

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
            q, k, v, out, lse = ctx.saved_tensors
            dq, dk, dv = (torch.zeros_like(tensor, dtype=torch.float32) for tensor in (q, k, v))
            for rows, blocks in tiles:
                own = (folded(tensor)[:, :, rows].float().flatten(1, 2) for tensor in (q, out, grad, lse))
                queries, outs, upstream, level = own
                queries = queries * scale
                through = (upstream * outs).sum(-1, keepdim=True)
                found = torch.zeros_like(queries)
                for seen, hidden in blocks:
                    keys, values = k.flatten(0, 1)[:, seen].float(), v.flatten(0, 1)[:, seen].float()
                    weights = _scored(queries, keys, hidden, group).sub_(level).exp_()
                    dv.flatten(0, 1)[:, seen].baddbmm_(weights.mT, upstream)
                    scores = torch.bmm(upstream, values.mT).sub_(through).mul_(weights)
                    dk.flatten(0, 1)[:, seen].baddbmm_(scores.mT, queries)
                    found.baddbmm_(scores, keys)
                folded(dq)[:, :, rows] = found.mul_(scale).unflatten(1, (group, -1))
            return dq.to(q.dtype), dk.to(k.dtype), dv.to(v.dtype)

    return by_autograd(x, Attention.apply)


def _scored(queries: Tensor, keys: Tensor, hidden: Tensor | None, group: int) -> Tensor:
    scores = torch.bmm(queries, keys.mT)
    if hidden is not None:
        scores.unflatten(1, (group, -1)).masked_fill_(hidden, -torch.inf)
    return scores


def _attend(queries: Tensor, k: Tensor, v: Tensor, blocks: Blocks, group: int) -> tuple[Tensor, Tensor]:
    """Return O and L of a block of queries."""
    sums = queries.new_zeros(*queries.shape[:2], v.shape[-1])
    total = torch.zeros_like(sums[..., :1])
    highest = torch.full_like(total, torch.finfo(torch.float32).min)  # not -inf, as in online_softmax
    for seen, hidden in blocks:
        scores = _scored(queries, k[:, seen].float(), hidden, group)
        previous, highest = highest, torch.maximum(highest, scores.amax(-1, keepdim=True))
        rescale = torch.exp(previous - highest)
        weights = scores.sub_(highest).exp_()
        total.mul_(rescale).add_(weights.sum(-1, keepdim=True))
        sums.mul_(rescale).baddbmm_(weights, v[:, seen].float())
    total.clamp_(min=torch.finfo(torch.float32).tiny)
    return sums.div_(total), highest + total.log()
