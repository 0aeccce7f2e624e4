"""The right answer in float64, and how far from it plain attention in the working dtype lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from harness import Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from implementations.attention.workload import AttentionInputs

BLOCK_BYTES = 4 << 20  # one float64 block of scores; a few of that size are alive at once
# FlashAttention's tests allow so many times the error of the plain version, and this much on top.
FORWARD_FACTOR, GRADIENT_FACTOR, SLACK = 2, 3, 1e-5


@dataclass(frozen=True)
class Arithmetic:
    """How numbers are held: products are summed in ``wide``, as matrix units do.

    Attributes:
        kept: rounds what is written to memory.
        factor: rounds what enters a product.
    """

    wide: torch.dtype
    kept: Callable[[Tensor], Tensor] = lambda tensor: tensor
    factor: Callable[[Tensor], Tensor] = lambda tensor: tensor


def plain(dtype: str) -> Arithmetic:
    """Return the arithmetic of textbook attention in a dtype, whose every matrix is written to memory."""
    if dtype == "tf32":
        return Arithmetic(torch.float32, factor=to_tf32)
    held = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(dtype, torch.float32)
    return Arithmetic(torch.float32, kept=lambda tensor: tensor.to(held).float())


def to_tf32(tensor: Tensor) -> Tensor:
    """Round float32 to the ten bits of mantissa of TF32, to nearest, halves away from zero."""
    return (tensor.view(torch.int32) + (1 << 12) & -(1 << 13)).view(torch.float32)


def reference(inputs: AttentionInputs) -> Reference:
    """Return the float64 answer, and as bounds the errors of plain attention in the working dtype.

    The rule is that of FlashAttention's tests: at most twice the error of the plain version for the output, three
    times for gradients, and 1e-5. It needs no constant per dtype or shape. Both versions go by blocks of query
    rows, so that no matrix of all scores exists.
    """
    exact, close = answer(inputs, Arithmetic(torch.float64)), answer(inputs, plain(inputs.dtype))
    bounds = {
        name: (GRADIENT_FACTOR if name.startswith("d") else FORWARD_FACTOR)
        * (close[name].double() - truth).masked_fill_(close[name] == truth, 0.0).abs_().max().item()
        + SLACK
        for name, truth in exact.items()
    }
    dtype = inputs.q.dtype
    kinds = {}
    if inputs.passes != "backward":
        kinds[""] = Reference(exact["out"], dtype, bounds["out"])
    if inputs.passes == "forward":
        kinds["lse"] = Reference(exact["lse"], torch.float32, bounds["lse"], optional=True)
    else:
        gradients = {name: exact[name] for name in ("dq", "dk", "dv")}
        kinds["grad"] = Reference(gradients, dtype, bounds)
    return Reference(kinds)


def answer(x: AttentionInputs, arithmetic: Arithmetic) -> dict[str, Tensor]:
    """Return ``out``, ``lse`` and, where a gradient of O is given, ``dq``, ``dk`` and ``dv``."""
    like = {"out": x.q[..., :1].expand(*x.q.shape[:3], x.v.shape[-1]), "lse": x.q[..., 0]}
    like |= {"dq": x.q, "dk": x.k, "dv": x.v} if x.grad is not None else {}
    found = {name: torch.zeros(tensor.shape, dtype=arithmetic.wide, device=x.q.device) for name, tensor in like.items()}
    group = x.q.shape[1] // x.k.shape[1]
    for sequence in range(x.q.shape[0]):
        for head in range(x.q.shape[1]):
            shared = (sequence, head // group)
            own = {name: tensor[shared if name in ("dk", "dv") else (sequence, head)] for name, tensor in found.items()}
            _one_head(x, (sequence, head), shared, own, arithmetic)
    rounded = ("dk", "dv") if group > 1 else ()
    return {name: arithmetic.kept(tensor) if name in rounded else tensor for name, tensor in found.items()}


def _one_head(
    x: AttentionInputs, head: tuple[int, int], shared: tuple[int, int], found: dict[str, Tensor], a: Arithmetic
) -> None:
    """Fill in the answer of one head; the gradients of K and V are added to those of heads that share them."""
    q, k, v = (a.factor(tensor.to(a.wide)) for tensor in (x.q[head], x.k[shared], x.v[shared]))
    grad = None if x.grad is None else a.factor(x.grad[head].to(a.wide))
    dk, dv = torch.zeros_like(k), torch.zeros_like(v)
    for rows, seen in _blocks(x):
        scores = a.kept(a.kept(q[rows] @ k[seen].mT).mul_(x.scale))
        hidden = x.mask.hidden(range(rows.start, rows.stop), range(seen.start, seen.stop), q.device)
        if hidden is not None:
            scores.masked_fill_(hidden, -torch.inf)
        weights, found["lse"][rows] = _softmax(scores)
        weights = a.factor(a.kept(weights))
        found["out"][rows] = a.kept(weights @ v[seen])
        if grad is not None:
            upstream = a.kept(grad[rows] @ v[seen].mT)
            through = (weights * upstream).sum(-1, keepdim=True)
            downstream = a.factor(a.kept(a.kept(upstream.sub_(through).mul_(weights)).mul_(x.scale)))
            found["dq"][rows] = a.kept(downstream @ k[seen])
            dk[seen] += downstream.mT @ q[rows]
            dv[seen] += weights.mT @ grad[rows]
    if grad is not None:
        found["dk"] += a.kept(dk)
        found["dv"] += a.kept(dv)


def _softmax(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Turn scores into weights in place, and return these and the log-sum-exp: 0 and -inf for rows of -inf alone."""
    if not scores.shape[-1]:
        return scores, torch.full_like(scores[:, :0].sum(-1), -torch.inf)
    highest = scores.amax(-1, keepdim=True).clamp_(min=torch.finfo(scores.dtype).min)
    total = scores.sub_(highest).exp_().sum(-1, keepdim=True)
    return scores.div_(total.clamp(min=torch.finfo(scores.dtype).tiny)), (highest + total.log()).squeeze(-1)


def _blocks(x: AttentionInputs) -> Iterator[tuple[slice, slice]]:
    """Yield blocks of query rows, each with the keys that any of them sees."""
    size = max(1, BLOCK_BYTES // (8 * x.mask.keys))
    for start in range(0, x.mask.queries, size):
        stop = min(start + size, x.mask.queries)
        yield slice(start, stop), slice(x.mask.span(start)[0], x.mask.span(stop - 1)[1])
