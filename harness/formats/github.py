"""A gate's verdicts as GitHub Actions shows them: a summary in Markdown, and annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.core.comparison import EQUIVALENT
from harness.core.errors import EXIT_FAILED, EXIT_INCONCLUSIVE, EXIT_USAGE
from harness.core.metric import PRIMARY, format_number
from harness.formats.markdown import write_code
from harness.formats.wording import describe_comparison

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.analysis.compare import RunComparison
    from harness.analysis.decision import Decision
    from harness.core.comparison import Comparison

_HEADLINES = {
    EXIT_FAILED: "slower, or worse",
    EXIT_USAGE: "cannot judge",
    EXIT_INCONCLUSIVE: "inconclusive",
}


def write_headline(decision: Decision) -> str:
    """Say in a few words what a gate decided."""
    word = _HEADLINES.get(decision.code, "nothing is worse" if decision.compared else "every case is new")
    counts = {
        "regressed": len(decision.regressed),
        "not compared": len(decision.uncompared),
        "undecided": len(decision.undecided),
    }
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{word}: {said}" if said else word


def write_summary(report: RunComparison, decision: Decision) -> str:
    """Return the verdicts in Markdown: the headline, every comparison that is not equivalent, and the conditions."""
    rows = [row for row in report.rows if row.metric in ("", PRIMARY) or row.verdict != EQUIVALENT]
    lines = [f"## Benchwright: {write_headline(decision)}", ""]
    if report.ratios:
        lines += [f"Geometric mean of the times, new over base: {format_number(report.geometric_mean)}.", ""]
    lines += ["| case | verdict |", "| :-- | :-- |"]
    lines += [f"| {write_code(row.case.id)} | {write_code(describe_comparison(row))} |" for row in rows]
    lines += [
        "",
        *(f"- accepted: {write_code(row.case.id)}: {write_code(one.reason)}" for row, one in decision.accepted),
    ]
    lines += [f"- {write_code(one.case)} need not be accepted any more: {why}" for one, why in decision.ended]
    lines += [f"base {write_code(report.base.id)}, new {write_code(report.new.id)}", ""]
    return "\n".join(lines)


def write_workflow_commands(decision: Decision) -> Iterator[str]:
    """Yield a workflow command for each row that holds the change up, and each acceptance that has ended."""
    yield from (_annotation("error", row) for row in (*decision.regressed, *decision.uncompared))
    yield from (_annotation("warning", row) for row in decision.undecided)
    for one, why in decision.ended:
        yield f"::notice title=accepted change::{_data(f'{one.case} need not be accepted any more: {why}')}"


def _annotation(level: str, row: Comparison) -> str:
    title = _data(row.case.id).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={title}::{_data(describe_comparison(row))}"


def _data(text: str) -> str:
    """Escape what would end a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
