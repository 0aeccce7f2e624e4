"""The tables that panels read."""

from __future__ import annotations

import shlex

import pytest

from harness.core.run import Run
from harness.core.suite import Policy
from harness.report.study import build_study

TIMES = {"base": (1e-3, 4e-3, 16e-3), "new": (0.5e-3, 2e-3, 8e-3), "lost": "crashed: signal 11"}


def test_every_case_has_a_row_with_its_ratio_and_its_end(study_run) -> None:
    cases = build_study([study_run(TIMES)]).cases
    assert cases["question"].tolist() == [f"n={size}" for size in (256, 512, 1024) for _ in TIMES]
    assert cases[cases["implementation"] == "new"]["ratio"].tolist() == pytest.approx([0.5] * 3, rel=0.01)
    assert cases[cases["implementation"] == "base"]["ratio"].isna().all()
    assert set(cases[cases["implementation"] == "lost"]["message"]) == {"signal 11"}


def test_values_of_a_metric_come_with_their_case_and_interval(study_run) -> None:
    found = build_study([study_run(TIMES)]).values("time")
    assert found["median"].tolist() == pytest.approx([1e-3, 0.5e-3, 4e-3, 2e-3, 16e-3, 8e-3], rel=0.01)
    assert (found["ci_low"] < found["median"]).all()
    assert (found["median"] < found["ci_high"]).all()


def test_samples_are_those_that_were_taken_in_their_order(study_run) -> None:
    run = study_run(TIMES)
    study = build_study([run])
    times = study.samples_of("time")
    trial = next(trial for trial in run.trials if trial.case.implementation == "new")
    number = study.cases.index[(study.cases["implementation"] == "new") & (study.cases["question"] == "n=256")][0]
    first = times[number][times[number]["launch"] == 0]
    assert first["value"].tolist() == [sample.value for sample in trial.samples]
    assert len(times) == 6


def test_an_axis_is_named_where_it_varies_and_numbers_are_in_order(study_run) -> None:
    times = {"base": (1e-3, 2e-3, 3e-3)}
    assert build_study([study_run(times, sizes=(1024, 8, 64))]).axes == {"n": [8, 64, 1024]}
    assert build_study([study_run(times, sizes=(8,))]).cases["question"].tolist() == ["work"]


@pytest.mark.parametrize(
    ("machines", "labels"),
    [
        (({"cpu_model": "AMD EPYC 9654 96-Core Processor"},), ["AMD EPYC 9654 96-Core"]),
        (
            ({"cpu_model": "Intel(R) Xeon(R) CPU @ 2.20GHz"}, {"cpu_model": ""}),
            ["Intel Xeon", "a machine without a name"],
        ),
    ],
)
def test_a_run_is_called_by_its_machine(study_run, machines, labels) -> None:
    runs = [study_run({"base": (1e-3, 2e-3, 3e-3)}, **machine) for machine in machines]
    assert list(build_study(runs).labels.values()) == labels


def test_runs_of_one_machine_are_told_apart_by_their_names(study_run) -> None:
    runs = [study_run({"base": (1e-3, 2e-3, 3e-3)}, cpu_model="X") for _ in range(2)]
    assert list(build_study(runs).labels.values()) == [f"X, {run.id}" for run in runs]


def test_runs_that_can_be_compared_are_and_others_are_not(study_run) -> None:
    fast, slow = (study_run({"base": [f * s for s in (1e-3, 2e-3, 3e-3)]}) for f in (1.0, 1.2))
    (report,) = build_study([fast, slow]).reports
    assert {row.verdict for row in report.rows if row.metric == "time"} == {"slower"}
    assert build_study([fast, study_run({"base": (1e-3, 2e-3, 3e-3)}, cpu_model="other")]).reports == ()


def test_the_command_of_a_row_measures_it_again_beside_its_baseline(study_run) -> None:
    policy = Policy(launches=3, device="cpu", threads=1, mode="host", precision=0.005, budget_s=2.5, seed=7)
    run: Run = study_run({"base": (1e-3, 2e-3, 3e-3), "new": (1e-3, 2e-3, 3e-3)}, policy=policy)
    command = build_study([run]).cases.iloc[1]["command"]
    assert shlex.split(command) == [
        *("bench", "run", "work", "--impl", "base,new", "--n", "256", "--dtype", "bf16"),
        *("--device", "cpu", "--threads", "1", "--mode", "host", "--launches", "3"),
        *("--precision", "0.5%", "--budget", "2.5s", "--seed", "7"),
    ]


def test_an_axis_that_some_cases_leave_out_tells_them_apart(study_run, tmp_path) -> None:
    from dataclasses import replace

    run = study_run({"base": (1e-3, 2e-3, 3e-3)}, sizes=(8,))
    (group,) = run.groups
    (planned,) = group.cases
    other = replace(planned, case=replace(planned.case, point=(("pass", "backward"), *planned.case.point)))
    groups = (group, replace(group, id=other.case.group, cases=(other,)))
    trials = (*run.trials, *(replace(trial, case=other.case) for trial in run.trials))
    study = build_study([replace(run, description=replace(run.description, groups=groups), trials=trials)])
    assert study.axes == {"pass": [None, "backward"]}
    assert study.cases["question"].tolist() == ["work", "pass=backward"]
