"""The product of the library that torch was built with: cuBLAS on CUDA, MKL or oneDNN on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import Requires, Step, implementation

from .workload import matrix_bytes

if TYPE_CHECKING:
    from .workload import GemmInputs


@implementation("gemm", requires=Requires(memory=matrix_bytes))
def matmul(inputs: GemmInputs) -> Step:
    """Multiply with torch.matmul into memory that is there already."""
    out = torch.empty_like(inputs.a)

    def step() -> torch.Tensor:
        return torch.matmul(inputs.a, inputs.b, out=out)

    return step
