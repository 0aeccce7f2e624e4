"""FlashAttention-2 in Triton, forward and backward."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import Kernel, Params, Requires, Step, implementation
from implementations.attention._common import fused_flops, fused_memory, kept
from implementations.attention._flash_problem import FORWARD as FORWARD_TILES
from implementations.attention._flash_problem import KEYS, ROWS, Problem, space
from implementations.attention.workload import BACKWARD, FORWARD, AttentionInputs, Sizes

if TYPE_CHECKING:
    from torch import Tensor

    from implementations.attention._mask import Mask

_WIDEST = 256


def _unsupported(params: Params, device: str) -> str:
    sizes = Sizes.of(params)
    if max(sizes.head_dim, sizes.v_dim) > _WIDEST:
        return f"the Triton kernels take a head_dim and a v_dim of at most {_WIDEST}"
    return ""


def _memory(params: Params) -> int:
    """What every fused kernel takes, and D, one float32 for each query row, where there are gradients."""
    sizes = Sizes.of(params)
    return fused_memory(params) + (0 if sizes.passes == FORWARD else sizes.lse)


def _problem(sizes: tuple[int, ...], dtype: str, mask: Mask) -> Problem:
    """Return what the kernels are told of a question, whose mask they know by the distance of a key from its query."""
    ahead = 0 if mask.causal else mask.window - 1
    high = mask.offset + ahead if mask.causal or mask.window else None
    low = mask.offset - mask.window + 1 if mask.window else None
    batch, heads, kv_heads, seq_q, seq_k, head_dim, v_dim = sizes
    return Problem(batch, heads, kv_heads, seq_q, seq_k, head_dim, v_dim, dtype, low, high)


def _kernels(params: Params) -> list[Kernel]:
    from implementations.attention._flash_backward import backward_kernels
    from implementations.attention._flash_forward import forward_kernels

    of = Sizes.of(params)
    sizes = (of.batch, of.heads, of.kv_heads, of.queries, of.keys, of.head_dim, of.v_dim)
    problem = _problem(sizes, str(params["dtype"]), of.mask)
    forward, keys, rows = (space(table, problem) for table in (FORWARD_TILES, KEYS, ROWS))
    ahead = [] if of.passes == BACKWARD else forward_kernels(problem, forward)
    return ahead if of.passes == FORWARD else ahead + backward_kernels(problem, keys, rows)


@implementation(
    "attention",
    requires=Requires(device="cuda", capability=(8, 0), modules=("triton",), memory=_memory, unsupported=_unsupported),
    executes="flash_(forward|backward)",
    hardware_flops=lambda params: fused_flops(params, sweeps=2),  # one for dK and dV, one for dQ
    kernels=_kernels,
)
def flash_triton(x: AttentionInputs) -> Step:
    """FlashAttention-2 in Triton, one program per block of queries or of keys (Dao 2023, algorithms 1 and 2).

    Tuned in set-up over tiles, warps and stages. Sums are float32; fp16 and bf16 go to the tensor cores as they are,
    fp32 as three TF32 products, because one alone misses float32's error a hundredfold, and tf32 as one.
    """
    from implementations.attention._flash import backward_pass, forward_pass

    batch, heads, queries, head_dim = x.q.shape
    sizes = (batch, heads, x.k.shape[1], queries, x.k.shape[2], head_dim, x.v.shape[-1])
    problem = _problem(sizes, x.dtype, x.mask)
    launch, out, lse = forward_pass(x.q, x.k, x.v, problem)

    def forward() -> tuple[Tensor, Tensor]:
        launch()
        return out.to(x.q.dtype), lse

    if x.grad is None:
        return forward
    left = kept(x, forward)
    launch_back, gradients = backward_pass(x.q, x.k, x.v, out, lse, x.grad, problem)

    def backward() -> tuple[Tensor, ...]:
        left()
        launch_back()
        return tuple(one.to(x.q.dtype) for one in gradients)

    def both() -> tuple[Tensor, ...]:
        found, _ = forward()
        launch_back()
        return (found, *(one.to(x.q.dtype) for one in gradients))

    return backward if x.passes == BACKWARD else both
