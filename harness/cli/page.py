"""The page that a run leaves in its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cli.failure import report_and_continue
from harness.store.rules import read_rules

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.core.run import Run


def write_page(runs: Sequence[Run]) -> Path | None:
    """Write the page of a run, or of the sides of one; where it cannot be written, say so: the numbers are safe."""
    from harness.report.study import build_study
    from harness.report.write import write_report

    with report_and_continue("no report"):
        return write_report(build_study(runs, rules=read_rules(None)))[0]
    return None
