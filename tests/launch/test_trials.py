"""What the schedule makes of the answers of workers and of their ends: a row each, and no other case notices."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from harness.core.errors import HarnessError
from harness.core.flag import Flag
from harness.core.trial import CRASHED, ERROR, INCORRECT, OK, SKIPPED, Launch, Sample, Trial
from harness.launch.code_version import CodeVersion
from harness.launch.controller.hosts import Hosts
from harness.launch.controller.launcher import Launcher
from tests.launch.schedules import (
    AFTER,
    BEFORE,
    PAIR,
    case,
    group,
    measured,
    scheduled,
    statuses,
    told_to,
    trials,
    turns,
)
from tests.support.launcher import FIRST_CALL_S, PEAK_B, End, FakeLaunches, Script


def test_a_trial_holds_what_its_workers_answered() -> None:
    script = Script(executed=("mm", "add"), log="tuned", turn_s=0.25)
    ((_, launch), (side, trial)) = measured(FakeLaunches({"a": script}), group("a"))
    assert isinstance(trial, Trial)
    assert (launch, side) == (Launch(0, launch.started_at, {"torch_threads": 1}), 0)
    assert (trial.case, trial.launch, trial.status, trial.message) == (case("a"), 0, OK, "")
    assert (trial.executed, trial.log, trial.duration_s) == ("mm,add", "tuned", 5.0)
    assert [sample for sample in trial.samples if sample.metric == "time"] == [
        Sample("time", 1e-3, number) for number in range(20)
    ]
    others = {sample.metric: sample.value for sample in trial.samples if sample.metric != "time"}
    assert set(others) == {"first_call", "max_abs_error", "peak_memory", "energy_gross"}
    assert (others["first_call"], others["peak_memory"]) == (FIRST_CALL_S, PEAK_B)


def test_memory_and_what_a_step_runs_are_looked_at_in_the_first_launch_alone_in_a_worker_that_is_not_timed() -> None:
    fake = FakeLaunches()
    measured(fake, group("a", "b"), launches=3)
    for order in ("memory", "executed", "examine"):
        assert [(one.launch, one.implementation) for one in fake.orders if one.name == order] == [
            (0, "a"),
            (0, "b"),
        ]
    first = [one for one in fake.orders if one.launch == 0 and one.implementation == "b"]
    assert [one.name for one in first if one.name != "turn"] == [*BEFORE, *AFTER]
    # Of three launches each has one worker for a case; the first has one more, and one for the reference.
    assert len(fake.workers) == 3 * 2 + 2 + 1


@pytest.mark.parametrize(
    ("script", "flags"),
    [
        (Script(steady=False), "not_steady"),
        (Script(flags={"executed": (Flag.NOT_AS_REQUESTED,)}), "not_as_requested"),
        (Script(flags={"recheck": (Flag.SETTINGS_CHANGED,)}), "settings_changed"),
        (Script(samples={"turn": [Sample("time", 1e-3, 0, 0, "waiting")]}, steady=False), "waiting,not_steady"),
        (Script(), ""),
    ],
)
def test_warnings_are_flags_of_what_was_timed_and_of_nothing_else(script: Script, flags: str) -> None:
    (trial,) = trials(measured(FakeLaunches({"a": script}), group("a")))["a"]
    assert {sample.flags for sample in trial.samples if sample.metric == "time"} == {flags}
    assert {sample.flags for sample in trial.samples if sample.round < 0} == {""}


@pytest.mark.parametrize("order", [*dict.fromkeys(BEFORE), "turn", *AFTER])
def test_a_failure_is_a_row_and_the_case_is_not_tried_again_and_the_others_do_not_notice(order: str) -> None:
    bad = Script(end=End(order, "crashed: died of SIGSEGV"), log="last words")
    fake = FakeLaunches({"bad": bad})
    events = measured(fake, group("good", "bad"), launches=2)
    assert statuses(events) == {"good": [OK, OK], "bad": [CRASHED]}
    (trial,) = trials(events)["bad"]
    assert (trial.message, trial.log, trial.launch) == ("died of SIGSEGV", "last words", 0)
    assert told_to(fake, "bad")[-1] == order
    assert {one.launch for one in fake.orders if one.implementation == "bad"} == {0}
    assert Counter(turns(fake))["good"] == 40


def test_a_case_that_fails_at_once_does_not_wait_for_the_others() -> None:
    fake = FakeLaunches({"bad": Script(end=End("check", "error: no"))})
    events = scheduled(fake, group("good", "bad"))
    _launch, (_, trial) = next(events), next(events)
    assert isinstance(trial, Trial)
    assert (trial.case.implementation, trial.status) == ("bad", ERROR)
    assert turns(fake) == []
    assert list(events)


def test_a_failure_in_a_later_launch_keeps_what_was_measured_before() -> None:
    fake = FakeLaunches({"bad": Script(end=End("turn", "timeout: no answer", launch=1, round=3))})
    events = measured(fake, group("bad", "good"), launches=3)
    assert statuses(events) == {"bad": [OK, "timeout"], "good": [OK, OK, OK]}
    times = [[s.value for s in trial.samples if s.metric == "time"] for trial in trials(events)["bad"]]
    assert [len(one) for one in times] == [20, 3]
    assert len(fake.opened) == 3


def test_the_errors_of_a_wrong_output_are_kept() -> None:
    wrong = Script(
        end=End("check", "incorrect: max_abs_error 0.5 exceeds 0"), samples={"check": [Sample("max_abs_error", 0.5)]}
    )
    (trial,) = trials(measured(FakeLaunches({"a": wrong}), group("a")))["a"]
    assert (trial.status, trial.samples) == (INCORRECT, [Sample("max_abs_error", 0.5)])


@pytest.mark.parametrize(
    ("end", "status", "message"),
    [
        (End("reference", "oom: too large"), ERROR, "no reference to check against: too large"),
        (End("prepare", "error: no"), ERROR, "no"),
        (End("prepare", "skipped: not in this revision"), SKIPPED, "not in this revision"),
    ],
)
def test_without_a_reference_no_case_of_the_group_is_tried_and_the_other_groups_are(
    end: End, status: str, message: str
) -> None:
    fake = FakeLaunches({"a": Script(end=end)})
    events = measured(fake, group("a", "b"), group("c", n=8), launches=2)
    assert statuses(events) == {"a": [status], "b": [status], "c": [OK, OK]}
    assert {trial.message for name in "ab" for trial in trials(events)[name]} == {message}
    assert told_to(fake, "b") == []


def test_the_reference_of_a_group_is_computed_once_a_run() -> None:
    fake = FakeLaunches()
    measured(fake, group("a", "b"), group("a", "b", n=8), launches=3, sides=PAIR)
    assert Counter(fake.given("reference")) == {("a base", "reference"): 2, ("a new", "reference"): 2}


@pytest.mark.parametrize("fault", [HarnessError("the fork server ended"), KeyboardInterrupt()])
@pytest.mark.parametrize("order", ["reference", "memory", "turn", "recheck"])
def test_what_ends_the_run_closes_every_launcher(fault: BaseException, order: str) -> None:
    who = "a new" if order == "reference" else "b new"  # the first case of a side computes it
    fake = FakeLaunches({who: Script(end=End(order, fault))})
    with pytest.raises(type(fault)):
        measured(fake, group("a", "b"), sides=PAIR)
    assert fake.given()[-1] == (who, order)
    assert [launcher.open for launcher in fake.opened] == [False, False]
    if order in ("turn", "recheck"):  # those that are being prepared end with their launcher
        assert fake.left == []


def test_a_launcher_that_does_not_start_closes_those_that_did() -> None:
    fake = FakeLaunches()

    def open_launcher(threads: int, folder: Path, side: CodeVersion, hosts: Hosts) -> Launcher:
        if side.label == "new":
            raise HarnessError("it does not start")
        return fake(threads, folder, side, hosts)

    with pytest.raises(HarnessError, match="it does not start"):
        list(scheduled(open_launcher, group("a"), sides=PAIR))
    assert [launcher.open for launcher in fake.opened] == [False]
