"""The passes of flash_triton, ready to be launched: room for what they write, and the configurations they take."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from implementations.attention._flash_backward import backward, backward_delta, backward_keys, backward_rows
from implementations.attention._flash_forward import forward
from implementations.attention._flash_problem import FORWARD, KEYS, ROWS, Problem, space
from implementations.attention._tuning import chosen

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def forward_pass(q: Tensor, k: Tensor, v: Tensor, problem: Problem) -> tuple[Callable[[], object], Tensor, Tensor]:
    """Return a launch, and the O and the log-sum-exp that it writes."""
    out = _room(q.shape[:-1] + v.shape[-1:], q)
    lse = torch.empty(q.shape[:-1], dtype=torch.float32, device=q.device)
    prepare = partial(forward, q, k, v, out, lse, problem)
    return prepare(chosen("flash_forward", space(FORWARD, problem), prepare)), out, lse


def backward_pass(
    q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, grad: Tensor, problem: Problem
) -> tuple[Callable[[], None], tuple[Tensor, Tensor, Tensor]]:
    """Return launches, and the dQ, dK and dV that they write, from dO and what a forward pass left in O and lse."""
    delta, (d_q, d_k, d_v) = torch.empty_like(lse), (_room(one.shape, q) for one in (q, k, v))
    backward_delta(out, grad, delta, problem)()  # so that what is tuned below meets numbers
    for_keys = chosen(
        "flash_backward_keys",
        space(KEYS, problem),
        partial(backward_keys, q, k, v, lse, grad, delta, d_k, d_v, problem),
    )
    for_rows = chosen(
        "flash_backward_rows", space(ROWS, problem), partial(backward_rows, q, k, v, lse, grad, delta, d_q, problem)
    )
    launch = backward(q, k, v, out, lse, grad, delta, d_q, d_k, d_v, problem, for_keys, for_rows)
    return launch, (d_q, d_k, d_v)


def _room(shape: torch.Size, like: Tensor) -> Tensor:
    """Return room for a result in the inputs' dtype; in float32 where Triton interprets, whose stores misround bf16."""
    import triton

    return torch.empty(shape, dtype=torch.float32 if triton.knobs.runtime.interpret else like.dtype, device=like.device)
