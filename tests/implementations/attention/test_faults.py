"""Faults in attention that the check must reject."""

from __future__ import annotations

import types
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.implementations.attention.problems import (
    build,
    draw,
    fault,
    module,
    point,
)


def broken(name, old, new):
    """Return an implementation whose source has one fault in it."""
    source = Path(module(name).__file__).read_text()
    assert source.count(old) == 1
    faulty = types.ModuleType(f"broken_{name}")
    exec(compile(source.replace(old, new), f"broken {name}", "exec"), faulty.__dict__)
    return getattr(faulty, name)


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize(
    ("name", "old", "new", "changes"),
    [
        pytest.param("online_softmax", "sums.mul_(rescale).b", "sums.b", {}, id="rescale of O dropped"),
        pytest.param("online_softmax", "total.mul_(rescale).a", "total.a", {}, id="rescale of l dropped"),
        pytest.param("online_softmax", ".float() * scale", ".float()", {}, id="tiled without scale"),
        pytest.param("online_softmax", "(highest + total.log())", "highest", {}, id="L without l"),
        pytest.param("online_softmax", "(hidden, -", "(~hidden, -", {"causal": True}, id="tiled mask inverted"),
        pytest.param("online_softmax_lazy", "sums.mul_(rescale)", "", {"inputs": "outlier"}, id="lazy rescale dropped"),
        pytest.param("online_softmax_lazy", "stale = stale, ", "stale = highest, ", {"inputs": "outlier"}, id="stale"),
        pytest.param("split_kv", "(shares * outs)", "outs.div_(len(outs))", {}, id="parts averaged"),
        pytest.param("naive", ".mul_(scale)", "", {}, id="without scale"),
        pytest.param("naive", "if hidden is not", "if hidden is", {"causal": True}, id="mask dropped"),
        pytest.param("naive", "masked_fill_(hidden", "masked_fill_(~hidden", {"causal": True}, id="mask inverted"),
        pytest.param(
            "naive",
            "(1, (k.shape[1], group))",
            "(1, (group, k.shape[1])).transpose(1, 2)",
            {"heads": 4, "kv_heads": 2},
            id="heads of Q with those of K that are not theirs",
        ),
    ],
)
def test_a_fault_is_rejected(name, old, new, changes, dtype):
    assert fault(broken(name, old, new), point(**{"seq": 1100, "heads": 1, "dtype": dtype} | changes))


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("(scores.mT, queries)", "(scores.mT, queries / scale)", id="dK without scale"),
        pytest.param("found.mul_(scale)", "found", id="dQ without scale"),
        pytest.param(".sub_(through)", "", id="D dropped"),
        pytest.param("weights.mT, upstream", "weights.mT, outs", id="dV from O"),
        pytest.param(".sub_(level).exp_()", ".exp_()", id="P without L"),
    ],
)
def test_a_fault_in_the_gradients_is_rejected(old, new, dtype):
    params = point(seq=300, heads=2, kv_heads=1, causal=True, dtype=dtype, passes="backward")
    assert fault("recompute_backward", params) == ""
    assert "grad: " in fault(broken("recompute_backward", old, new), params)


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("name", ["naive", "online_softmax", "sdpa_flash"])
@pytest.mark.parametrize(
    ("asked", "computed"),
    [
        ({"causal": True}, {"offset": 1}),
        ({"causal": True}, {"offset": -1}),
        ({"seq": 90, "seq_q": 40, "causal": "bottom_right"}, {"offset": 0}),
        ({"seq": 90, "seq_q": 40, "causal": "top_left"}, {"offset": 50}),
        ({"window": 9}, {"window": 10}),
        ({"window": 9, "causal": True}, {"causal": False}),
    ],
    ids=["one too short", "one too far", "top left", "bottom right", "window too wide", "window on both sides"],
)
def test_a_misaligned_mask_is_rejected(asked, computed, name, dtype):
    assert fault(lambda x: build(name, replace(x, mask=replace(x.mask, **computed))), point(dtype=dtype, **asked))


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_probabilities_that_are_summed_in_fp16_are_rejected(dtype):
    params = point(seq=1100, heads=1, dtype=dtype)
    x = draw(params)
    q, k, v = (tensor.float() for tensor in (x.q, x.k, x.v))
    weights = torch.exp(q @ k.mT * x.scale).half()
    total = torch.zeros_like(weights[..., :1])
    for key in range(weights.shape[-1]):
        total += weights[..., key : key + 1]
    lse = total.float().log().squeeze(-1)
    assert fault(lambda x: lambda: ((weights.float() @ v / total.float()).to(x.q.dtype), lse), params)


def test_products_of_lower_precision_are_rejected():
    low = broken(
        "naive", "(grouped @ k.unsqueeze(2).mT)", "(grouped.bfloat16() @ k.unsqueeze(2).bfloat16().mT).float()"
    )
    assert "exceeds" in fault(low, point(seq=300, dtype="fp32"))


def test_an_output_in_another_dtype_is_rejected():
    assert "dtype" in fault(lambda x: lambda: build("naive", x)().float(), point(dtype="bf16"))


def test_an_output_where_gradients_are_asked_for_is_rejected():
    assert "3 expected" in fault(lambda x: build("naive", replace(x, passes="forward")), point(passes="backward"))
