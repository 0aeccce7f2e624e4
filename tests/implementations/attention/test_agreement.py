"""Every implementation of attention that runs here against the reference, over shapes, masks, dtypes and passes."""

from __future__ import annotations

import pytest
import torch

from harness.launch.worker.checking import compare_output, walk_tensors
from implementations.attention import workload as attention
from tests.implementations.attention.problems import (
    ON_CPU,
    TILED,
    WITH_GRADIENTS,
    Watch,
    build,
    draw,
    fault,
    module,
    point,
    requires,
    truth,
)


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("seq", [1, 64, 257])
@pytest.mark.parametrize("name", ON_CPU)
def test_agrees_with_the_reference(name, seq, causal, dtype):
    assert fault(name, point(seq=seq, causal=causal, dtype=dtype)) == ""


@pytest.mark.parametrize("passes", ["backward", "forward_backward"])
@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("name", WITH_GRADIENTS)
def test_gradients_agree_with_the_reference(name, dtype, passes):
    assert fault(name, point(seq=129, heads=4, kv_heads=2, causal=True, dtype=dtype, passes=passes)) == ""


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
    assert fault(name, point(dtype="fp32", **shape)) == ""
    if name in WITH_GRADIENTS:
        assert fault(name, point(dtype="fp32", passes="backward", **shape)) == ""


@pytest.mark.parametrize("name", ON_CPU)
def test_a_query_that_sees_no_key_has_an_output_and_gradients_of_zero(name):
    shape = {"seq": 40, "seq_q": 90, "causal": "bottom_right"}
    out, lse = [*walk_tensors(build(name, draw(point(**shape)))()), None][:2]
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
    outs = [next(walk_tensors(build(name, x)())) for x in (left, right)]
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
    assert fault(name, point(seq=seq, heads=1, causal=causal, inputs="outlier", dtype="fp32")) == ""
    if name in WITH_GRADIENTS:
        assert fault(name, point(seq=seq, heads=1, causal=causal, dtype="fp32", passes="backward")) == ""


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
    for ours, original in zip(walk_tensors(x), walk_tensors(same), strict=True):
        assert torch.equal(ours, original)
    for ours, theirs in zip(walk_tensors(x), walk_tensors(other), strict=True):
        ours.copy_(theirs)
    assert compare_output(step(), truth(params, 1)).fault == ""


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
