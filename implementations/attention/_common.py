"""What implementations share: steps by autograd, tf32, torch's backends, and reasons why a point cannot be done."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, TypeVar

import torch

from implementations.attention.workload import BACKWARD, FORWARD, Sizes, output_bytes

T = TypeVar("T")

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from torch.nn.attention import SDPBackend

    from harness import Params, Step
    from implementations.attention.workload import AttentionInputs

    Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


def by_autograd(x: AttentionInputs, attend: Attend) -> Step:
    """Return the step of the pass that is asked for, of a method which autograd can differentiate.

    A backward step times the backward pass alone: the graph of the forward pass is made in set-up and kept.
    """
    if x.passes == FORWARD:
        return in_precision(x, lambda: attend(x.q, x.k, x.v))
    # Detached tensors share memory and version with the inputs, which themselves need no gradients.
    leaves = tuple(tensor.detach().requires_grad_() for tensor in (x.q, x.k, x.v))

    def forward() -> Tensor:
        return attend(*leaves)

    def both() -> tuple[Tensor, ...]:
        out = forward()
        return (out.detach(), *torch.autograd.grad(out, leaves, x.grad))

    if x.passes != BACKWARD:
        return in_precision(x, both)
    out = kept(x, in_precision(x, forward))

    def backward() -> tuple[Tensor, ...]:
        return torch.autograd.grad(out(), leaves, x.grad, retain_graph=True)

    return in_precision(x, backward)


def kept(x: AttentionInputs, forward: Callable[[], T]) -> Callable[[], T]:
    """Run a forward pass, and return a function that gives what it left to the backward pass, as it is of these inputs.

    What is left is of the inputs as they were, and the harness writes other inputs over them before its last check.
    Each in-place write raises a tensor's version; where that is another than at the forward pass, that is run again.
    While a step is timed nothing is written, so that it never is.
    """

    def versions() -> list[int]:
        return [tensor._version for tensor in (x.q, x.k, x.v)]

    found, made_from = forward(), versions()

    def current() -> T:
        nonlocal found, made_from
        if made_from != versions():
            found, made_from = forward(), versions()
        return found

    return current


def in_precision(x: AttentionInputs, step: Step) -> Step:
    """Let the products of a step be in tf32 where that is the dtype.

    The precision of float32 products is a process-wide setting, which set-up must not leave behind: each step sets it
    and sets it back, for 0.3 us.
    """
    if x.dtype != "tf32":
        return step

    @wraps(step)
    def in_tf32() -> Tensor:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")
        try:
            return step()
        finally:
            torch.set_float32_matmul_precision(before)

    return in_tf32


def forced(x: AttentionInputs, backend: SDPBackend) -> Step:
    """Return a step of torch's scaled_dot_product_attention that may use this backend and no other.

    Its causal mask is aligned top left. Any other mask is a matrix of booleans.
    """
    from torch.nn.attention import sdpa_kernel

    attention, scale, mask = torch.nn.functional.scaled_dot_product_attention, x.scale, x.mask
    is_causal = mask.causal and not mask.offset and not mask.window
    hidden = None if is_causal else mask.hidden(range(mask.queries), range(mask.keys), x.q.device)
    seen = None if hidden is None else ~hidden
    shared = x.q.shape[1] != x.k.shape[1]

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attention(q, k, v, attn_mask=seen, is_causal=is_causal, scale=scale, enable_gqa=shared)

    # The backend is a process-wide flag, which set-up must not leave behind, so that each step sets it and sets it
    # back. That is 8 us of host time: hidden behind a GPU kernel, and under 1 % of a CPU step from seq 512.
    with sdpa_kernel(backend):
        step = by_autograd(x, attend)
    return sdpa_kernel(backend)(step)


def by_layout(x: AttentionInputs, attend: Attend) -> Step:
    """Return the step of a method that takes (batch, length, heads, features), as the flash-attn packages do.

    They take any strides, so that nothing is copied.
    """
    return by_autograd(x, lambda q, k, v: attend(*(tensor.transpose(1, 2) for tensor in (q, k, v))).transpose(1, 2))


def fused_memory(params: Params) -> int:
    """What a step returns, and what is kept between the passes: O, one float32 log-sum-exp a row, and as much again."""
    sizes = Sizes.of(params)
    kept = 0 if sizes.passes == FORWARD else sizes.lse + (sizes.out if sizes.passes == BACKWARD else 0)
    return output_bytes(params) + sizes.lse + kept


def matrix_memory(params: Params) -> int:
    """Scores and probabilities at once, and backward three such matrices; what is returned; the mask."""
    sizes = Sizes.of(params)
    matrices = 2 if sizes.passes == FORWARD else 3
    mask = 0 if sizes.mask.full else sizes.queries * sizes.keys
    return matrices * sizes.scores * sizes.item + mask + output_bytes(params)


def tiled_memory(params: Params, query_block: int, key_block: int) -> int:
    """O and L, the masks, and in float32 a tile of scores, a block of Q and of O, and two each of K and V."""
    sizes = Sizes.of(params)
    rows, columns = min(query_block, sizes.queries), min(key_block, sizes.keys)
    masks = 0 if sizes.mask.full else 2 * rows * columns
    widened = 0 if sizes.item == 4 else 2 * columns * (sizes.head_dim + sizes.v_dim) * sizes.kv_heads // sizes.heads
    statistics = 6 * rows
    block = rows * columns + rows * (sizes.head_dim + sizes.v_dim) + widened + statistics
    return output_bytes(params) + sizes.lse + masks + 4 * sizes.batch * sizes.heads * block


def matrix_flops(params: Params) -> float:
    """What is carried out by who computes every score, hidden or not, and keeps the probabilities."""
    sizes = Sizes.of(params)
    return _carried_out(sizes, sizes.queries * sizes.keys, sweeps=0)


def fused_flops(params: Params, sweeps: int = 1) -> float:
    """What is carried out by who keeps no scores, and computes them once more in each sweep of the backward pass.

    FlashAttention's papers count this: with one sweep, the backward pass is 2.5 times the forward one. Of tiles that
    the mask cuts through, only the pairs that are seen are counted.
    """
    sizes = Sizes.of(params)
    return _carried_out(sizes, sizes.mask.pairs, sweeps)


def sdpa_flops(params: Params) -> float:
    """The same of torch's fused kernels, which visit every pair where the mask is a matrix to them."""
    sizes = Sizes.of(params)
    pairs = sizes.queries * sizes.keys if mask_bytes(params) else sizes.mask.pairs
    return _carried_out(sizes, pairs, sweeps=1)


