"""What the Triton kernels of flash_triton share: a tile of a tensor, and the steps through a band of visible pairs."""

# ruff: noqa: N803 -- constants of the compilation in capitals, as in Triton's own kernels
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def load_tile(
    ptr, rows, size, DIM: tl.constexpr, TILE: tl.constexpr, MASKED: tl.constexpr, WIDEN: tl.constexpr
):  # fmt: skip
    """Load rows of a contiguous (size, DIM) matrix; zeros beyond DIM, and beyond ``size`` where MASKED."""
    features = tl.arange(0, TILE)
    at = ptr + rows[:, None] * DIM + features[None, :]
    if MASKED:
        found = tl.load(at, mask=(rows[:, None] < size) & (features[None, :] < DIM), other=0.0)
    elif DIM != TILE:
        found = tl.load(at, mask=(features[None, :] < DIM) & (rows[:, None] >= 0), other=0.0)
    else:
        found = tl.load(at)
    if WIDEN:
        found = found.to(tl.float32)
    return found


@triton.jit
def store_tile(ptr, values, rows, size, DIM: tl.constexpr, TILE: tl.constexpr):
    """Store rows of a contiguous (size, DIM) matrix, and nothing beyond it."""
    features = tl.arange(0, TILE)
    at = ptr + rows[:, None] * DIM + features[None, :]
    tl.store(at, values.to(ptr.dtype.element_ty), mask=(rows[:, None] < size) & (features[None, :] < DIM))


@triton.jit
def visible_steps(
    first, low, high, limit, OWN: tl.constexpr, STEP: tl.constexpr, LOW: tl.constexpr, HIGH: tl.constexpr
):  # fmt: skip
    """Return where to begin and to end, in steps over [0, limit), and between which two no pair is hidden.

    Own index i, from ``first`` on, sees index j where low <= j - i <= high.
    """
    begin = 0
    open_begin = 0
    open_end = limit // STEP * STEP
    end = limit
    if LOW:
        begin = tl.maximum(first + low, 0) // STEP * STEP
        open_begin = tl.cdiv(tl.maximum(first + OWN - 1 + low, 0), STEP) * STEP
    if HIGH:
        end = tl.minimum(limit, first + OWN + high)
        open_end = tl.minimum(open_end, tl.maximum(first + high + 1, 0) // STEP * STEP)
    if LOW:
        open_end = tl.maximum(open_end, open_begin)
    return begin, open_begin, open_end, end


@triton.jit
def is_visible(rows, keys, seq_q, seq_k, low, high, LOW: tl.constexpr, HIGH: tl.constexpr):
    """Return which pairs exist and are not hidden; rows and keys come with a dimension for the other."""
    visible = (rows < seq_q) & (keys < seq_k)
    if LOW:
        visible = visible & (keys - rows >= low)
    if HIGH:
        visible = visible & (keys - rows <= high)
    return visible
