"""Whether a change may pass: from the verdicts of a comparison to an exit code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.errors import EXIT_FAILED, EXIT_INCONCLUSIVE, EXIT_OK, EXIT_USAGE
from harness.core.metric import PRIMARY

if TYPE_CHECKING:
    from collections.abc import Collection

    from harness.analysis.compare import RunComparison
    from harness.core.comparison import Comparison
    from harness.core.rules import Acceptance, Rules


@dataclass(frozen=True)
class Decision:
    """What a gate says.

    Attributes:
        regressed: what is worse for certain, and was not accepted.
        uncompared: what should have been compared and was not, most often since the base was not measured.
        undecided: what may be worse; more launches can tell where it is a time.
        accepted: what is worse on purpose, with the reason.
        ended: acceptances that hold nothing back any more, with why; their lines can go.
        compared: whether anything was; where not, every case is new.
    """

    regressed: tuple[Comparison, ...]
    uncompared: tuple[Comparison, ...]
    undecided: tuple[Comparison, ...]
    accepted: tuple[tuple[Comparison, Acceptance], ...]
    ended: tuple[tuple[Acceptance, str], ...]
    compared: bool

    @property
    def code(self) -> int:
        """The exit code: 1 for a confirmed regression, 2 where a base is lacking, 3 where none can be ruled out."""
        if self.regressed:
            return EXIT_FAILED
        if self.uncompared:
            return EXIT_USAGE
        return EXIT_INCONCLUSIVE if self.undecided else EXIT_OK


def decide_gate(report: RunComparison, rules: Rules, lineage: Collection[str]) -> Decision:
    """Judge a comparison by what regressed, what may have, and what was accepted.

    What is open of a second metric that is noisy, such as CPU time, holds nothing up: the time and the exact metrics
    decide.

    Args:
        report: the comparison.
        rules: with the accepted changes.
        lineage: the base's commit and its ancestors. A change that the base has already is no longer accepted: it is
            what the base is measured with.
    """
    current = [one for one in rules.accepted if not _contains(lineage, one.commit)]
    accepted = [(row, one) for row in report.rows if row.regressed for one in current if _covers(one, row)]
    held = [row for row, _ in accepted]
    used = [one for _, one in accepted]
    ended = [(one, "the base has the change already") for one in rules.accepted if one not in current]
    ended += [(one, "nothing is worse") for one in current if one not in used and _speaks_of(one, report)]
    uncompared = report.uncompared
    return Decision(
        tuple(row for row in report.rows if row.regressed and row not in held),
        uncompared,
        tuple(row for row in report.rows if row.undecided and _decides(row) and row not in uncompared),
        tuple(accepted),
        tuple(ended),
        report.compared,
    )


def _decides(row: Comparison) -> bool:
    return row.metric in ("", PRIMARY) or row.kind.exact


def _covers(one: Acceptance, row: Comparison) -> bool:
    if not one.covers(row.case.id, row.metric):
        return False
    change = row.ratio if row.kind.better == "lower" else 1 / row.ratio
    return change <= 1 + one.up_to


def _speaks_of(one: Acceptance, report: RunComparison) -> bool:
    return any(one.covers(row.case.id, row.metric) and not row.regressed for row in report.rows)


def _contains(lineage: Collection[str], commit: str) -> bool:
    return any(one.startswith(commit) for one in lineage)
