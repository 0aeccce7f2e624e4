"""The product of the library that torch was built with: cuBLAS on CUDA, MKL or oneDNN on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Params, Requires, Step, implementation

from .workload import matrix_bytes

if TYPE_CHECKING:
    from .workload import GemmInputs


def _unsupported(params: Params, device: str) -> str:
    return "tf32 is a format of CUDA's tensor cores" if params["dtype"] == "tf32" and device != "cuda" else ""


@implementation("gemm", requires=Requires(memory=matrix_bytes, unsupported=_unsupported))
def matmul(inputs: GemmInputs) -> Step:
    """Multiply with torch.matmul into memory that is there already, in the precision that the dtype names."""
    if inputs.dtype == "tf32" and torch.cuda.get_device_capability(inputs.a.device) < (8, 0):
        raise RuntimeError("tf32 needs compute capability 8.0: below it torch multiplies in fp32")
    out = torch.empty_like(inputs.a)

    def multiply() -> torch.Tensor:
        return torch.matmul(inputs.a, inputs.b, out=out)

    # The precision of float32 products is a process-wide setting, which set-up must not leave behind: each step sets
    # it and sets it back, for 0.3 us.
    def multiply_float32() -> torch.Tensor:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if inputs.dtype == "tf32" else "highest")
        try:
            return multiply()
        finally:
            torch.set_float32_matmul_precision(before)

    return multiply_float32 if out.dtype == torch.float32 else multiply
