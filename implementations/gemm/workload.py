"""The workload `gemm`: C = A B of square matrices, the fastest arithmetic that a device has."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from harness import Axis, Cost, Params, Reference, Workload

ITEM_BYTES = {"fp64": 8, "fp32": 4, "tf32": 4, "fp16": 2, "bf16": 2}
TF32_EPS = 2.0**-10  # ten bits of mantissa


@dataclass(frozen=True)
class GemmInputs:
    """Two contiguous matrices of shape (n, n), and how they are to be multiplied.

    Attributes:
        dtype: fp32 and tf32 both hold their matrices in float32, and differ in the product.
    """

    a: torch.Tensor
    b: torch.Tensor
    dtype: str


def matrix_bytes(params: Params) -> int:
    """Return the size of A, of B and of C."""
    return int(params["n"]) ** 2 * ITEM_BYTES[str(params["dtype"])]


def make_inputs(params: Params, device: str, generator: torch.Generator) -> GemmInputs:
    """Draw A and B from the standard normal distribution, at least in float32, and round them to the dtype."""
    n, name = int(params["n"]), str(params["dtype"])
    held = {"fp64": torch.float64, "fp16": torch.float16, "bf16": torch.bfloat16}.get(name, torch.float32)
    drawn = torch.promote_types(held, torch.float32)
    a, b = (torch.randn(n, n, dtype=drawn, generator=generator).to(held).to(device) for _ in range(2))
    return GemmInputs(a, b, name)


def reference(inputs: GemmInputs) -> Reference:
    """Return the float64 product of the same inputs, and how far a sum of n rounded terms may lie from it.

    The bound is M (sqrt(n) eps(sums) + eps(dtype)), with M the largest element of the product. A sum of n terms rounds
    n parts of itself, which grow to M at most and are M / sqrt(3) in the mean square; errors that are uniform within
    eps / 2 and independent (the model of Higham and Mary 2019) then add up to a standard deviation of
    sqrt(n) eps M / 6. The second term is for the rounding of the result, twice, as sums may be split, and for tf32 for
    that of the inputs. Sums are in fp64 for fp64, where the truth has such errors of its own, and else in fp32.
    An A100 with n = 10240 takes 0.4 of the bound in fp32 and 0.3 in tf32, by torch's notes on numerical accuracy.
    """
    truth = inputs.a.double() @ inputs.b.double()
    held = inputs.a.dtype
    sums = torch.finfo(torch.float64 if held == torch.float64 else torch.float32).eps
    rounding = TF32_EPS if inputs.dtype == "tf32" else torch.finfo(held).eps
    return Reference(truth, held, truth.abs().max().item() * (inputs.a.shape[1] ** 0.5 * sums + rounding))


workload = Workload(
    name="gemm",
    help="A product of square matrices: what a device computes at most in a second.",
    axes=(
        Axis.integer("n", 2048, "rows and columns"),
        Axis.choice("dtype", tuple(ITEM_BYTES), "fp32", "dtype of the matrices and of the product; tf32 needs CUDA"),
    ),
    make_inputs=make_inputs,
    reference=reference,
    baseline="matmul",
    cost=lambda params: Cost(flops=2 * int(params["n"]) ** 3, bytes=3 * matrix_bytes(params)),
    input_bytes=lambda params: 2 * matrix_bytes(params),
)
