"""The command that measures a case again, and the one that finds the commit which changed it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from harness.core.comparison import REGRESSIONS
from harness.core.suite import Policy
from harness.formats.changes import format_commit

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.analysis.history import LevelChange
    from harness.core.case import Case


def _percent(value: float) -> str:
    return f"{100 * value:g}%"


def _seconds(value: float) -> str:
    return f"{value:g}s"


# The fields of a policy as options of the command line.
_OPTIONS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "device": ("--device", str),
    "threads": ("--threads", str),
    "mode": ("--mode", str),
    "launches": ("--launches", str),
    "precision": ("--precision", _percent),
    "budget_s": ("--budget", _seconds),
    "timeout_s": ("--timeout", _seconds),
    "seed": ("--seed", str),
    "energy_precision": ("--energy-precision", _percent),
}


def write_run_command(case: Case, policy: Policy, baseline: str = "") -> str:
    """Return the ``bench run`` of a case beside its baseline, with what of the policy is not as it is by default."""
    implementations = ",".join(dict.fromkeys(filter(None, (baseline, case.implementation))))
    words = [
        "bench",
        "run",
        case.workload,
        "--impl",
        implementations,
        *write_axis_options(case),
        *_policy_words(policy),
    ]
    return shlex.join(words)


def can_be_bisected(step: LevelChange) -> bool:
    """Whether it is for the worse, and there are commits between the two points that could be measured."""
    between = step.before.commit != step.after.commit and step.direction in REGRESSIONS
    return between and all(point.known and not point.dirty for point in (step.before, step.after))


def write_bisect_command(case: Case, step: LevelChange) -> str:
    """Return the ``bench bisect`` that finds the commit."""
    commits = f"{format_commit(step.before)}..{format_commit(step.after)}"
    words = [case.workload, "--impl", case.implementation, *write_axis_options(case), "--against", commits]
    return shlex.join(["bench", "bisect", *words])


def write_axis_options(case: Case) -> list[str]:
    """Return the options that choose the point of a case."""
    return [word for name, value in case.point for word in (f"--{name.replace('_', '-')}", str(value).lower())]


def _policy_words(policy: Policy) -> list[str]:
    default = Policy()
    changed = [name for name in _OPTIONS if getattr(policy, name) != getattr(default, name)]
    return [word for name in changed for word in (_OPTIONS[name][0], _OPTIONS[name][1](getattr(policy, name)))]
