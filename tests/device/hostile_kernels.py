"""Triton kernels of the device check: one that writes astray, and one that multiplies by the identity in TF32."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def write_astray(pointer, offset):
    """Write far outside of what the process owns."""
    tl.store(pointer + offset, 1.0)


@triton.jit
def times_identity(a_ptr, out_ptr, n, SIDE: tl.constexpr):  # noqa: N803
    """Multiply a tile of A by the identity, with the operands as they are."""
    rows = tl.program_id(0) * SIDE + tl.arange(0, SIDE)
    columns = tl.program_id(1) * SIDE + tl.arange(0, SIDE)
    at = rows[:, None] * n + columns[None, :]
    inside = (rows[:, None] < n) & (columns[None, :] < n)
    tile = tl.load(a_ptr + at, mask=inside, other=0.0)
    one = tl.where(tl.arange(0, SIDE)[:, None] == tl.arange(0, SIDE)[None, :], 1.0, 0.0)
    tl.store(out_ptr + at, tl.dot(tile, one, input_precision="tf32"), mask=inside)
