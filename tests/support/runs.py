"""Runs with numbers that the test knows, recorded as ``bench run`` would."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.analysis.measurements import summarize_trials
from harness.core.case import Group
from harness.core.environment import Environment
from harness.core.measurement import Measurement
from harness.core.run import Run
from harness.core.run_description import COMPLETE, RUNNING, RunDescription, State
from harness.core.suite import Mode, Policy
from harness.core.trial import Launch, Rest, Trial
from harness.detect import detect_environment
from harness.store.read import read_run
from harness.store.write import append_event, create_run, make_run_id, write_tables

ON_CPU = Policy(device="cpu", threads=1, mode=Mode.HOST)


def here(**changes: Any) -> Environment:
    """Return the environment of this machine, at a clean commit, with some changes."""
    return replace(detect_environment(), **{"git_dirty": False, **changes})


def recorded_run(
    results: Path,
    groups: Sequence[Group],
    events: Iterable[Launch | Rest | Trial],
    *,
    run_id: str = "",
    policy: Policy = ON_CPU,
    environment: Environment | None = None,
    measurements: Sequence[Measurement] | None = None,
    state: State = COMPLETE,
    **described: Any,
) -> Run:
    """Record a run in a folder of results, and read it back.

    Args:
        results: the folder of the results.
        groups: what was planned.
        events: what happened, in order.
        run_id: the name of its folder.
        policy: how it was measured.
        environment: of this machine by default.
        measurements: what came out; by default what the trials come to.
        state: in which it ended; a run that is still running has no tables.
        described: what else :class:`RunDescription` has: started_at, command, sources, tags, variant, ceilings.
    """
    told = {"command": ("bench",), **described}
    description = RunDescription(run_id or make_run_id("work"), tuple(groups), policy, environment or here(), **told)
    folder = create_run(results, description)
    trials = []
    for event in events:
        trials += [event] if isinstance(event, Trial) else []
        if state != COMPLETE or not isinstance(event, Trial):  # the journal of a complete run is gone
            append_event(folder, event)
    run = replace(read_run(folder), trials=tuple(trials))
    if state == RUNNING:
        return run
    rows = summarize_trials(groups, trials, run.context) if measurements is None else measurements
    write_tables(run, rows, state)
    return read_run(folder)
