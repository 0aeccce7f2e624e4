"""What attention declares of its questions: cost, memory, names, inputs, and points that cannot be done."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from harness.launch.worker.checking import walk_tensors
from harness.probes.host_memory import measure_peak_allocated
from implementations.attention import workload as attention
from tests.implementations.attention.problems import (
    DEFAULTS,
    EVERYWHERE,
    ON_CPU,
    build,
    draw,
    mark,
    point,
    requires,
    seen,
)


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
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("naive", {"causal": True}),
        ("naive", {"kv_heads": 1, "v_dim": 24}),
        ("sdpa_math", {"window": 5}),
        ("recompute_backward", {"kv_heads": 1, "v_dim": 24}),
    ],
    ids=str,
)
def test_hardware_flops_are_those_of_the_products_that_a_step_carries_out(name, changes, passes):
    params = point(**{"passes": passes, "dtype": "fp32"} | changes)
    step = build(name, draw(params))
    # Torch's counter knows products that are added in place only if it is told of them.
    in_place = {torch.ops.aten.baddbmm_: lambda total, a, b, **rest: 2 * a.numel() * b[-1]}
    with FlopCounterMode(display=False, custom_mapping=in_place) as counter:
        step()
    assert mark(name).hardware_flops(params) == counter.get_total_flops()


@pytest.mark.parametrize(("name", "share"), [("flash_attn", 2.5), ("flash_triton", 3.5), ("flex_attention", 3.5)])
def test_a_backward_pass_that_keeps_no_scores_computes_them_again(name, share):
    ahead, back, both = (mark(name).hardware_flops(point(causal=True, passes=passes)) for passes in attention.PASSES)
    assert ahead == attention.workload.cost(point(causal=True)).flops
    assert (back, both) == (share * ahead, (1 + share) * ahead)


def test_a_mask_that_is_a_matrix_to_torch_saves_it_no_work():
    causal, window = (mark("sdpa_flash").hardware_flops(point(**one)) for one in ({"causal": True}, {"window": 9}))
    assert (causal, window) == (
        attention.workload.cost(point(causal=True)).flops,
        attention.workload.cost(point()).flops,
    )


@pytest.mark.parametrize("passes", attention.PASSES)
@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
def test_bytes_are_those_of_the_tensors(dtype, passes):
    params = point(seq=33, batch=2, kv_heads=1, v_dim=24, dtype=dtype, passes=passes)
    x = draw(params)
    inputs, returned = (sum(tensor.nbytes for tensor in walk_tensors(some)) for some in (x, build("naive", x)()))
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


@pytest.fixture
def threads(name):
    """As many threads as what is predicted is of: torch's flash kernel alone takes scratch for each, and says two."""
    torch.set_num_threads(2 if name == "sdpa_flash" else 1)
    yield
    torch.set_num_threads(1)


@pytest.mark.usefixtures("threads")
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
    allocated = measure_peak_allocated(lambda: build(name, x)())["peak_allocated"]
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
