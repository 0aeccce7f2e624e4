"""From run folders to what is shown of them: the runs, the history of their cases, and what could not be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.history import build_history
from harness.core.errors import UsageError
from harness.core.metric import PRIMARY
from harness.core.run import MeasuredRun, Run
from harness.report.study import build_study
from harness.store.find import find_runs
from harness.store.measured_run import read_measured_runs
from harness.store.read import read_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from harness.analysis.history import History
    from harness.core.rules import Rules
    from harness.report.study import Study

# Reasons that are given where nothing can be read at all.
_NAMED = 3


def gather_study(
    wanted: Iterable[Path | Run], *, rules: Rules, results: Path | None = None, topology: Sequence[str] = ()
) -> Study:
    """Read runs to be shown.

    Args:
        wanted: the folders of runs, or what was read of them, in the order in which they are shown; a run that is there
            twice counts once.
        rules: by which runs that can be compared are judged.
        results: where the history of the cases of these runs is looked for; None where it is not to be shown.
        topology: the commits that git knows, none before its parents.

    Raises:
        UsageError: none of the runs can be read.
    """
    runs, left_out = dict[str, Run](), list[str]()
    for one in wanted:
        found = one if isinstance(one, Run) else read_or_reason(one)
        if isinstance(found, str):
            left_out.append(found)
        else:
            runs.setdefault(found.id, found)
    if not runs:
        raise UsageError("; ".join(left_out[:_NAMED]) or "there is no run to show")
    history = None
    if results is not None:
        kept, reasons = read_measured_runs(find_runs(results))
        left_out += reasons
        history = read_history(runs.values(), kept, topology)
    return build_study(list(runs.values()), rules=rules, history=history, left_out=dict.fromkeys(left_out))


def read_or_reason(folder: Path) -> Run | str:
    """Return a run, or in one line why it cannot be read; whatever lies in its folder, nothing is raised."""
    try:
        return read_run(folder)
    except UsageError as error:
        return str(error)
    except OSError as error:
        return f"{folder} cannot be read: {error.strerror}"
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return f"{folder} holds no run in a form that is known"


def read_history(runs: Iterable[Run], kept: Sequence[MeasuredRun], topology: Sequence[str]) -> History:
    """Return the history of the cases of runs over all runs that are kept."""
    cases = {planned.case.id for run in runs for group in run.groups for planned in group.cases}
    return build_history(kept, PRIMARY, cases, topology)
