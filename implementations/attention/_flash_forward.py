"""FlashAttention-2's forward pass as a Triton kernel: in a file of its own, because ``triton.jit`` works on import."""

# ruff: noqa: N803 -- constants of the compilation in capitals, as in Triton's own kernels
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import triton
import triton.language as tl

from harness import Kernel
from implementations.attention._flash_tiles import is_visible, load_tile, store_tile, visible_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from implementations.attention._flash_problem import Config, Problem


@triton.jit
def _attend(
    sums, total, highest, q, k_ptr, v_ptr, rows, begin, end, seq_q, seq_k, low, high, scale,
    HEAD_DIM: tl.constexpr, V_DIM: tl.constexpr, HEAD_TILE: tl.constexpr, V_TILE: tl.constexpr,
    KEYS: tl.constexpr, LOW: tl.constexpr, HIGH: tl.constexpr, MASKED: tl.constexpr, WIDEN: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Take the keys from ``begin`` to ``end`` into the running sums; only a MASKED pass may meet hidden pairs."""
    for start in tl.range(begin, end, KEYS):
        keys = start + tl.arange(0, KEYS)
        k = load_tile(k_ptr, keys, seq_k, HEAD_DIM, HEAD_TILE, MASKED, WIDEN)
        v = load_tile(v_ptr, keys, seq_k, V_DIM, V_TILE, MASKED, WIDEN)
        scores = tl.dot(q, k.T, input_precision=PRECISION)
        if MASKED:
            visible = is_visible(rows[:, None], keys[None, :], seq_q, seq_k, low, high, LOW, HIGH)
            scores = tl.where(visible, scores, float("-inf"))
        raised = tl.maximum(highest, tl.max(scores, 1) * scale)
        pivot = raised
        if MASKED:  # a row that has seen nothing yet has no highest score to subtract
            pivot = tl.where(raised == float("-inf"), 0.0, raised)
        weights = tl.exp2(scores * scale - pivot[:, None])
        rescale = tl.exp2(highest - pivot)
        total = total * rescale + tl.sum(weights, 1)
        sums = tl.dot(weights.to(v.dtype), v, sums * rescale[:, None], input_precision=PRECISION)
        highest = raised
    return sums, total, highest


@triton.jit
def flash_forward(
    q_ptr, k_ptr, v_ptr, out_ptr, lse_ptr, seq_q, seq_k, group, low, high, scale,
    HEAD_DIM: tl.constexpr, V_DIM: tl.constexpr, HEAD_TILE: tl.constexpr, V_TILE: tl.constexpr,
    ROWS: tl.constexpr, KEYS: tl.constexpr, LOW: tl.constexpr, HIGH: tl.constexpr, WIDEN: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Attend from ROWS query rows of one head (Dao 2023, algorithm 1), and keep each row's log-sum-exp.

    Q, K, V and O are contiguous (heads, seq, features); ``group`` heads of Q share one of K and V. A row that sees no
    key is zero, and its log-sum-exp minus infinity.
    """
    block = tl.program_id(0)
    if HIGH:
        block = tl.num_programs(0) - 1 - block  # the longest rows first, so that none is left to run alone
    head = tl.program_id(1).to(tl.int64)
    k_ptr += head // group * seq_k * HEAD_DIM
    v_ptr += head // group * seq_k * V_DIM
    first = block * ROWS
    rows = first + tl.arange(0, ROWS)
    q = load_tile(q_ptr + head * seq_q * HEAD_DIM, rows, seq_q, HEAD_DIM, HEAD_TILE, True, WIDEN)
    base2 = scale * 1.4426950408889634  # log2(e), so that exp2 serves as exp

    sums = tl.zeros([ROWS, V_TILE], tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    highest = tl.full([ROWS], float("-inf"), tl.float32)
    begin, open_begin, open_end, end = visible_steps(first, low, high, seq_k, ROWS, KEYS, LOW, HIGH)
    if LOW:
        sums, total, highest = _attend(
            sums, total, highest, q, k_ptr, v_ptr, rows, begin, tl.minimum(open_begin, end), seq_q, seq_k, low, high,
            base2, HEAD_DIM, V_DIM, HEAD_TILE, V_TILE, KEYS, LOW, HIGH, True, WIDEN, PRECISION,
        )  # fmt: skip
    sums, total, highest = _attend(
        sums, total, highest, q, k_ptr, v_ptr, rows, open_begin, open_end, seq_q, seq_k, low, high,
        base2, HEAD_DIM, V_DIM, HEAD_TILE, V_TILE, KEYS, LOW, HIGH, False, WIDEN, PRECISION,
    )  # fmt: skip
    sums, total, highest = _attend(
        sums, total, highest, q, k_ptr, v_ptr, rows, open_end, end, seq_q, seq_k, low, high,
        base2, HEAD_DIM, V_DIM, HEAD_TILE, V_TILE, KEYS, LOW, HIGH, True, WIDEN, PRECISION,
    )  # fmt: skip
    divisor = tl.where(total == 0.0, 1.0, total)
    out = sums / divisor[:, None]
    store_tile(out_ptr + head * seq_q * V_DIM, out, rows, seq_q, V_DIM, V_TILE)
    lse = (highest + tl.log2(divisor)) * 0.6931471805599453  # ln(2)
    tl.store(lse_ptr + head * seq_q + rows, lse, mask=rows < seq_q)


def forward(
    q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, problem: Problem, config: Config
) -> Callable[[], object]:
    """Return a launch that writes O and, in float32, the log-sum-exp of each row of scaled scores.

    All tensors are contiguous: (batch, heads or kv_heads, seq, features), ``lse`` (batch, heads, seq_q).
    """
    grid = (triton.cdiv(problem.seq_q, config.rows), problem.batch * problem.heads)
    arguments = problem.arguments(config, widen=triton.knobs.runtime.interpret)
    return partial(flash_forward[grid], q, k, v, out, lse, **arguments, **config.options)


def forward_kernels(problem: Problem, configs: Sequence[Config]) -> list[Kernel]:
    """Return the kernels of a forward pass as they are launched."""
    tensors = dict.fromkeys(("q_ptr", "k_ptr", "v_ptr", "out_ptr"), f"*{problem.dtype}") | {"lse_ptr": "*fp32"}
    return [Kernel(flash_forward, tensors | problem.arguments(one), one.options, one.label) for one in configs]
