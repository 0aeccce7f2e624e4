from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
import torch

from harness import Reference
from harness.launch.worker.checking import compare_output, walk_tensors

TRUTH = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
REFERENCE = Reference(TRUTH, dtype=torch.float32, max_abs_error=0.1)


def test_an_output_within_its_tolerance_passes_with_its_errors() -> None:
    check = compare_output((TRUTH + torch.tensor([[0.0, 0.0], [0.0, 0.08]])).float(), REFERENCE)
    assert check.fault == ""
    assert check.errors == pytest.approx({"max_abs_error": 0.08, "rms_error": 0.04}, rel=1e-5)


def test_the_error_is_taken_in_float64_whatever_the_output_is() -> None:
    reference = Reference(TRUTH, dtype=torch.bfloat16, max_abs_error=1.0)
    assert compare_output((TRUTH + 1e-3).bfloat16(), reference).errors["max_abs_error"] == 0.0


@pytest.mark.parametrize(
    ("output", "fault"),
    [
        (TRUTH.float() + 0.2, "max_abs_error 0.2 exceeds 0.1"),
        (TRUTH.float()[:1], r"shape \(1, 2\) returned, \(2, 2\) expected"),
        (TRUTH, "dtype torch.float64 returned, torch.float32 expected"),
        (torch.full((2, 2), float("nan")), "4 elements are NaN or infinite"),
        (torch.tensor([[1.0, 2.0], [3.0, float("inf")]]), "1 elements are NaN or infinite"),
        ([TRUTH.float(), TRUTH.float()], "2 tensors returned, 1 expected"),
        (None, "0 tensors returned, 1 expected"),
    ],
)
def test_a_wrong_output_is_rejected_with_the_reason(output: object, fault: str) -> None:
    assert re.search(fault, compare_output(output, REFERENCE).fault)


KINDS = Reference(
    {
        "": REFERENCE,
        "grad": Reference({"a": TRUTH, "b": TRUTH}, torch.float32, {"a": 0.1, "b": 0.01}),
        "last": Reference(TRUTH, max_abs_error=0.1, optional=True),
    }
)


def test_an_output_of_several_kinds_has_the_errors_of_each_and_may_lack_what_is_optional() -> None:
    right = TRUTH.float()
    check = compare_output((right, right + 0.05, right, right + 0.03), KINDS)
    assert check.fault == ""
    assert check.errors == pytest.approx(
        {"max_abs_error": 0, "rms_error": 0, "grad_max_abs_error": 0.05, "last_max_abs_error": 0.03}, rel=1e-5
    )
    assert "last_max_abs_error" not in compare_output((right, right, right), KINDS).errors


def test_each_tensor_is_held_to_its_own_bound_and_named() -> None:
    right = TRUTH.float()
    assert (
        compare_output((right, right + 0.05, right + 0.05), KINDS).fault == "grad: b: max_abs_error 0.05 exceeds 0.01"
    )
    assert compare_output((right, right, right, right + 0.2), KINDS).fault == "last: max_abs_error 0.2 exceeds 0.1"
    assert compare_output((right, right), KINDS).fault == "2 tensors returned, 3 or 4 expected"


def test_a_bound_that_is_no_number_accepts_nothing() -> None:
    assert compare_output(TRUTH, Reference(TRUTH + 0.01, max_abs_error=float("nan"))).fault


def test_where_the_truth_is_infinite_or_nan_only_the_same_will_do() -> None:
    reference = Reference(torch.tensor([float("inf"), float("nan"), 1.0]), max_abs_error=1e9)
    assert compare_output(torch.tensor([float("inf"), float("nan"), 2.0]), reference).errors["max_abs_error"] == 1.0
    for wrong in ([float("nan"), float("nan"), 1.0], [float("-inf"), float("nan"), 1.0], [0.0, float("nan"), 1.0]):
        assert compare_output(torch.tensor(wrong), reference).fault


def test_tensors_are_found_in_order_in_whatever_holds_them() -> None:
    @dataclass
    class Pair:
        b: torch.Tensor
        a: dict[str, object]

    one, two, three = (torch.tensor(float(i)) for i in range(3))
    found = list(walk_tensors(Pair(one, {"x": [two, "text", 3], "y": (three,)})))
    assert [int(t) for t in found] == [0, 1, 2]
