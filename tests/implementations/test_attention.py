"""Attention: every implementation against the reference, the reference against a formula, and faults that must show."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import types
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from harness.launch.checking import compare, tensors
from harness.probes.host_memory import peak_allocated
from implementations.attention import _reference as truth
from implementations.attention import workload as attention
from implementations.attention._mask import Mask

TILED = ("online_softmax", "online_softmax_lazy", "split_kv", "recompute_backward")
ON_CPU = ("naive", *TILED, "sdpa_flash", "sdpa_math")
WITH_GRADIENTS = ("naive", "recompute_backward", "sdpa_flash", "sdpa_math")
ELSEWHERE = ("flash_attn", "flash_attn_3", "flash_attn_4", "flash_triton", "sdpa_cudnn", "sdpa_efficient")
EVERYWHERE = (*ON_CPU, *ELSEWHERE, "flex_attention", "naive_compiled")
DEFAULTS = {axis.name: axis.parse(axis.default) for axis in attention.workload.axes}
# Queries, keys, causal, offset, window: squares, both alignments, more queries than keys, and windows that leave rows
# without a key on either side.
MASKS = [
    Mask(5, 5),
    Mask(5, 5, True),
    Mask(3, 7, True, 0),
    Mask(3, 7, True, 4),
    Mask(7, 3, True, 0),
    Mask(7, 3, True, -4),
    Mask(1, 9, True, 8),
    Mask(6, 6, True, 0, 2),
    Mask(6, 6, False, 0, 3),
    Mask(9, 3, True, 0, 2),
    Mask(9, 3, False, -6, 2),
    Mask(3, 9, False, 6, 1),
]


def point(**changes):
    """Return a point of few elements; ``passes`` stands for the axis whose name is a keyword."""
    renamed = {"pass" if name == "passes" else name: value for name, value in changes.items()}
    return dict(attention.workload.settle(DEFAULTS | {"seq": 64, "heads": 2} | renamed))


def draw(params, seed=0):
    return attention.workload.make_inputs(params, "cpu", torch.Generator().manual_seed(seed))


def module(name):
    return importlib.import_module(f"implementations.attention.{name}")


def build(name, inputs):
    return getattr(module(name), name)(inputs)


def requires(name):
    return getattr(module(name), name).__benchwright__.requires


def seen(mask):
    """Write a mask as a matrix, from its definition."""
    own = torch.arange(mask.queries).unsqueeze(1) + mask.offset
    keys = torch.arange(mask.keys)
    near = (keys - own).abs() < mask.window if mask.window else torch.ones(mask.queries, mask.keys, dtype=torch.bool)
    return near & (keys <= own) if mask.causal else near


def by_formula(x, dtype=torch.float64):
    """Return O, L and, where a gradient of O is given, the gradients of Q, K and V, from whole matrices by autograd."""
    q, k, v = leaves = [tensor.to(dtype).requires_grad_() for tensor in (x.q, x.k, x.v)]
    k, v = (tensor.repeat_interleave(q.shape[1] // tensor.shape[1], 1) for tensor in (k, v))
    visible = seen(x.mask)
    scores = (q @ k.mT * q.shape[-1] ** -0.5).masked_fill(~visible, -torch.inf)
    weights = torch.softmax(scores.masked_fill(~visible.any(1, keepdim=True), 0.0), -1)
    out = weights.masked_fill(~visible.any(1, keepdim=True), 0.0) @ v
    gradients = () if x.grad is None else torch.autograd.grad(out, leaves, x.grad.to(dtype))
    return out.detach(), scores.logsumexp(-1).detach(), *gradients


def fault(name_or_build, x):
    make = name_or_build if callable(name_or_build) else getattr(module(name_or_build), name_or_build)
    return compare(make(x)(), attention.workload.reference(x)).fault


class Watch(TorchDispatchMode):
    """Notes the operators that run below the composite ones, and the largest tensor that any returns."""

    def __init__(self):
        super().__init__()
        self.calls, self.largest = Counter(), 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.calls[func.overloadpacket.__name__] += 1
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.largest = max(self.largest, tensor.nbytes)
        return result


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


# Implementations


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("seq", [1, 64, 257])
@pytest.mark.parametrize("name", ON_CPU)
def test_agrees_with_the_reference(name, seq, causal, dtype):
    assert fault(name, draw(point(seq=seq, causal=causal, dtype=dtype))) == ""


@pytest.mark.parametrize("passes", ["backward", "forward_backward"])
@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("name", WITH_GRADIENTS)
def test_gradients_agree_with_the_reference(name, dtype, passes):
    assert fault(name, draw(point(seq=129, heads=4, kv_heads=2, causal=True, dtype=dtype, passes=passes))) == ""


SHAPES = [
    {"seq": 129, "batch": 2, "heads": 3, "head_dim": 40, "causal": True},
    {"seq": 300, "heads": 4, "kv_heads": 1, "window": 17, "causal": True},
    {"seq": 65, "window": 9},
    {"seq": 700, "seq_q": 1, "heads": 4, "kv_heads": 2},
    {"seq": 90, "seq_q": 40, "causal": "top_left"},
    {"seq": 90, "seq_q": 40, "causal": "bottom_right"},
    {"seq": 40, "seq_q": 90, "causal": "top_left"},
    {"seq": 20, "seq_q": 600, "causal": "top_left", "window": 5},
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: ",".join(f"{k}={v}" for k, v in shape.items()))
@pytest.mark.parametrize("name", ON_CPU)
def test_agrees_in_other_shapes_and_under_other_masks(name, shape):
    assert fault(name, draw(point(dtype="fp32", **shape))) == ""
    if name in WITH_GRADIENTS:
        assert fault(name, draw(point(dtype="fp32", passes="backward", **shape))) == ""


@pytest.mark.parametrize("name", ON_CPU)
def test_a_query_that_sees_no_key_has_an_output_and_gradients_of_zero(name):
    shape = {"seq": 40, "seq_q": 90, "causal": "bottom_right"}
    out, lse = [*tensors(build(name, draw(point(**shape)))()), None][:2]
    assert not out[:, :, :50].any()
    assert out[:, :, 50:].all()
    assert lse is None or (lse[:, :, :50] == -torch.inf).all()
    if name in WITH_GRADIENTS:
        dq, dk, dv = build(name, draw(point(passes="backward", **shape)))()
        assert not dq[:, :, :50].any()
        assert all(tensor.isfinite().all() for tensor in (dq, dk, dv))


@pytest.mark.parametrize("name", ["naive", "online_softmax", "sdpa_flash"])
def test_both_alignments_agree_where_there_are_as_many_queries_as_keys(name):
    left, right = (draw(point(causal=alignment)) for alignment in ("top_left", "bottom_right"))
    assert left.mask == right.mask
    outs = [next(tensors(build(name, x)())) for x in (left, right)]
    assert torch.equal(*outs)


@pytest.mark.parametrize(("seq", "tile"), [(130, (16, 16)), (300, (32, 64)), (300, (64, 48)), (1100, (256, 512))])
@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("name", TILED)
def test_the_result_does_not_depend_on_the_tile(monkeypatch, name, seq, tile, causal):
    monkeypatch.setattr(module(name), "QUERY_BLOCK", tile[0])
    if name == "split_kv":
        monkeypatch.setattr(module(name), "part_length", lambda keys: tile[1])
    else:
        monkeypatch.setattr(module(name), "KEY_BLOCK", tile[1])
    assert fault(name, draw(point(seq=seq, heads=1, causal=causal, inputs="outlier", dtype="fp32"))) == ""
    if name in WITH_GRADIENTS:
        assert fault(name, draw(point(seq=seq, heads=1, causal=causal, dtype="fp32", passes="backward"))) == ""


def test_lazy_rescaling_rescales_less_often(monkeypatch):
    counts, x = {}, draw(point(seq=1100, heads=1, dtype="fp32"))
    for tau in (0.0, 8.0):
        monkeypatch.setattr(module("online_softmax_lazy"), "TAU", tau)
        monkeypatch.setattr(module("online_softmax_lazy"), "KEY_BLOCK", 64)
        step = build("online_softmax_lazy", x)
        with Watch() as watch:
            step()
        counts[tau] = watch.calls["where"]
    assert counts[8.0] == -(-1100 // 256) < counts[0.0]


@pytest.mark.parametrize("passes", attention.PASSES)
@pytest.mark.parametrize("name", ON_CPU)
def test_a_step_reads_its_inputs_anew_and_leaves_them_alone(name, passes):
    params = point(causal=True, passes=passes)
    if requires(name).unsupported and requires(name).unsupported(params, "cpu"):
        return
    x, same, other = (draw(params, seed) for seed in (0, 0, 1))
    step = build(name, x)
    step()
    for ours, original in zip(tensors(x), tensors(same), strict=True):
        assert torch.equal(ours, original)
    for ours, theirs in zip(tensors(x), tensors(other), strict=True):
        ours.copy_(theirs)
    assert compare(step(), attention.workload.reference(other)).fault == ""


def test_a_backward_step_runs_no_forward_pass():
    step = build("sdpa_flash", draw(point(passes="backward")))
    with Watch() as watch:
        step()
    assert "_scaled_dot_product_flash_attention_for_cpu_backward" in watch.calls
    assert "_scaled_dot_product_flash_attention_for_cpu" not in watch.calls


@pytest.mark.parametrize(
    ("name", "present", "absent"),
    [
        ("sdpa_flash", "_scaled_dot_product_flash_attention_for_cpu", "bmm"),
        ("sdpa_math", "bmm", "_scaled_dot_product_flash_attention_for_cpu"),
    ],
)
def test_the_backend_is_forced(name, present, absent):
    step = build(name, draw(point()))
    with Watch() as watch:
        step()
    assert present in watch.calls
    assert absent not in watch.calls


def test_a_backend_that_cannot_run_is_not_replaced_by_another():
    with pytest.raises(RuntimeError, match="No viable backend"):
        build("sdpa_cudnn", draw(point()))()


# Faults that the check must reject


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
    x = draw(point(**{"seq": 1100, "heads": 1, "dtype": dtype} | changes))
    assert fault(broken(name, old, new), x)


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
    x = draw(point(seq=300, heads=2, kv_heads=1, causal=True, dtype=dtype, passes="backward"))
    assert fault("recompute_backward", x) == ""
    assert "grad: " in fault(broken("recompute_backward", old, new), x)


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
    x = draw(point(dtype=dtype, **asked))
    wrong = replace(x, mask=replace(x.mask, **computed))
    assert compare(build(name, wrong)(), attention.workload.reference(x)).fault


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_probabilities_that_are_summed_in_fp16_are_rejected(dtype):
    x = draw(point(seq=1100, heads=1, dtype=dtype))
    q, k, v = (tensor.float() for tensor in (x.q, x.k, x.v))
    weights = torch.exp(q @ k.mT * x.scale).half()
    total = torch.zeros_like(weights[..., :1])
    for key in range(weights.shape[-1]):
        total += weights[..., key : key + 1]
    lse = total.float().log().squeeze(-1)
    assert fault(lambda x: lambda: ((weights.float() @ v / total.float()).to(x.q.dtype), lse), x)


def test_products_of_lower_precision_are_rejected():
    low = broken(
        "naive", "(grouped @ k.unsqueeze(2).mT)", "(grouped.bfloat16() @ k.unsqueeze(2).bfloat16().mT).float()"
    )
    assert "exceeds" in fault(low, draw(point(seq=300, dtype="fp32")))


def test_an_output_in_another_dtype_is_rejected():
    x = draw(point(dtype="bf16"))
    assert "dtype" in compare(build("naive", x)().float(), attention.workload.reference(x)).fault


def test_an_output_where_gradients_are_asked_for_is_rejected():
    x = draw(point(passes="backward"))
    assert (
        "3 expected" in compare(build("naive", replace(x, passes="forward"))(), attention.workload.reference(x)).fault
    )


# The reference


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


# What is declared


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


@pytest.mark.parametrize(
    ("passes", "products"), [("forward", 2), ("backward", 4), ("forward_backward", 6)], ids=attention.PASSES
)
@pytest.mark.parametrize(
    "changes",
    [{}, {"causal": True}, {"seq_q": 5, "causal": "bottom_right"}, {"window": 4}, {"v_dim": 24, "kv_heads": 1}],
    ids=str,
)
def test_flops_are_those_of_each_pair_that_is_seen(changes, passes, products):
    params = point(**{"seq": 17, "batch": 3, "head_dim": 40, "passes": passes} | changes)
    sizes = attention.Sizes.of(params)
    multiply_and_add, features = 2, (sizes.head_dim + sizes.v_dim) / 2
    counted = seen(sizes.mask).sum().item() * multiply_and_add * products * features * 3 * 2
    assert attention.workload.cost(params).flops == counted


@pytest.mark.parametrize("passes", attention.PASSES)
@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
def test_bytes_are_those_of_the_tensors(dtype, passes):
    params = point(seq=33, batch=2, kv_heads=1, v_dim=24, dtype=dtype, passes=passes)
    x = draw(params)
    inputs, returned = (sum(tensor.nbytes for tensor in tensors(some)) for some in (x, build("naive", x)()))
    assert attention.workload.input_bytes(params) == inputs
    assert attention.output_bytes(params) == returned
    # Between the passes: O, and one float32 log-sum-exp a row, written by one and read by the other.
    lse, out = 4 * 2 * 2 * 33, 2 * 2 * 33 * 24 * x.q.element_size()
    again = {"forward": 0, "backward": out + lse, "forward_backward": out + 2 * lse}[passes]
    forward_again = inputs - out if passes == "forward_backward" else 0
    assert attention.workload.cost(params).bytes == inputs + returned + again + forward_again


@pytest.mark.parametrize(
    ("written", "settled"),
    [
        ({"causal": "top_left"}, {"causal": True}),
        ({"causal": "bottom_right"}, {"causal": True}),
        ({"causal": True, "seq_q": 32}, {"causal": "bottom_right"}),
        ({"causal": True, "seq_q": 1}, {"causal": False}),
        ({"causal": "top_left", "seq_q": 1}, {"causal": "top_left"}),
        ({"seq_q": 64, "kv_heads": 2, "v_dim": 64}, {"seq_q": "same", "kv_heads": "same", "v_dim": "same"}),
        ({"kv_heads": 1}, {"kv_heads": 1}),
        ({"window": 64}, {"window": "none"}),
        ({"window": 63}, {"window": 63}),
        ({"window": 1, "causal": True}, {"window": 1, "causal": False}),
    ],
    ids=str,
)
def test_two_spellings_of_one_question_are_one_case(written, settled):
    found = attention.workload.settle(DEFAULTS | {"seq": 64, "heads": 2} | written)
    assert {name: found[name] for name in settled} == settled


def test_heads_that_cannot_share_evenly_are_no_question():
    with pytest.raises(ValueError, match="6 heads cannot share 4 key heads"):
        attention.workload.settle(DEFAULTS | {"heads": 6, "kv_heads": 4})


def test_names_of_cases_leave_out_what_is_as_usual():
    assert [name for name, _ in attention.workload.point(point())] == [
        "seq",
        "batch",
        "heads",
        "head_dim",
        "causal",
        "dtype",
    ]


def test_outliers_are_one_entry_in_a_thousand():
    x = draw(point(seq=4096, inputs="outlier", dtype="fp32"))
    assert 0.0003 < (x.q.abs() > 6).float().mean() < 0.0008  # of N(0, 100), 55 % lie beyond 6
    assert (draw(point(seq=4096, dtype="fp32")).q.abs() > 6).sum() == 0


def test_a_seed_fixes_the_inputs_and_the_draws_differ():
    first, again, other = (draw(point(), seed) for seed in (0, 0, 1))
    assert torch.equal(first.q, again.q)
    assert torch.equal(first.v, again.v)
    assert not torch.equal(first.q, other.q)
    assert not torch.equal(first.q, first.k)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("passes", "causal"), [("forward", False), ("forward", True), ("backward", True)])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ON_CPU)
def test_predicted_memory_is_what_the_allocator_hands_out(passes, name, dtype, causal):
    params = point(
        seq=1024, heads=2 if name in ("naive", "sdpa_math") else 8, causal=causal, dtype=dtype, passes=passes
    )
    if requires(name).unsupported and requires(name).unsupported(params, "cpu"):
        return
    x = draw(params)
    allocated = peak_allocated(lambda: build(name, x)())["peak_allocated"]
    scratch = 2 << 20  # of the libraries' matrix products, by processor
    packs = name == "sdpa_flash" and dtype == "bf16"  # by processor, too: only some need what is predicted
    assert allocated - scratch <= requires(name).memory(params) <= (3.5 if packs else 1.35) * allocated


@pytest.mark.parametrize(
    ("name", "changes", "device", "reason"),
    [
        ("sdpa_flash", {"dtype": "fp32"}, "cuda", "no fp32"),
        ("sdpa_flash", {"head_dim": 264}, "cuda", "at most 256"),
        ("sdpa_flash", {"dtype": "fp32", "head_dim": 264}, "cpu", ""),
        ("sdpa_flash", {"head_dim": 256}, "cuda", ""),
        ("sdpa_cudnn", {"dtype": "fp32"}, "cuda", "no fp32"),
        ("sdpa_cudnn", {"head_dim": 136}, "cuda", "multiple of 8 and at most 128"),
        ("sdpa_cudnn", {"head_dim": 60}, "cuda", "multiple of 8 and at most 128"),
        ("sdpa_cudnn", {"seq": 1}, "cuda", "length 1"),
        ("sdpa_cudnn", {"head_dim": 128}, "cuda", ""),
        ("sdpa_efficient", {"head_dim": 36, "dtype": "bf16"}, "cuda", "multiple of 8 in bf16"),
        ("sdpa_efficient", {"head_dim": 36, "dtype": "fp32"}, "cuda", ""),
        ("sdpa_flash", {"v_dim": 32}, "cpu", "one head_dim"),
        ("sdpa_flash", {"seq_q": 8, "causal": "top_left"}, "cuda", "no mask but a causal one"),
        ("sdpa_flash", {"seq_q": 8}, "cuda", ""),
        ("sdpa_flash", {"dtype": "tf32"}, "cpu", "CUDA's tensor cores"),
        ("naive", {"dtype": "tf32"}, "cpu", "CUDA's tensor cores"),
        ("naive", {"dtype": "tf32"}, "cuda", ""),
        ("online_softmax", {"passes": "backward"}, "cpu", "only the forward pass"),
        ("flex_attention", {"passes": "backward"}, "cpu", "no backward pass on the CPU"),
        ("flex_attention", {"passes": "backward"}, "cuda", ""),
        ("flash_attn", {"dtype": "fp32"}, "cuda", "no fp32"),
        ("flash_attn", {"seq_q": 8, "causal": "top_left"}, "cuda", "bottom right"),
        ("flash_attn", {"seq_q": 8, "causal": "bottom_right", "window": 3, "kv_heads": 1}, "cuda", ""),
        ("flash_attn_3", {"head_dim": 192, "v_dim": 128}, "cuda", ""),
        ("flash_triton", {"head_dim": 257}, "cuda", "at most 256"),
        ("flash_triton", {"v_dim": 300}, "cuda", "at most 256"),
    ],
)
def test_a_point_that_cannot_be_done_has_a_reason(name, changes, device, reason):
    found = requires(name).unsupported(point(**changes), device)
    assert (reason in found) if reason else (found == "")


def test_the_catalog_finds_all_without_loading_torch():
    script = """
import json, sys
from harness.catalog import load_catalog
catalog = load_catalog()
found = catalog.implementations["attention"].values()
memory = [one.requires.memory(json.loads(sys.argv[1])) for one in found]
broken = [line for line in catalog.broken if "attention" in line]
print(json.dumps([[one.name for one in found], [one.help for one in found], memory, broken,
    [name for name in ("torch._C", "triton._C") if name in sys.modules]]))
"""
    child = subprocess.run(
        [sys.executable, "-c", script, json.dumps(DEFAULTS)], capture_output=True, text=True, check=True
    )
    names, helps, memory, broken, loaded = json.loads(child.stdout)
    assert sorted(names) == sorted(EVERYWHERE)
    assert all(text.endswith(".") for text in helps)
    assert all(isinstance(size, int) and size > 0 for size in memory)
    assert broken == []
    assert loaded == []
