"""The checks of the workloads that roofs come from: each rejects what is not the whole work."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from harness.catalog import load_catalog
from harness.launch.checking import compare

CATALOG = load_catalog(lazily=False)


@pytest.mark.parametrize("dtype", ["fp64", "fp32", "fp16", "bf16"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda a, b: a[:, :-1] @ b[:-1],
        lambda a, b: a @ b.T,
        lambda a, b: torch.cat(((a @ b)[:-1], (a @ b)[:1])),
        lambda a, b: (a @ b) * 1.1,
    ],
    ids=["a term left out", "transposed", "a row twice", "scaled"],
)
def test_a_product_that_is_not_the_product_is_rejected(
    dtype: str, spoil: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> None:
    workload = CATALOG.workload("gemm")
    inputs = workload.make_inputs({"n": 96, "dtype": dtype}, "cpu", torch.Generator().manual_seed(0))
    reference = workload.reference(inputs)
    assert compare(inputs.a @ inputs.b, reference).fault == ""
    assert "exceeds" in compare(spoil(inputs.a, inputs.b), reference).fault


def test_a_product_summed_in_half_the_width_is_rejected() -> None:
    workload = CATALOG.workload("gemm")
    inputs = workload.make_inputs({"n": 512, "dtype": "fp32"}, "cpu", torch.Generator().manual_seed(0))
    halves = (inputs.a.bfloat16() @ inputs.b.bfloat16()).float()
    assert "exceeds" in compare(halves, workload.reference(inputs)).fault


@pytest.mark.parametrize(
    "spoil",
    [
        lambda first, second: torch.cat((first[:-1], torch.zeros(1))),
        lambda first, second: first[: len(first) // 2],
        lambda first, second: second.clone(),
        lambda first, second: torch.dot(first[:-100], second[:-100]),
        lambda first, second: first.double(),
    ],
    ids=["the last value missing", "half", "the other half", "values left out", "another dtype"],
)
def test_a_pass_that_leaves_something_out_is_rejected(
    spoil: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> None:
    workload = CATALOG.workload("bandwidth")
    inputs = workload.make_inputs({"bytes": 8192}, "cpu", torch.Generator().manual_seed(0))
    assert workload.check is not None
    reference = workload.reference(inputs)
    assert workload.check(torch.dot(*inputs.halves), reference).fault == ""
    assert workload.check(spoil(*inputs.halves), reference).fault != ""


@pytest.mark.parametrize(
    ("workload", "params", "flops", "bytes"),
    [
        ("gemm", {"n": 10, "dtype": "bf16"}, 2000, 600),
        ("bandwidth", {"bytes": 8192}, 0, 8192),
    ],
)
def test_the_work_is_what_is_counted(workload: str, params: dict[str, object], flops: int, bytes: int) -> None:
    cost = CATALOG.workload(workload).cost(params)  # type: ignore[arg-type]
    assert (cost.flops, cost.bytes) == (flops, bytes)
