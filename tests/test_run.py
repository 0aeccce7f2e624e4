"""One run from its plan to its tables, with a launcher without processes."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.core.case import Case, Group, PlannedCase
from harness.core.errors import HarnessError, UsageError
from harness.core.run import Run
from harness.core.run_description import COMPLETE, INTERRUPTED
from harness.core.suite import Policy
from harness.core.trial import CRASHED, OK, SKIPPED, Trial
from harness.core.variant import BASE, NEW, Variant
from harness.launch.controller.schedule import Progress
from harness.plan import Plan
from harness.runner import Observer, execute_run, extend_run, open_run, resume_run, start_run
from harness.store.read import read_run
from tests.support.launcher import End, FakeLaunches, Script
from tests.support.runs import here

CASES = {name: Case("work", name, (("n", 4),)) for name in ("a", "b", "cuda")}
PLANNED = (PlannedCase(CASES["a"]), PlannedCase(CASES["b"]), PlannedCase(CASES["cuda"], skip="needs CUDA"))
GROUP = Group("work[n=4]", "a", PLANNED)
IGNORE = Observer(lambda progress: None, lambda event, side: None, lambda message: None)
PAIR = (Variant(BASE), Variant(NEW))


@pytest.fixture(autouse=True)
def _own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no other run of this user."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def started(results: Path, groups: Sequence[Group] = (GROUP,), launches: int = 2, **options: Any) -> tuple[Run, ...]:
    policy = Policy(launches=launches, device="cpu", threads=1, mode="host", energy_precision=0.0)
    return start_run(
        Plan(tuple(groups), policy), results, "work", here(), command=["bench"], sources=(), tags={}, **options
    )


def ends(run: Run) -> list[tuple[str, int, str]]:
    """Return how the trials of a run ended, in order."""
    return [(trial.case.implementation, trial.launch, trial.status) for trial in run.trials]


def test_a_run_is_kept_with_its_launches_its_trials_and_tables(tmp_path: Path) -> None:
    (run,), code = execute_run(started(tmp_path), IGNORE, open_launcher=FakeLaunches())
    assert (code, run.complete, run.description.state) == (0, True, COMPLETE)
    assert ends(run) == [("cuda", 0, SKIPPED), ("a", 0, OK), ("b", 0, OK), ("a", 1, OK), ("b", 1, OK)]
    assert [launch.runtime for launch in run.description.launches] == [{"torch_threads": 1}] * 2
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "measurements.parquet",
        "run.json",
        "samples.parquet",
        "trials.parquet",
    ]
    table = pd.read_parquet(run.folder / "measurements.parquet")
    (time,) = table[(table["metric"] == "time") & (table["implementation"] == "b")].to_dict("records")
    assert (time["median"], time["n"], time["launches"]) == (1e-3, 40, 2)


def test_a_run_that_is_complete_is_not_measured_again(tmp_path: Path) -> None:
    (run,), _ = execute_run(started(tmp_path), IGNORE, open_launcher=FakeLaunches())
    nobody = FakeLaunches()
    (again,), code = execute_run(resume_run(run.folder, here()), IGNORE, open_launcher=nobody)
    assert (code, ends(again), nobody.opened) == (0, ends(run), [])


@pytest.mark.parametrize(("who", "code"), [("a", 1), ("a new", 1), ("a base", 0)])
def test_a_failure_is_told_by_the_exit_code_but_for_that_of_the_base(tmp_path: Path, who: str, code: int) -> None:
    fake = FakeLaunches({who: Script(end=End("check", "crashed: died of SIGSEGV"))})
    runs, found = execute_run(started(tmp_path, variants=PAIR if " " in who else ()), IGNORE, open_launcher=fake)
    assert found == code
    assert all(run.complete for run in runs)


def test_each_side_has_a_folder_and_both_are_opened_with_either(tmp_path: Path) -> None:
    fake = FakeLaunches({"a base": Script((1e-3,)), "a new": Script((3e-3,))})
    (base, new), _ = execute_run(started(tmp_path, variants=PAIR), IGNORE, open_launcher=fake)
    assert [run.description.variant.role for run in (base, new)] == [BASE, NEW]
    for run in (base, new):
        assert [one.folder for one in open_run(run.folder)] == [base.folder, new.folder]
    times = [
        {s.value for t in run.trials if t.case == CASES["a"] for s in t.samples if s.metric == "time"}
        for run in (base, new)
    ]
    assert times == [{1e-3}, {3e-3}]


def test_an_observer_is_told_of_every_event_and_its_side_and_of_the_progress(tmp_path: Path) -> None:
    events: list[tuple[str, str]] = []
    shares: list[float] = []
    observer = Observer(
        lambda progress: shares.append(progress.share),
        lambda event, side: events.append((type(event).__name__, side)),
        lambda message: pytest.fail(message),
    )
    execute_run(started(tmp_path, launches=1, variants=PAIR), observer, open_launcher=FakeLaunches())
    skipped, launches = [("Trial", "base"), ("Trial", "new")], [("Launch", "base"), ("Launch", "new")]
    assert events == [*skipped, *launches, *skipped, *skipped]
    assert shares == sorted(shares)


def terminate(progress: Progress) -> None:
    """Send SIGTERM to the command before the first turn of the second launch."""
    if progress.launch == 1 and progress.doing == "turn":
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("report", "script"),
    [(IGNORE.progress, Script(end=End("turn", KeyboardInterrupt(), launch=1, round=3))), (terminate, Script())],
    ids=["ctrl-c", "sigterm"],
)
def test_an_interrupted_run_is_readable_and_is_resumed_with_what_is_missing_and_nothing_else(
    tmp_path: Path, report: Any, script: Script
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    observer = Observer(report, lambda event, side: None, print)
    (run,), code = execute_run(started(tmp_path, launches=3), observer, open_launcher=FakeLaunches({"b": script}))
    assert (code, run.description.state) == (130, INTERRUPTED)
    assert signal.getsignal(signal.SIGTERM) is before
    assert ends(run) == ends(read_run(run.folder)) == [("cuda", 0, SKIPPED), ("a", 0, OK), ("b", 0, OK)]
    assert len(pd.read_parquet(run.folder / "trials.parquet")) == 3

    rest = FakeLaunches()
    (after,), code = execute_run(resume_run(run.folder, here()), IGNORE, open_launcher=rest)
    assert (code, after.complete) == (0, True)
    assert repr(after.trials[:3]) == repr(run.trials)  # an energy of NaN equals nothing
    assert ends(after)[3:] == [("a", 1, OK), ("b", 1, OK), ("a", 2, OK), ("b", 2, OK)]
    assert len(rest.opened) == 2
    assert len(after.description.launches) == 2 + 2  # the one that was cut short counts too


def test_what_failed_before_an_interruption_is_not_tried_again(tmp_path: Path) -> None:
    scripts = {
        "a": Script(end=End("check", "crashed: died of SIGSEGV")),
        "b": Script(end=End("turn", KeyboardInterrupt())),
    }
    (run,), _ = execute_run(started(tmp_path), IGNORE, open_launcher=FakeLaunches(scripts))
    rest = FakeLaunches()
    (after,), code = execute_run(resume_run(run.folder, here()), IGNORE, open_launcher=rest)
    assert code == 1
    assert ends(after) == [("cuda", 0, SKIPPED), ("a", 0, CRASHED), ("b", 0, OK), ("b", 1, OK)]
    assert {to for to, name in rest.given("check")} == {"b"}


def test_a_fault_of_the_harness_keeps_what_was_measured_before(tmp_path: Path) -> None:
    runs = started(tmp_path)
    lost = FakeLaunches({"a": Script(end=End("turn", HarnessError("the fork server ended"), launch=1))})
    with pytest.raises(HarnessError, match="the fork server ended"):
        execute_run(runs, IGNORE, open_launcher=lost)
    run = read_run(runs[0].folder)
    assert ends(run) == [("cuda", 0, SKIPPED), ("a", 0, OK), ("b", 0, OK)]
    (after,), _ = execute_run(resume_run(run.folder, here()), IGNORE, open_launcher=FakeLaunches())
    assert ends(after)[3:] == [("a", 1, OK), ("b", 1, OK)]


def test_a_run_that_goes_on_measures_more_of_some_cases_and_keeps_the_rest(tmp_path: Path) -> None:
    runs, _ = execute_run(started(tmp_path, variants=PAIR), IGNORE, open_launcher=FakeLaunches())
    more = FakeLaunches()
    extended, _ = execute_run(extend_run(runs, here(), 3, [CASES["b"]]), IGNORE, open_launcher=more)
    for before, after in zip(runs, extended, strict=True):
        assert repr(after.trials[: len(before.trials)]) == repr(before.trials)
        assert ends(after)[len(before.trials) :] == [("b", 2, OK), ("b", 3, OK), ("b", 4, OK)]
        assert len(after.description.launches) == 5
    assert len(more.opened) == 3 * 2


@pytest.mark.parametrize("action", [resume_run, lambda folder, there: extend_run(open_run(folder), there, 1, [])])
def test_a_run_goes_on_on_no_other_machine(tmp_path: Path, action: Any) -> None:
    (run,) = started(tmp_path)
    with pytest.raises(UsageError, match="on another machine or software: cpu_model: "):
        action(run.folder, here(cpu_model="Another"))


def test_a_plan_without_a_case_that_runs_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing to do: work/cuda\[n=4\]: needs CUDA"):
        started(tmp_path / "results", [Group("work[n=4]", "cuda", PLANNED[2:])])
    assert not (tmp_path / "results").exists()


def test_the_journal_has_each_event_before_the_next_begins(tmp_path: Path) -> None:
    """What a run that is killed leaves is all that the observer was told."""
    seen: list[int] = []
    runs = started(tmp_path)

    def look(event: object, side: str) -> None:
        run = read_run(runs[0].folder)
        seen.append(len(run.trials) + len(run.description.launches))
        assert not isinstance(event, Trial) or repr(run.trials[-1]) == repr(event)

    execute_run(runs, Observer(lambda progress: None, look, print), open_launcher=FakeLaunches())
    assert seen == list(range(1, 1 + 2 + 5))
