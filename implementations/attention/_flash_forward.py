"""The Triton kernel of flash_triton, in a file of its own because ``triton.jit`` works when it is imported."""

# ruff: noqa: N803 -- constants of the compilation in capitals, as in Triton's own kernels
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _attend(
    sums, total, highest, q, k_ptr, v_ptr, first_row, begin, end, seq, scale,
    HEAD_DIM: tl.constexpr, ROWS: tl.constexpr, KEYS: tl.constexpr,
    CAUSAL: tl.constexpr, MASKED: tl.constexpr, WIDEN: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Take the keys from ``begin`` to ``end`` into the running sums; only a MASKED pass may meet hidden keys."""
    rows = first_row + tl.arange(0, ROWS)
    features = tl.arange(0, HEAD_DIM)
    for start in tl.range(begin, end, KEYS):
        keys = start + tl.arange(0, KEYS)
        offsets = keys[:, None] * HEAD_DIM + features[None, :]
        if MASKED:
            k = tl.load(k_ptr + offsets, mask=keys[:, None] < seq, other=0.0)
            v = tl.load(v_ptr + offsets, mask=keys[:, None] < seq, other=0.0)
        else:
            k = tl.load(k_ptr + offsets)
            v = tl.load(v_ptr + offsets)
        if WIDEN:
            k = k.to(tl.float32)
            v = v.to(tl.float32)
        scores = tl.dot(q, k.T, input_precision=PRECISION)
        if MASKED:
            visible = keys[None, :] < seq
            if CAUSAL:
                visible = visible & (keys[None, :] <= rows[:, None])
            scores = tl.where(visible, scores, float("-inf"))
        raised = tl.maximum(highest, tl.max(scores, 1) * scale)
        weights = tl.exp2(scores * scale - raised[:, None])
        rescale = tl.exp2(highest - raised)
        total = total * rescale + tl.sum(weights, 1)
        sums = tl.dot(weights.to(v.dtype), v, sums * rescale[:, None], input_precision=PRECISION)
        highest = raised
    return sums, total, highest


@triton.jit
def flash_forward(
    q_ptr, k_ptr, v_ptr, out_ptr, seq, scale,
    HEAD_DIM: tl.constexpr, ROWS: tl.constexpr, KEYS: tl.constexpr,
    CAUSAL: tl.constexpr, WIDEN: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Attend from ROWS query rows of one head; Q, K, V and O are contiguous (heads, seq, HEAD_DIM).

    ``scale`` holds a factor log2(e), so that exp2 serves as exp. ROWS is a multiple of KEYS.
    """
    block = tl.program_id(0)
    if CAUSAL:
        block = tl.num_programs(0) - 1 - block  # the longest rows first, so that none is left to run alone
    base = tl.program_id(1).to(tl.int64) * seq * HEAD_DIM
    first_row = block * ROWS
    rows = first_row + tl.arange(0, ROWS)
    offsets = rows[:, None] * HEAD_DIM + tl.arange(0, HEAD_DIM)[None, :]
    q = tl.load(q_ptr + base + offsets, mask=rows[:, None] < seq, other=0.0)
    if WIDEN:
        q = q.to(tl.float32)

    sums = tl.zeros([ROWS, HEAD_DIM], tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    highest = tl.full([ROWS], float("-inf"), tl.float32)
    if CAUSAL:
        open_end = first_row
        end = tl.minimum(first_row + ROWS, seq)
    else:
        open_end = seq // KEYS * KEYS
        end = seq
    sums, total, highest = _attend(
        sums, total, highest, q, k_ptr + base, v_ptr + base, first_row, 0, open_end, seq, scale,
        HEAD_DIM, ROWS, KEYS, CAUSAL, False, WIDEN, PRECISION,
    )  # fmt: skip
    sums, total, highest = _attend(
        sums, total, highest, q, k_ptr + base, v_ptr + base, first_row, open_end, end, seq, scale,
        HEAD_DIM, ROWS, KEYS, CAUSAL, True, WIDEN, PRECISION,
    )  # fmt: skip
    out = (sums / total[:, None]).to(out_ptr.dtype.element_ty)
    tl.store(out_ptr + base + offsets, out, mask=rows[:, None] < seq)
