"""FlashAttention-2's backward pass as Triton kernels: one for dK and dV, one for dQ, and one that prepares them.

Dao 2023, algorithm 2: with P = exp(S - L), L the log-sum-exp of the forward pass, and D = rowsum(dO * O),
dV = P^T dO, dS = P * (dO V^T - D), dQ = scale * dS K, dK = scale * dS^T Q. Where the paper adds to dQ atomically from
every block of keys, dQ has a kernel of its own here, which computes S and dP once more and gives the same bits every
time.
"""

# ruff: noqa: N803 -- constants of the compilation in capitals, as in Triton's own kernels
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import triton
import triton.language as tl

from harness import Kernel
from implementations.attention._flash_problem import Config, Problem, tile
from implementations.attention._flash_tiles import is_visible, load_tile, store_tile, visible_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

DELTA = Config(64, 1, 4, 1)


@triton.jit
def flash_delta(
    out_ptr, grad_ptr, delta_ptr, seq_q,
    V_DIM: tl.constexpr, V_TILE: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Write D = rowsum(dO * O), which is what the softmax's derivative subtracts from dP."""
    head = tl.program_id(1).to(tl.int64)
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    out = load_tile(out_ptr + head * seq_q * V_DIM, rows, seq_q, V_DIM, V_TILE, True, True)
    grad = load_tile(grad_ptr + head * seq_q * V_DIM, rows, seq_q, V_DIM, V_TILE, True, True)
    tl.store(delta_ptr + head * seq_q + rows, tl.sum(out * grad, 1), mask=rows < seq_q)


@triton.jit
def _into_keys(
    d_k, d_v, k, v, q_ptr, grad_ptr, lse_ptr, delta_ptr, keys, begin, end, seq_q, seq_k, low, high, base2,
    HEAD_DIM: tl.constexpr, V_DIM: tl.constexpr, HEAD_TILE: tl.constexpr, V_TILE: tl.constexpr,
    ROWS: tl.constexpr, LOW: tl.constexpr, HIGH: tl.constexpr, MASKED: tl.constexpr, WIDEN: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Add what the query rows from ``begin`` to ``end`` give to dK / scale and dV; scores are transposed."""
    for start in tl.range(begin, end, ROWS):
        rows = start + tl.arange(0, ROWS)
        q = load_tile(q_ptr, rows, seq_q, HEAD_DIM, HEAD_TILE, MASKED, WIDEN)
        grad = load_tile(grad_ptr, rows, seq_q, V_DIM, V_TILE, MASKED, WIDEN)
        lse = tl.load(lse_ptr + rows, mask=rows < seq_q, other=0.0) * 1.4426950408889634  # log2(e)
        delta = tl.load(delta_ptr + rows, mask=rows < seq_q, other=0.0)
        scores = tl.dot(k, q.T, input_precision=PRECISION)
        weights = tl.exp2(scores * base2 - lse[None, :])
        if MASKED:
            visible = is_visible(rows[None, :], keys[:, None], seq_q, seq_k, low, high, LOW, HIGH)
            weights = tl.where(visible, weights, 0.0)
        d_v = tl.dot(weights.to(grad.dtype), grad, d_v, input_precision=PRECISION)
        d_weights = tl.dot(v, grad.T, input_precision=PRECISION)
        d_scores = weights * (d_weights - delta[None, :])
        d_k = tl.dot(d_scores.to(q.dtype), q, d_k, input_precision=PRECISION)
    return d_k, d_v


@triton.jit
def flash_backward_keys(
    q_ptr, k_ptr, v_ptr, grad_ptr, lse_ptr, delta_ptr, d_k_ptr, d_v_ptr,
    seq_q, seq_k, group, low, high, scale,
    HEAD_DIM: tl.constexpr, V_DIM: tl.constexpr, HEAD_TILE: tl.constexpr, V_TILE: tl.constexpr,
    ROWS: tl.constexpr, KEYS: tl.constexpr, LOW: tl.constexpr, HIGH: tl.constexpr, WIDEN: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Write dK and dV of KEYS keys of one key head, from all the query heads that share it."""
    first = tl.program_id(0) * KEYS
    kv_head = tl.program_id(1).to(tl.int64)
    keys = first + tl.arange(0, KEYS)
    k = load_tile(k_ptr + kv_head * seq_k * HEAD_DIM, keys, seq_k, HEAD_DIM, HEAD_TILE, True, WIDEN)
    v = load_tile(v_ptr + kv_head * seq_k * V_DIM, keys, seq_k, V_DIM, V_TILE, True, WIDEN)
    base2 = scale * 1.4426950408889634  # log2(e)

    d_k = tl.zeros([KEYS, HEAD_TILE], tl.float32)
    d_v = tl.zeros([KEYS, V_TILE], tl.float32)
    begin, open_begin, open_end, end = visible_steps(first, -high, -low, seq_q, KEYS, ROWS, HIGH, LOW)
    for member in tl.range(0, group):
        head = kv_head * group + member
        q_of, grad_of = q_ptr + head * seq_q * HEAD_DIM, grad_ptr + head * seq_q * V_DIM
        lse_of, delta_of = lse_ptr + head * seq_q, delta_ptr + head * seq_q
        if HIGH:
            d_k, d_v = _into_keys(
                d_k, d_v, k, v, q_of, grad_of, lse_of, delta_of, keys, begin, tl.minimum(open_begin, end),
                seq_q, seq_k, low, high, base2,
                HEAD_DIM, V_DIM, HEAD_TILE, V_TILE, ROWS, LOW, HIGH, True, WIDEN, PRECISION,
            )  # fmt: skip
        d_k, d_v = _into_keys(
            d_k, d_v, k, v, q_of, grad_of, lse_of, delta_of, keys, open_begin, open_end,
            seq_q, seq_k, low, high, base2,
            HEAD_DIM, V_DIM, HEAD_TILE, V_TILE, ROWS, LOW, HIGH, False, WIDEN, PRECISION,
        )  # fmt: skip
        d_k, d_v = _into_keys(
            d_k, d_v, k, v, q_of, grad_of, lse_of, delta_of, keys, open_end, end,
            seq_q, seq_k, low, high, base2,
            HEAD_DIM, V_DIM, HEAD_TILE, V_TILE, ROWS, LOW, HIGH, True, WIDEN, PRECISION,
        )  # fmt: skip
    store_tile(d_k_ptr + kv_head * seq_k * HEAD_DIM, d_k * scale, keys, seq_k, HEAD_DIM, HEAD_TILE)
    store_tile(d_v_ptr + kv_head * seq_k * V_DIM, d_v, keys, seq_k, V_DIM, V_TILE)


@triton.jit
def _into_rows(
    d_q, q, grad, lse, delta, k_ptr, v_ptr, rows, begin, end, seq_q, seq_k, low, high, base2,
    HEAD_DIM: tl.constexpr, V_DIM: tl.constexpr, HEAD_TILE: tl.constexpr, V_TILE: tl.constexpr,
    KEYS: tl.constexpr, LOW: tl.constexpr, HIGH: tl.constexpr, MASKED: tl.constexpr, WIDEN: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Add what the keys from ``begin`` to ``end`` give to dQ / scale."""
    for start in tl.range(begin, end, KEYS):
        keys = start + tl.arange(0, KEYS)
        k = load_tile(k_ptr, keys, seq_k, HEAD_DIM, HEAD_TILE, MASKED, WIDEN)
        v = load_tile(v_ptr, keys, seq_k, V_DIM, V_TILE, MASKED, WIDEN)
        scores = tl.dot(q, k.T, input_precision=PRECISION)
        weights = tl.exp2(scores * base2 - lse[:, None])
        if MASKED:
            visible = is_visible(rows[:, None], keys[None, :], seq_q, seq_k, low, high, LOW, HIGH)
            weights = tl.where(visible, weights, 0.0)
        d_weights = tl.dot(grad, v.T, input_precision=PRECISION)
        d_scores = weights * (d_weights - delta[:, None])
        d_q = tl.dot(d_scores.to(k.dtype), k, d_q, input_precision=PRECISION)
    return d_q


@triton.jit
def flash_backward_rows(
    q_ptr, k_ptr, v_ptr, grad_ptr, lse_ptr, delta_ptr, d_q_ptr,
    seq_q, seq_k, group, low, high, scale,
    HEAD_DIM: tl.constexpr, V_DIM: tl.constexpr, HEAD_TILE: tl.constexpr, V_TILE: tl.constexpr,
    ROWS: tl.constexpr, KEYS: tl.constexpr, LOW: tl.constexpr, HIGH: tl.constexpr, WIDEN: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Write dQ of ROWS query rows of one head."""
    block = tl.program_id(0)
    if HIGH:
        block = tl.num_programs(0) - 1 - block  # the longest rows first, so that none is left to run alone
    head = tl.program_id(1).to(tl.int64)
    k_ptr += head // group * seq_k * HEAD_DIM
    v_ptr += head // group * seq_k * V_DIM
    first = block * ROWS
    rows = first + tl.arange(0, ROWS)
    q = load_tile(q_ptr + head * seq_q * HEAD_DIM, rows, seq_q, HEAD_DIM, HEAD_TILE, True, WIDEN)
    grad = load_tile(grad_ptr + head * seq_q * V_DIM, rows, seq_q, V_DIM, V_TILE, True, WIDEN)
    base2 = scale * 1.4426950408889634  # log2(e)
    lse = tl.load(lse_ptr + head * seq_q + rows, mask=rows < seq_q, other=0.0) * 1.4426950408889634
    delta = tl.load(delta_ptr + head * seq_q + rows, mask=rows < seq_q, other=0.0)

    d_q = tl.zeros([ROWS, HEAD_TILE], tl.float32)
    begin, open_begin, open_end, end = visible_steps(first, low, high, seq_k, ROWS, KEYS, LOW, HIGH)
    if LOW:
        d_q = _into_rows(
            d_q, q, grad, lse, delta, k_ptr, v_ptr, rows, begin, tl.minimum(open_begin, end),
            seq_q, seq_k, low, high, base2,
            HEAD_DIM, V_DIM, HEAD_TILE, V_TILE, KEYS, LOW, HIGH, True, WIDEN, PRECISION,
        )  # fmt: skip
    d_q = _into_rows(
        d_q, q, grad, lse, delta, k_ptr, v_ptr, rows, open_begin, open_end, seq_q, seq_k, low, high, base2,
        HEAD_DIM, V_DIM, HEAD_TILE, V_TILE, KEYS, LOW, HIGH, False, WIDEN, PRECISION,
    )  # fmt: skip
    d_q = _into_rows(
        d_q, q, grad, lse, delta, k_ptr, v_ptr, rows, open_end, end, seq_q, seq_k, low, high, base2,
        HEAD_DIM, V_DIM, HEAD_TILE, V_TILE, KEYS, LOW, HIGH, True, WIDEN, PRECISION,
    )  # fmt: skip
    store_tile(d_q_ptr + head * seq_q * HEAD_DIM, d_q * scale, rows, seq_q, HEAD_DIM, HEAD_TILE)


def backward(
    q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, grad: Tensor, delta: Tensor,
    d_q: Tensor, d_k: Tensor, d_v: Tensor, problem: Problem, for_keys: Config, for_rows: Config,
) -> Callable[[], None]:  # fmt: skip
    """Return launches that write dQ, dK and dV, given dO (``grad``) and what the forward pass left.

    All tensors are contiguous: (batch, heads or kv_heads, seq, features), ``lse`` and ``delta``, which is room for D,
    float32 (batch, heads, seq_q). ``for_keys`` is of the kernel for dK and dV, ``for_rows`` of that for dQ.
    """
    prepare = backward_delta(out, grad, delta, problem)
    keys = backward_keys(q, k, v, lse, grad, delta, d_k, d_v, problem, for_keys)
    rows = backward_rows(q, k, v, lse, grad, delta, d_q, problem, for_rows)

    def launch() -> None:
        prepare()
        keys()
        rows()

    return launch


def backward_delta(out: Tensor, grad: Tensor, delta: Tensor, problem: Problem) -> Callable[[], object]:
    """Return a launch that writes D of each row of O and dO."""
    grid = (triton.cdiv(problem.seq_q, DELTA.rows), problem.batch * problem.heads)
    return partial(flash_delta[grid], out, grad, delta, **_delta_arguments(problem), **DELTA.options)


def backward_keys(
    q: Tensor, k: Tensor, v: Tensor, lse: Tensor, grad: Tensor, delta: Tensor, d_k: Tensor, d_v: Tensor,
    problem: Problem, config: Config,
) -> Callable[[], object]:  # fmt: skip
    """Return a launch that writes dK and dV."""
    grid = (triton.cdiv(problem.seq_k, config.keys), problem.batch * problem.kv_heads)
    arguments = problem.arguments(config, widen=triton.knobs.runtime.interpret)
    return partial(flash_backward_keys[grid], q, k, v, grad, lse, delta, d_k, d_v, **arguments, **config.options)


def backward_rows(
    q: Tensor, k: Tensor, v: Tensor, lse: Tensor, grad: Tensor, delta: Tensor, d_q: Tensor,
    problem: Problem, config: Config,
) -> Callable[[], object]:  # fmt: skip
    """Return a launch that writes dQ."""
    grid = (triton.cdiv(problem.seq_q, config.rows), problem.batch * problem.heads)
    arguments = problem.arguments(config, widen=triton.knobs.runtime.interpret)
    return partial(flash_backward_rows[grid], q, k, v, grad, lse, delta, d_q, **arguments, **config.options)


def backward_kernels(problem: Problem, for_keys: Sequence[Config], for_rows: Sequence[Config]) -> list[Kernel]:
    """Return the kernels of a backward pass as they are launched."""
    pointer, sums = f"*{problem.dtype}", {"lse_ptr": "*fp32", "delta_ptr": "*fp32"}
    read = dict.fromkeys(("q_ptr", "k_ptr", "v_ptr", "grad_ptr"), pointer) | sums
    delta = {"out_ptr": pointer, "grad_ptr": pointer, "delta_ptr": "*fp32", **_delta_arguments(problem)}
    kernels = [Kernel(flash_delta, delta, DELTA.options)]
    for function, written, configs in (
        (flash_backward_keys, ("d_k_ptr", "d_v_ptr"), for_keys),
        (flash_backward_rows, ("d_q_ptr",), for_rows),
    ):
        tensors = read | dict.fromkeys(written, pointer)
        kernels += [Kernel(function, tensors | problem.arguments(one), one.options, one.label) for one in configs]
    return kernels


def _delta_arguments(problem: Problem) -> dict[str, int]:
    rows, width = DELTA.rows, problem.v_dim
    return {"seq_q": problem.seq_q, "V_DIM": width, "V_TILE": tile(width), "ROWS": rows}
