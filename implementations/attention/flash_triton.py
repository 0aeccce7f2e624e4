"""FlashAttention-2 in Triton, forward and backward."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import Kernel, Params, Requires, Step, implementation
from implementations.attention._flash_problem import FORWARD, KEYS, ROWS, Problem, space
from implementations.attention.workload import AttentionInputs, tensor_bytes

if TYPE_CHECKING:
    from torch import Tensor

_WIDEST = 256


def _unsupported(params: Params, device: str) -> str:
    if int(params["head_dim"]) > _WIDEST:
        return f"the Triton kernels take a head_dim of at most {_WIDEST}"
    return ""


def _memory(params: Params) -> int:
    """The output, and one float32 log-sum-exp for each query row."""
    return tensor_bytes(params) + 4 * int(params["batch"]) * int(params["heads"]) * int(params["seq"])


def _problem(params: Params) -> Problem:
    """Return what the kernels are told of a question."""
    batch, heads, seq, head_dim = (int(params[axis]) for axis in ("batch", "heads", "seq", "head_dim"))
    high = 0 if params["causal"] else None
    return Problem(batch, heads, heads, seq, seq, head_dim, head_dim, str(params["dtype"]), high=high)


def _kernels(params: Params) -> list[Kernel]:
    from implementations.attention._flash_backward import backward_kernels
    from implementations.attention._flash_forward import forward_kernels

    problem = _problem(params)
    configs = [space(table, problem) for table in (FORWARD, KEYS, ROWS)]
    return forward_kernels(problem, configs[0]) + backward_kernels(problem, *configs[1:])


@implementation(
    "attention",
    requires=Requires(device="cuda", capability=(8, 0), modules=("triton",), memory=_memory, unsupported=_unsupported),
    executes="flash_forward",
    kernels=_kernels,
)
def flash_triton(x: AttentionInputs) -> Step:
    """FlashAttention-2 in Triton, one program per block of queries (Dao 2023, algorithms 1 and 2).

    Tuned in set-up over tiles, warps and stages. Sums are float32; fp16 and bf16 go to the tensor cores as they are,
    fp32 as three TF32 products, because one alone misses float32's error a hundredfold.
    """
    from implementations.attention._flash import forward_pass

    dtype = {"torch.float32": "fp32", "torch.float16": "fp16", "torch.bfloat16": "bf16"}[str(x.q.dtype)]
    sizes = zip(("batch", "heads", "seq", "head_dim"), x.q.shape, strict=True)
    problem = _problem({**dict(sizes), "causal": x.causal, "dtype": dtype})
    launch, out, _ = forward_pass(x.q, x.k, x.v, problem)

    def step() -> Tensor:
        launch()
        return out.to(x.q.dtype)

    return step
