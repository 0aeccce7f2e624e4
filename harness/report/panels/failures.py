"""What failed.

Each case that did not run to its end, with the reason, and the end of what its worker wrote to its output. Cases that
were skipped are named with what they lack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.core.trial import OK, SKIPPED
from harness.report.figure import name_series
from harness.report.html import Html

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.report.study import Study

_LOG_LINES = 40


def draw_panel(study: Study) -> Iterator[Html]:
    """Yield the cases that have no result, failures first."""
    without = study.cases[study.cases["status"] != OK]
    if without.empty:
        return
    rows = [
        {
            "number": row.Index,
            "name": name_series(study, row),
            "question": row.question,
            "status": row.status,
            "message": row.message,
            "log": "\n".join(row.log.splitlines()[-_LOG_LINES:]),
        }
        for row in without.itertuples()
    ]
    yield Html("failures.html", {"rows": sorted(rows, key=lambda row: row["status"] == SKIPPED)})
