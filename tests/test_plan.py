from __future__ import annotations

import json
import math
import reprlib
from dataclasses import replace

import numpy as np
import pytest

from harness import Axis, Cost, Reference, Requires, Workload
from harness.catalog import Catalog
from harness.core.case import write_group
from harness.core.environment import Environment, Gpu
from harness.core.errors import UsageError
from harness.core.suite import Policy, Selection
from harness.core.workload import Implementation, Params
from harness.detect import detect_environment, read_available_memory
from harness.plan import Plan, make_plan

GPU = Gpu(0, "A100", "GPU-1", (8, 0), 80 << 30, 79 << 30)


def environment(*gpus: Gpu) -> Environment:
    return replace(
        detect_environment(), gpus=gpus, gpu_reason="" if gpus else "no driver", torch_cuda="13.0" if gpus else ""
    )


def catalog(**requires: Requires) -> Catalog:
    workload = Workload(
        "work",
        "help",
        (Axis.integer("n", 4, "size"), Axis.boolean("causal", False, "mask")),
        make_inputs=lambda params, device, generator: None,
        reference=lambda inputs: Reference(None),
        baseline="plain",
        cost=lambda params: Cost(flops=float(params["n"])),
        input_bytes=lambda params: int(params["n"]),
    )
    requires = {"plain": Requires(), **requires}
    known = {
        name: Implementation("work", name, "", r, lambda inputs: lambda: None, "f.py") for name, r in requires.items()
    }
    return Catalog({"work": workload}, {"work": known})


def plan(content: Catalog, axes: dict[str, str] | None = None, *gpus: Gpu, **policy: object) -> Plan:
    selection = Selection("work", (), axes or {})
    return make_plan(content, [selection], Policy(**policy), environment(*gpus))  # type: ignore[arg-type]


def skips(found: Plan) -> dict[str, str]:
    return {planned.case.implementation: planned.skip for group in found.groups for planned in group.cases}


def test_a_sweep_is_the_product_of_its_axes_and_each_point_a_group() -> None:
    found = plan(catalog(), {"n": "1k,2k", "causal": "true,false"})
    assert [group.id for group in found.groups] == [
        "work[n=1024,causal=true]",
        "work[n=1024,causal=false]",
        "work[n=2048,causal=true]",
        "work[n=2048,causal=false]",
    ]
    assert found.groups[0].cases[0].case.id == "work/plain[n=1024,causal=true]"
    assert found.groups[0].cases[0].cost.flops == 1024


def test_the_baseline_comes_first() -> None:
    found = plan(catalog(better=Requires()))
    assert [planned.case.implementation for planned in found.groups[0].cases] == ["plain", "better"]


@pytest.mark.parametrize(
    ("requires", "reason"),
    [
        (Requires(device="cuda"), "needs CUDA: no CUDA device here (no driver)"),
        (Requires(modules=("no_such_module",)), "needs the module no_such_module"),
        (Requires(unsupported=lambda params, device: f"no n={params['n']} on {device}"), "no n=4 on cpu"),
    ],
)
def test_a_case_that_cannot_run_is_planned_with_its_reason(requires: Requires, reason: str) -> None:
    assert skips(plan(catalog(other=requires))) == {"plain": "", "other": reason}


def test_a_gpu_that_is_too_old_is_a_reason() -> None:
    found = plan(catalog(hopper=Requires(device="cuda", capability=(9, 0))), None, GPU)
    assert skips(found)["hopper"] == "needs compute capability 9.0, and A100 has 8.0"
    assert (found.policy.device, found.policy.mode) == ("cuda:0", "cold")


def test_memory_beyond_what_is_free_is_a_skip_with_the_numbers() -> None:
    found = plan(catalog(huge=Requires(memory=lambda params: 1 << 50)))
    assert skips(found)["plain"] == ""
    assert skips(found)["huge"].startswith("needs 1024 TiB of memory, and ")


@pytest.mark.parametrize("declared", [96.0, math.nan, "96", None, -1, 1 << 80])
def test_memory_that_is_not_a_whole_number_of_bytes_is_refused_by_name(declared: object) -> None:
    requires = Requires(memory=lambda params: declared)  # type: ignore[arg-type, return-value]
    reason = skips(plan(catalog(other=requires)))["other"]
    assert reason.startswith("what it requires cannot be told: memory= of work/other returned ")
    assert reason.endswith(f"{reprlib.repr(declared)}; a whole number of bytes is needed")