def _carried_out(sizes: Sizes, pairs: int, sweeps: int) -> float:
    """Count S and O forward; backward dV, dP, dQ and dK, S again in every sweep, and dP in every one but the first."""
    qk, pv = 2 * sizes.head_dim, 2 * sizes.v_dim
    forward = qk + pv
    backward = 2 * forward + sweeps * qk + max(0, sweeps - 1) * pv
    each = {FORWARD: forward, BACKWARD: backward}.get(sizes.passes, forward + backward)
    return float(sizes.batch * sizes.heads * pairs * each)


def mask_bytes(params: Params) -> int:
    """The mask that torch's attention needs where a causal one that is aligned top left will not do."""
    mask = Sizes.of(params).mask
    plain = mask.full or (mask.causal and not mask.offset and not mask.window)
    return 0 if plain else mask.queries * mask.keys


def forward_only(params: Params) -> str:
    """Why there are no gradients."""
    return "" if params["pass"] == FORWARD else "only the forward pass is written"


def no_tf32(params: Params, device: str) -> str:
    """Why there is no tf32 on this device."""
    return "tf32 is a format of CUDA's tensor cores" if params["dtype"] == "tf32" and device != "cuda" else ""


def forward_without_tf32(params: Params, device: str) -> str:
    """Why a method in plain torch, of which only the forward pass is written, cannot do a point."""
    return no_tf32(params, device) or forward_only(params)


def half_only(params: Params, name: str) -> str:
    """Why a kernel takes no float32."""
    return f"{name} has no {params['dtype']}" if params["dtype"] in ("fp32", "tf32") else ""


def no_window(params: Params, name: str) -> str:
    """Why a kernel takes a causal mask of a square and no other."""
    mask = Sizes.of(params).mask
    plain = mask.full or (mask.causal and not mask.window and mask.queries == mask.keys)
    return "" if plain else f"{name} takes no mask but a causal one with as many queries as keys"


def aligned_bottom_right(params: Params, name: str) -> str:
    """Why a kernel takes no mask that is aligned top left."""
    mask = Sizes.of(params).mask
    other = not mask.full and mask.offset != mask.keys - mask.queries
    return f"{name} aligns its masks bottom right" if other else ""
