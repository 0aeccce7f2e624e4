"""The reference of attention, its bounds and its masks against their definitions."""

from __future__ import annotations

import pytest
import torch

from implementations.attention import _reference as truth
from implementations.attention import workload as attention
from implementations.attention._mask import Mask
from tests.implementations.attention.problems import (
    MASKS,
    Watch,
    by_formula,
    draw,
    point,
    seen,
)


@pytest.mark.parametrize("block_bytes", [1, 20_000, 4 << 20])
@pytest.mark.parametrize("mask", MASKS, ids=str)
def test_reference_is_the_formula_in_float64(monkeypatch, mask, block_bytes):
    monkeypatch.setattr(truth, "BLOCK_BYTES", block_bytes)
    drawn = (torch.randn(2, 4, mask.queries, 8), torch.randn(2, 2, mask.keys, 8), torch.randn(2, 2, mask.keys, 6))
    x = attention.AttentionInputs(*drawn, mask, "forward_backward", "fp32", torch.randn(2, 4, mask.queries, 6))
    found = truth.answer(x, truth.Arithmetic(torch.float64))
    for ours, formula in zip(found.values(), by_formula(x), strict=True):
        assert ours.dtype == torch.float64
        torch.testing.assert_close(ours, formula, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("passes", attention.PASSES)
def test_reference_has_what_the_pass_asks_for(passes):
    x = draw(point(dtype="bf16", passes=passes))
    kinds = attention.workload.reference(x).value
    assert list(kinds) == {"forward": ["", "lse"], "backward": ["grad"], "forward_backward": ["", "grad"]}[passes]
    assert {kind.dtype for name, kind in kinds.items() if name != "lse"} == {torch.bfloat16}
    assert [name for name, kind in kinds.items() if kind.optional] == [name for name in kinds if name == "lse"]


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
def test_bounds_are_two_and_three_times_the_errors_of_the_plain_version(dtype, causal):
    x = draw(point(seq=300, causal=causal, dtype=dtype, passes="forward_backward"))
    exact, close = by_formula(x), by_formula(x, x.q.dtype)
    out, _, dq, dk, dv = ((a - b.double()).abs().max().item() for a, b in zip(exact, close, strict=True))
    kinds = attention.workload.reference(x).value
    # The plain version sums in another order than the formula, which matters where rounding is fine.
    assert kinds[""].max_abs_error == pytest.approx(2 * out + 1e-5, rel=0.3)
    for name, error in {"dq": dq, "dk": dk, "dv": dv}.items():
        assert kinds["grad"].max_abs_error[name] == pytest.approx(3 * error + 1e-5, rel=0.3)


def test_tf32_keeps_ten_bits_of_mantissa():
    values = torch.tensor([1.0, 1 + 2.0**-10, 1 + 2.0**-11, 1 + 2.0**-12, -1 - 2.0**-11, 0.0])
    assert truth.to_tf32(values).tolist() == [1.0, 1 + 2.0**-10, 1 + 2.0**-10, 1.0, -1 - 2.0**-10, 0.0]
    bounds = [attention.workload.reference(draw(point(dtype=dtype))).value[""] for dtype in ("fp32", "tf32", "bf16")]
    assert bounds[0].max_abs_error < bounds[1].max_abs_error < bounds[2].max_abs_error


def test_reference_never_holds_the_whole_matrix(monkeypatch):
    monkeypatch.setattr(truth, "BLOCK_BYTES", 1 << 16)
    x = draw(point(seq=1024, passes="forward_backward"))
    with Watch() as watch:
        attention.workload.reference(x)
    assert watch.largest == 2 * 1024 * 64 * 8  # the answer itself


@pytest.mark.parametrize("mask", MASKS, ids=str)
def test_a_mask_is_what_its_definition_says(mask):
    visible, device = seen(mask), torch.device("cpu")
    assert mask.pairs == visible.sum()
    assert mask.full == visible.all()
    for query, row in enumerate(visible):
        first, end = mask.span(query)
        assert row.nonzero().flatten().tolist() == list(range(first, end))
    hidden = mask.hidden(range(mask.queries), range(mask.keys), device)
    assert hidden is None if visible.all() else torch.equal(hidden, ~visible)
    blind = mask.blind(device)
    assert torch.equal(
        torch.zeros(mask.queries, 1, dtype=torch.bool) if blind is None else blind, ~visible.any(1, True)
    )


@pytest.mark.parametrize("mask", [*MASKS, Mask(50, 70, True, 20, 9)], ids=str)
@pytest.mark.parametrize("tile", [(1, 1), (2, 3), (16, 8), (64, 64)])
def test_tiles_cover_what_is_seen_and_hide_the_rest(mask, tile):
    covered = torch.zeros(mask.queries, mask.keys, dtype=torch.int)
    for queries, blocks in mask.tiles(*tile, torch.device("cpu")):
        for keys, hidden in blocks:
            covered[queries, keys] += 1 if hidden is None else (~hidden).int()
    assert torch.equal(covered, seen(mask).int())
