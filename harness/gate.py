"""Guards against regressions: judges a run against its base, and measures on while that is inconclusive."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness import git
from harness.analysis.compare import RunComparison, compare_runs
from harness.analysis.decision import Decision, decide_gate
from harness.core.comparison import INCONCLUSIVE, SUSPECT
from harness.core.errors import EXIT_FAILED, EXIT_INCONCLUSIVE, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, UsageError
from harness.core.metric import PRIMARY
from harness.core.run import were_interleaved
from harness.core.variant import BASE, Variant
from harness.plan import Plan, fit_plan
from harness.revisions import SLOWED, TWIN
from harness.runner import execute_run, extend_run, start_run

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from harness.core.case import Case
    from harness.core.comparison import Verdict
    from harness.core.environment import Environment
    from harness.core.rules import Rules
    from harness.core.run import Run
    from harness.runner import Observer

# Starting a launch takes about this long before its first case.
_LAUNCH_S = 5.0


@dataclass(frozen=True)
class GateResult:
    """What a gate came to.

    Attributes:
        looks: at growing data.
        stopped: why an inconclusive verdict was not measured on; empty where there was no need.
    """

    report: RunComparison
    decision: Decision
    looks: int
    stopped: str = ""


def gate_run(
    base: Run,
    new: Run,
    rules: Rules,
    environment: Environment,
    observer: Observer,
    *,
    budget_s: float,
    despite: Collection[str] = (),
) -> GateResult:
    """Judge a run, and give its inconclusive cases more launches until they are decided or the budget is spent.

    Both sides are measured on where they took turns in one run, else the new one alone. Each look at the data spends
    half of what false alarms are left of ``rules.fdr``, so that all looks together raise no more than one look would.

    Args:
        base: the side that ratios are taken to.
        new: the side that is judged.
        rules: margins, floors, and what was accepted.
        environment: the machine as it is now; where it is not the one of the run, nothing is measured.
        observer: told of the progress of what is measured.
        budget_s: time for measuring on; 0 judges what there is.
        despite: names of conditions in which the runs may differ all the same.

    Raises:
        UsageError: no case was measured on either side.
        KeyboardInterrupt: measuring was interrupted; the run can be resumed.
    """
    lineage = git.list_ancestors(_checkout(base), base.environment.git_commit) if base.environment.git_commit else []
    deadline, looks = time.monotonic() + budget_s, 0
    while True:
        looks += 1
        share = 0.5**looks if budget_s else 1.0
        report = compare_runs(base, new, replace(rules, fdr=rules.fdr * share), despite=despite)
        if not report.rows:
            raise UsageError("nothing to judge: no case was measured on either side")
        decision = decide_gate(report, rules, lineage)
        unsettled = {row.case for row in decision.undecided if _can_be_settled(row.metric, row.verdict)}
        if decision.code != EXIT_INCONCLUSIVE or not unsettled:
            return GateResult(report, decision, looks)
        sides = (base, new) if were_interleaved(base, new) else (new,)
        needed_s = _seconds(sides, unsettled, new.launches)
        if stopped := _obstacle(new, environment, needed_s, deadline - time.monotonic()):
            return GateResult(report, decision, looks, stopped)
        base, new = _measured_on((base, new), sides, environment, new.launches, unsettled, observer)


def test_gate_itself(
    run: Run,
    results: Path,
    rules: Rules,
    environment: Environment,
    observer: Observer,
    *,
    planted: float,
    budget_s: float,
    command: Sequence[str],
) -> tuple[dict[str, GateResult], int]:
    """Prove that a gate can turn red, and does not without a reason, on the cases and the machine of a run.

    Three sides take turns: the code as it is, the same again, which must pass, and the same with each step made longer,
    which must not.

    Returns:
        The verdict on either side by its role, and the exit code: 1 where one is wrong, 2 where nothing was measured to
        tell by, 3 where the same code could not be told to be the same.
    """
    groups = tuple(
        replace(group, cases=tuple(replace(planned, launches=0) for planned in group.cases)) for group in run.groups
    )
    plan = fit_plan(Plan(groups, run.policy, run.metrics), environment, sides=3)
    sides = (Variant(BASE), Variant(TWIN), Variant(SLOWED, planted=planted))
    runs = start_run(
        plan,
        results,
        "selftest",
        environment,
        command=command,
        sources=run.description.sources,
        tags={},
        variants=sides,
    )
    runs = _finished(*execute_run(runs, observer))
    verdicts = {}
    for role, side in zip((TWIN, SLOWED), runs[1:], strict=True):
        verdicts[role] = gate_run(runs[0], side, rules, environment, observer, budget_s=budget_s)
    if EXIT_USAGE in (verdict.decision.code for verdict in verdicts.values()):
        return verdicts, EXIT_USAGE
    if verdicts[SLOWED].decision.code != EXIT_FAILED or verdicts[TWIN].decision.code == EXIT_FAILED:
        return verdicts, EXIT_FAILED
    return verdicts, verdicts[TWIN].decision.code or EXIT_OK


def _can_be_settled(metric: str, verdict: Verdict) -> bool:
    return metric == PRIMARY and verdict in (INCONCLUSIVE, SUSPECT)


def _obstacle(new: Run, environment: Environment, needed_s: float, left_s: float) -> str:
    """Return why a run cannot be measured on here and now; empty where it can."""
    if new.environment.differences(environment):
        return "this is not the machine and software that it began on"
    variant = new.description.variant
    if not (variant and variant.commit) and new.environment.git_commit != environment.git_commit:
        return "the working tree is at another commit now"
    if needed_s > left_s:
        return (
            f"twice as many launches take about {needed_s:.0f} s, and {max(0.0, left_s):.0f} s are left of the budget"
        )
    return ""


def _seconds(runs: Collection[Run], cases: Collection[Case], launches: int) -> float:
    """Return about how long some launches more of the given cases will take."""
    measured = [trial for run in runs for trial in run.trials if trial.case in cases]
    a_launch = sum(trial.duration_s for trial in measured) / max(1, len({trial.launch for trial in measured}))
    return launches * (a_launch + _LAUNCH_S * len(runs))


def _measured_on(
    pair: tuple[Run, Run],
    sides: tuple[Run, ...],
    environment: Environment,
    launches: int,
    cases: Collection[Case],
    observer: Observer,
) -> tuple[Run, Run]:
    extended = extend_run(sides, environment, launches, cases)
    done = _finished(*execute_run(extended, observer))
    return (done[0], done[1]) if len(done) == 2 else (pair[0], done[0])


def _finished(runs: tuple[Run, ...], code: int) -> tuple[Run, ...]:
    if code == EXIT_INTERRUPTED:
        raise KeyboardInterrupt
    return runs


def _checkout(run: Run) -> Path:
    variant = run.description.variant
    return Path(variant.checkout if variant and variant.checkout else Path.cwd())