@pytest.mark.parametrize("declared", [2.0, 0, None, "two"])
def test_ranks_that_are_not_a_whole_number_are_refused_by_name(declared: object) -> None:
    requires = Requires(world_size=lambda params: declared)  # type: ignore[arg-type, return-value]
    assert f"world_size= of work/other returned {declared!r}" in skips(plan(catalog(other=requires)))["other"]


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        (
            True,
            "what it requires cannot be told: unsupported= of work/other returned True; a reason in words is needed",
        ),
        (None, ""),
        (False, ""),
        ("too large", "too large"),
    ],
)
def test_a_reason_against_a_point_is_text_or_nothing(declared: object, reason: str) -> None:
    requires = Requires(unsupported=lambda params, device: declared)  # type: ignore[arg-type, return-value]
    assert skips(plan(catalog(other=requires)))["other"] == reason


def test_input_bytes_that_are_not_a_whole_number_are_refused_by_name() -> None:
    content = catalog(other=Requires(memory=lambda params: 0))
    work = replace(content.workloads["work"], input_bytes=lambda params: 0.5)  # type: ignore[arg-type, return-value]
    content.workloads["work"] = work
    assert "input_bytes= of work returned 0.5" in skips(plan(content))["other"]


def test_whole_numbers_of_any_library_are_declarations() -> None:
    requires = Requires(memory=lambda params: np.int64(96), world_size=lambda params: np.int32(2))  # type: ignore[arg-type, return-value]
    (group,) = plan(catalog(other=requires)).groups
    other = group.cases[1]
    assert (other.memory, other.world_size, other.skip) == (2 * 4 + 96, 2, "")
    assert json.dumps(write_group(group))


def test_cases_that_do_not_fit_side_by_side_are_run_one_at_a_time() -> None:
    most = int(read_available_memory() * 0.6)
    two = catalog(one=Requires(memory=lambda params: most), two=Requires(memory=lambda params: most))
    assert plan(catalog()).groups[0].interleaved
    assert not plan(two).groups[0].interleaved
    assert skips(plan(two)) == {"plain": "", "one": "", "two": ""}


def test_an_axis_that_is_implied_is_named_where_it_is_not_at_its_default() -> None:
    content = catalog()
    work = content.workloads["work"]
    added = Axis.choice("pass", ("forward", "backward"), "forward", "help", implied=True)
    content.workloads["work"] = replace(
        work, axes=(added, *work.axes), cost=lambda p: Cost(float(p["pass"] == "forward"))
    )
    groups = plan(content, {"pass": "forward,backward"}).groups
    assert [group.id for group in groups] == ["work[n=4,causal=false]", "work[pass=backward,n=4,causal=false]"]
    assert [group.cases[0].cost.flops for group in groups] == [1.0, 0.0]
    case = groups[0].cases[0].case
    assert content.workloads["work"].params(case.params) == {"pass": "forward", "n": 4, "causal": False}
    with pytest.raises(UsageError, match="unknown axis of work 'pas'; did you mean 'pass'"):
        content.workloads["work"].params({"pas": "forward"})


def test_two_spellings_of_one_question_are_one_group_and_what_is_no_question_is_skipped() -> None:
    def settle(params: Params) -> Params:
        if params["n"] == 7:
            raise ValueError("seven will not do")
        return {**params, "n": min(int(params["n"]), 10)}

    content = catalog(other=Requires())
    content.workloads["work"] = replace(content.workloads["work"], settle=settle)
    found = plan(content, {"n": "7,10,11"})
    assert [group.id for group in found.groups] == ["work[n=7,causal=false]", "work[n=10,causal=false]"]
    assert [planned.skip for planned in found.groups[0].cases] == ["seven will not do"] * 2
    assert found.runnable == 2


def test_two_selections_of_one_question_are_one_group() -> None:
    selections = [Selection("work", ("plain",)), Selection("work", ("plain", "other"))]
    found = make_plan(catalog(other=Requires()), selections, Policy(), environment())
    assert [len(group.cases) for group in found.groups] == [2]


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"device": "cuda"}, "no CUDA device here"),
        ({"device": "cdua"}, "unknown device 'cdua'; did you mean 'cuda'"),
        ({"device": "cpu:1"}, "unknown device"),
        ({"device": "cpu", "mode": "cold"}, "needs a CUDA device"),
    ],
)
def test_a_device_or_mode_that_is_not_there_is_a_usage_error(policy: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan(catalog(), None, **policy)


def test_a_gpu_beyond_the_last_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="there is 1 GPU; did you mean 'cuda:0'"):
        plan(catalog(), None, GPU, device="cuda:1")


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection("wrk"), "unknown workload 'wrk'; did you mean 'work'"),
        (Selection("work", ("plan",)), "unknown implementation of work 'plan'; did you mean 'plain'"),
        (Selection("work", (), {"casual": "true"}), "unknown axis of work 'casual'; did you mean 'causal'"),
        (Selection("work", (), {"n": "many"}), "--n 'many': expected a whole number"),
    ],
)
def test_an_unknown_name_is_a_usage_error_with_the_nearest(selection: Selection, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_plan(catalog(), [selection], Policy(), environment())
