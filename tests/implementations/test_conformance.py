"""What every implementation owes its workload: found by the catalog, and checked by the harness's own check."""

from __future__ import annotations

from functools import cache, partial

import pytest
import torch

from harness.catalog import load_catalog
from harness.core.workload import Implementation, Params, Reference
from harness.detect import detect_environment
from harness.launch.worker.checking import compare_output, walk_tensors
from harness.plan import find_unmet_requirement

CATALOG = load_catalog(lazily=False)
ALL = [one for known in CATALOG.implementations.values() for one in known.values()]
# Small points of each workload, as on the command line.
POINTS = {
    "all_reduce": [{"bytes": "4004"}, {"bytes": "4k", "dtype": "bf16", "world_size": "3"}],
    "attention": [
        {"seq": "65", "heads": "4", "kv_heads": "2", "causal": "true", "dtype": "fp32"},
        {"seq": "64"},
        {"seq": "65", "heads": "2", "window": "9", "dtype": "fp16"},
        {"seq": "700", "heads": "2", "kv_heads": "1", "seq_q": "1", "head_dim": "32"},
        {"seq": "70", "seq_q": "33", "heads": "1", "causal": "top_left", "dtype": "fp32"},
        {"seq": "33", "seq_q": "70", "heads": "1", "causal": "bottom_right"},
        {"seq": "65", "heads": "2", "head_dim": "48", "v_dim": "32"},
        {"seq": "129", "heads": "2", "inputs": "outlier", "causal": "true"},
        {"seq": "65", "heads": "2", "kv_heads": "1", "causal": "true", "pass": "backward"},
        {
            "seq": "33",
            "seq_q": "70",
            "heads": "1",
            "causal": "bottom_right",
            "pass": "forward_backward",
            "dtype": "fp32",
        },
    ],
    "bandwidth": [{"bytes": "64KiB"}, {"bytes": "24"}],
    "calibration": [{"duration": "1us", "bytes": "64KiB"}],
    "decoding": [
        {"model": "random:tiny", "new_tokens": "12", "prefill": "64"},
        {
            "model": "random:tiny",
            "new_tokens": "9",
            "prefill": "64",
            "dtype": "bf16",
            "batch": "3",
            "prompts": "copying",
        },
        {"model": "random:tiny", "new_tokens": "8", "prefill": "64", "temperature": "1", "count": "2"},
    ],
    "gemm": [{"n": "64", "dtype": "fp64"}, {"n": "64"}, {"n": "65", "dtype": "bf16"}, {"n": "33", "dtype": "fp16"}],
    "precision": [
        {"batch": "2", "seq": "16"},
        {"batch": "2", "seq": "16", "pass": "forward"},
        {"batch": "2", "seq": "16", "pass": "forward_backward", "optimizer": "sgd"},
        {"batch": "2", "model": "mlp"},
    ],
    "scaling": [{"batch": "2", "seq": "16"}, {"batch": "4", "model": "mlp", "scale": "strong", "optimizer": "sgd"}],
}
# A step of training goes on from the last one, so that only a first one has an answer.
GOING_ON = {"precision", "scaling"}
# What compiles for a quarter of a minute is tried at the first point, and at the first that has gradients.
COMPILED = {"naive_compiled", "flex_attention"}


def points(workload: str) -> list[Params]:
    known = CATALOG.workload(workload)
    return [
        known.settle({axis.name: axis.values(point.get(axis.name, axis.default))[0] for axis in known.axes})
        for point in POINTS[workload]
    ]


def points_of(one: Implementation) -> list[Params]:
    every = points(one.workload)
    return [every[0], next(point for point in every if point["pass"] == "backward")] if one.name in COMPILED else every


@cache
def reference(workload: str, position: int, seed: int) -> Reference:
    """Return the right answer at a point, which is that of all implementations."""
    known, params = CATALOG.workload(workload), points(workload)[position]
    return known.reference(known.make_inputs(params, "cpu", torch.Generator().manual_seed(seed)))


def test_every_workload_has_points_to_be_tried_at() -> None:
    assert set(POINTS) == set(CATALOG.workloads)


@pytest.mark.parametrize("one", ALL, ids=lambda one: f"{one.workload}/{one.name}")
def test_an_implementation_has_a_sentence_of_help(one: Implementation) -> None:
    assert one.help.endswith(".")
    assert len(one.help) > 20


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # of torch's own use of it, when it compiles
@pytest.mark.parametrize("one", ALL, ids=lambda one: f"{one.workload}/{one.name}")
def test_an_implementation_is_right_twice_and_leaves_its_inputs_alone(one: Implementation) -> None:
    if reason := find_unmet_requirement(one.requires, detect_environment(), "cpu"):
        pytest.skip(reason)
    if one.requires.world_size:
        pytest.skip("ranks are tried as ranks, by the tests of their workload")
    workload = CATALOG.workload(one.workload)
    for params in points_of(one):
        right = partial(reference, one.workload, points(one.workload).index(params))
        if one.requires.unsupported and one.requires.unsupported(params, "cpu"):
            continue
        inputs, same, other = (
            workload.make_inputs(params, "cpu", torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
        )
        step, judge = one.build(inputs), workload.check or compare_output
        for _ in range(1 if one.workload in GOING_ON else 2):
            assert judge(step(), right(0)).fault == ""
        for ours, original in zip(walk_tensors(inputs), walk_tensors(same), strict=True):
            assert torch.equal(ours, original)
        for ours, changed in zip(walk_tensors(inputs), walk_tensors(other), strict=True):
            ours.copy_(changed)
        assert judge(step(), right(1)).fault == ""


@pytest.mark.parametrize("name", sorted(CATALOG.workloads))
def test_a_workload_states_the_size_of_its_inputs(name: str) -> None:
    workload = CATALOG.workload(name)
    for params in points(name):
        inputs = workload.make_inputs(params, "cpu", torch.Generator().manual_seed(0))
        assert workload.input_bytes(params) == sum(t.numel() * t.element_size() for t in walk_tensors(inputs))
