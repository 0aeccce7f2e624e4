"""What counts as a change: margins and floors by metric and workload, and changes that were accepted on purpose."""

from __future__ import annotations

import contextlib
import math
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from harness.core.axis import parse_percent
from harness.core.errors import UsageError, make_unknown_error, require_known
from harness.core.metric import METRICS, PRIMARY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.core.case import Case
    from harness.core.metric import Declared, Metric


@dataclass(frozen=True)
class Limit:
    """A change of a metric that matters to nobody: relative, and absolute in the metric's unit."""

    margin: float
    floor: float

    def exceeded(self, base: float, new: float) -> bool:
        """Whether a change matters."""
        if abs(new - base) <= self.floor:
            return False
        return not (base > 0 and new > 0) or abs(math.log(new / base)) > math.log1p(self.margin)


@dataclass(frozen=True)
class Acceptance:
    """A change for the worse that was wanted.

    Attributes:
        case: the name of the case, in which ``*`` stands for anything.
        up_to: the relative change that was accepted.
        commit: the one that made it; where the base has it already, the acceptance has ended.
    """

    case: str
    reason: str
    commit: str
    metric: str = PRIMARY
    up_to: float = math.inf

    def covers(self, case: str, metric: str) -> bool:
        """Whether a comparison is of the case and metric that this speaks of."""
        pattern = ".*".join(re.escape(part) for part in self.case.split("*"))
        return metric == self.metric and re.fullmatch(pattern, case) is not None


@dataclass(frozen=True)
class Rules:
    """How comparisons are judged.

    Attributes:
        fdr: the share of false alarms among the alarms of a comparison (the false discovery rate).
        margin: for everything timed, in place of each metric's own; None leaves those.
        limits: ``margin`` and ``floor`` by workload (empty: any) and metric.
        source: where they were read from; empty where they are the defaults.
    """

    fdr: float = 0.05
    margin: float | None = None
    limits: Mapping[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)
    accepted: tuple[Acceptance, ...] = ()
    source: str = ""

    def limit(self, workload: str, metric: Metric) -> Limit:
        """Return the limit of a metric: its own, a file's, a workload's; ``margin`` stands above all where one is."""
        found = {"margin": metric.margin, "floor": metric.floor}
        for key in (("", metric.name), (workload, metric.name)):
            found |= self.limits.get(key, {})
        if self.margin is not None and not metric.exact:
            found["margin"] = self.margin
        return Limit(**found)

    def check(self, cases: Iterable[Case], declared: Declared) -> None:
        """Refuse rules of a metric that a case's workload neither declares nor has from the harness.

        Raises:
            UsageError: there is such a rule; the message has the nearest metric.
        """
        for case in cases:
            known = {*METRICS, *declared.get(case.workload, ())}
            named = [metric for workload, metric in self.limits if workload == case.workload]
            named += [one.metric for one in self.accepted if one.covers(case.id, one.metric)]
            if strange := [metric for metric in named if metric not in known]:
                raise UsageError(
                    f"{self.source}: {make_unknown_error(f'metric of {case.workload}', strange[0], known)}"
                )


def apply_margin(rules: Rules, margin: str | None, fdr: str | None) -> Rules:
    """Return the rules with what the command line says.

    Raises:
        UsageError: it is no percentage.
    """
    if margin is not None:
        rules = replace(rules, margin=_percent(f"--margin {margin}", margin))
    if fdr is not None:
        rules = replace(rules, fdr=_percent(f"--fdr {fdr}", fdr))
    return rules


def parse_rules(source: str, data: Mapping[str, Any]) -> Rules:
    """Build rules from a parsed TOML document; unknown keys are errors.

    The document may have ``fdr``, ``margin``, tables ``[metric.NAME]`` and ``[workload.NAME.METRIC]`` with ``margin``
    (a percentage) and ``floor`` (a number in the metric's unit), and tables ``[[accept]]`` with ``case``, ``reason``,
    ``commit``, and optionally ``metric`` and ``up_to`` (a percentage). What a workload's own metrics may be is known
    once there are runs: :meth:`Rules.check`.

    Raises:
        UsageError: a key is unknown, missing or of the wrong type.
    """
    require_known(source, data, {"fdr", "margin", "metric", "workload", "accept"})
    limits = _limits(source, "", _table(source, "metric", data.get("metric", {})))
    for workload, table in _table(source, "workload", data.get("workload", {})).items():
        limits |= _limits(source, workload, _table(source, workload, table))
    accepted = data.get("accept", [])
    if not isinstance(accepted, list):
        raise UsageError(f"{source}: accept must be written as [[accept]] tables")
    margin = _percent(f"{source}: margin", data["margin"]) if "margin" in data else None
    fdr = _percent(f"{source}: fdr", data["fdr"]) if "fdr" in data else Rules.fdr
    return Rules(fdr, margin, limits, tuple(_acceptance(source, entry) for entry in accepted), source)


def _limits(source: str, workload: str, tables: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, float]]:
    found = {}
    for metric, table in tables.items():
        if not workload and metric not in METRICS:
            raise UsageError(f"{source}: {make_unknown_error('metric', metric, METRICS)}")
        require_known(source, _table(source, metric, table), {"margin", "floor"})
        limit = {}
        if "margin" in table:
            limit["margin"] = _percent(f"{source}: {metric}.margin", table["margin"])
        if "floor" in table:
            limit["floor"] = _number(f"{source}: {metric}.floor", table["floor"])
        found[workload, metric] = limit
    return found


def _acceptance(source: str, entry: Any) -> Acceptance:
    table = _table(source, "accept", entry)
    require_known(source, table, {"case", "reason", "commit", "metric", "up_to"})
    if missing := [name for name in ("case", "reason", "commit") if not str(table.get(name, "")).strip()]:
        raise UsageError(f"{source}: an [[accept]] needs {', '.join(missing)}")
    words = {name: str(value) for name, value in table.items() if name != "up_to"}
    up_to = _percent(f"{source}: up_to", table["up_to"]) if "up_to" in table else math.inf
    return Acceptance(**words, up_to=up_to)


def _percent(what: str, text: object) -> float:
    try:
        return parse_percent(str(text))
    except ValueError as reason:
        raise UsageError(f"{what}: {reason}") from None


def _number(what: str, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        with contextlib.suppress(OverflowError):
            return float(value)
    raise UsageError(f"{what}: expected a number of at least 0 in the metric's unit")


def _table(source: str, name: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{source}: {name} must be a table")
    return value
