"""The workload `gemm`: C = A B of square matrices, the fastest arithmetic that a device has."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from harness import Axis, Cost, Params, Reference, Workload

ITEM_BYTES = {"fp64": 8, "fp32": 4, "fp16": 2, "bf16": 2}


@dataclass(frozen=True)
class GemmInputs:
    """Two contiguous matrices of shape (n, n)."""

    a: torch.Tensor
    b: torch.Tensor


def matrix_bytes(params: Params) -> int:
    """Return the size of A, of B and of C."""
    return int(params["n"]) ** 2 * ITEM_BYTES[str(params["dtype"])]


def make_inputs(params: Params, device: str, generator: torch.Generator) -> GemmInputs:
    """Draw A and B from the standard normal distribution, and round them to the dtype."""
    names = {"fp64": torch.float64, "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    n, dtype = int(params["n"]), names[str(params["dtype"])]
    a, b = (torch.randn(n, n, generator=generator).to(dtype).to(device) for _ in range(2))
    return GemmInputs(a, b)


def reference(inputs: GemmInputs) -> Reference:
    """Return the float64 product, and how far a sum in fp32 (fp64 for fp64) and a rounded result may lie from it.

    The errors of n additions, each of a part of sqrt(n), add up to about n eps where they are random (Higham 2002,
    section 4.2). For fp64 the truth has errors of its own, which the bound covers as well.
    """
    truth = inputs.a.double() @ inputs.b.double()
    wide = inputs.a.dtype if inputs.a.dtype == torch.float64 else torch.float32
    rounding, adding = torch.finfo(inputs.a.dtype).eps, torch.finfo(wide).eps
    tolerance = truth.abs().max().item() * rounding + 2 * inputs.a.shape[0] * adding
    return Reference(truth, inputs.a.dtype, tolerance)


workload = Workload(
    name="gemm",
    help="A product of square matrices: what a device computes at most in a second.",
    axes=(
        Axis.integer("n", 2048, "rows and columns"),
        Axis.choice("dtype", tuple(ITEM_BYTES), "fp32", "dtype of the matrices and of the product"),
    ),
    make_inputs=make_inputs,
    reference=reference,
    baseline="matmul",
    cost=lambda params: Cost(flops=2 * int(params["n"]) ** 3, bytes=3 * matrix_bytes(params)),
    input_bytes=lambda params: 2 * matrix_bytes(params),
)
