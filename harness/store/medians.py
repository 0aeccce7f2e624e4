"""The median of each case over many runs, asked of the samples themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from harness.core.errors import make_unknown_error
from harness.core.matching import match_cases
from harness.core.trial import OK
from harness.store.query import open_views

if TYPE_CHECKING:
    from collections.abc import Collection

    from duckdb import DuckDBPyConnection

    from harness.core.run_description import RunDescription
    from harness.core.suite import Mode
    from harness.store.gather import Sources


class Setting(NamedTuple):
    """What numbers must have in common before one median can stand for them, beside the case."""

    device: str
    fingerprint: str
    threads: int
    mode: Mode


@dataclass(frozen=True)
class Median:
    """A case in one setting, over all runs of it.

    Attributes:
        runs: how many the samples come from.
    """

    case: str
    setting: Setting
    unit: str
    median: float
    runs: int
    samples: int


# Values that an instrument could not give are NaN, and the times of trials that failed say nothing: as in a run's own
# summary. The parts in braces are left out where they would change nothing, for each costs a look at every row.
_MEDIANS = """
select "case", {setting} as setting, any_value(unit), median(value), count(distinct run_id), count(*)
from samples {join} where metric = $metric and {counts}
group by all
"""
_METRICS = "select distinct metric from samples where {counts}"
_SUCCEEDED = '(round < 0 or (run_id, "case", launch) not in (select (run_id, "case", launch) from failed))'


def compute_medians(sources: Sources, metric: str, word: str = "") -> list[Median]:
    """Return the median of a metric for each case that a word means, on each machine and in each setting.

    They come in the order of the newest plan.

    Raises:
        UsageError: there is no such case or metric; the message has the nearest.
    """
    cases = match_cases({case for run in sources.runs for case in run.description.cases}, word)
    with open_views(sources) as duck:
        settings, counts = _settings(duck, sources), _counts(duck, cases if word else None)
        several = len(settings) > 1
        parts = ("setting", "join settings using (run_id)") if several else ("0", "")
        query = _MEDIANS.format(setting=parts[0], join=parts[1], counts=counts)
        rows = duck.execute(query, {"metric": metric}).fetchall()
        if not rows:
            known = duck.execute(_METRICS.format(counts=counts)).fetchall()
            raise make_unknown_error("metric", metric, [name for (name,) in known])
    found = [Median(case, settings[setting], *rest) for case, setting, *rest in rows]
    planned = {
        case.id: number for number, case in enumerate(case for run in sources.runs for case in run.description.cases)
    }
    return sorted(found, key=lambda row: (planned.get(row.case, -1), row.setting))


def _settings(duck: DuckDBPyConnection, sources: Sources) -> list[Setting]:
    """Return the settings of all runs, and keep as a table which run has which, by number."""
    found = {run.description.id: _setting(run.description) for run in sources.runs}
    settings = sorted(set(found.values()))
    numbers = {"ids": list(found), "numbers": [settings.index(setting) for setting in found.values()]}
    duck.execute("create temp table settings as select unnest($ids) as run_id, unnest($numbers) as setting", numbers)
    return settings


def _setting(run: RunDescription) -> Setting:
    return Setting(run.device, run.environment.fingerprint, run.policy.threads, run.policy.mode)


def _counts(duck: DuckDBPyConnection, cases: Collection[str] | None) -> str:
    """Return the condition under which a sample counts; of the cases alone where some are given."""
    conditions = ["not isnan(value)"]
    query = 'create temp table failed as select run_id, "case", launch from trials where status <> $ok'
    duck.execute(query, {"ok": OK})
    if duck.execute("select count(*) from failed").fetchall() != [(0,)]:
        conditions.append(_SUCCEEDED)
    if cases is not None:
        duck.execute('create temp table chosen as select unnest($cases) as "case"', {"cases": sorted(cases)})
        conditions.append('"case" in (select "case" from chosen)')
    return " and ".join(conditions)
