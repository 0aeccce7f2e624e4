"""Many runs for people and for machines, from the same rows."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from harness.core.environment import shorten_name
from harness.core.metric import format_value
from harness.formats.json_document import replace_infinities
from harness.terminal.console import open_console
from harness.terminal.streams import print_message

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.store.medians import Median, Setting
    from harness.store.overview import Overview


def print_overviews(rows: Sequence[Overview], left_out: Sequence[str]) -> None:
    """Print a line a run, and what could not be read."""
    lines = [("run", "started", "workloads", "machine", "commit", "state", "cases", "failed", "samples", "size")]
    for row in rows:
        machine = f"{shorten_name(row.device)} @{row.fingerprint[:6]}"
        commit = f"{row.commit[:10]}{'+' if row.dirty else ''}"
        what = row.run_id, row.started_at[:16].replace("T", " "), ",".join(row.workloads), machine, commit, row.state
        size = "" if row.size is None else format_value(row.size, "B")
        lines.append((*what, str(row.cases), str(row.failures or ""), str(row.samples), size))
    _print_aligned(lines, numbers=4)
    _print_left_out(left_out)


def print_overviews_json(rows: Sequence[Overview], left_out: Sequence[str]) -> None:
    """Print the same as one JSON document."""
    _print_json({"runs": [asdict(row) for row in rows], "left_out": list(left_out)})


def print_medians(metric: str, rows: Sequence[Median], left_out: Sequence[str]) -> None:
    """Print a line for each case and setting, and what could not be read."""
    names = _names({row.setting for row in rows})
    lines = [("case", "machine", metric, "runs", "samples")]
    for row in rows:
        numbers = format_value(row.median, row.unit), str(row.runs), str(row.samples)
        lines.append((row.case, names[row.setting], *numbers))
    _print_aligned(lines, numbers=3)
    _print_left_out(left_out)


def print_medians_json(metric: str, rows: Sequence[Median], left_out: Sequence[str]) -> None:
    """Print the same as one JSON document."""
    found = [{**asdict(row), "setting": row.setting._asdict()} for row in rows]
    _print_json({"metric": metric, "rows": found, "left_out": list(left_out)})


def report_left_out(left_out: Iterable[str]) -> None:
    """Say on the standard error what could not be read."""
    for line in left_out:
        print_message(f"left out: {line}")


def _names(settings: set[Setting]) -> dict[Setting, str]:
    """Return how to call each setting: by its device, and by what else tells it from others."""
    names = {}
    for one in settings:
        marks = {"fingerprint": f"@{one.fingerprint[:6]}", "threads": f"{one.threads} threads", "mode": one.mode}
        same = [other for other in settings if other.device == one.device]
        telling = [mark for field, mark in marks.items() if len({getattr(other, field) for other in same}) > 1]
        names[one] = " ".join([shorten_name(one.device), *telling])
    return names


def _print_aligned(lines: Sequence[tuple[str, ...]], numbers: int) -> None:
    """Print columns, the last ones flush right; each line stays one, so that it can be searched and cut."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    words = len(widths) - numbers
    for index, line in enumerate(lines):
        cells = (
            cell.ljust(width) if column < words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        open_console().print(Text("  ".join(cells).rstrip(), style="" if index else "bold"), soft_wrap=True)


def _print_left_out(left_out: Iterable[str]) -> None:
    for line in left_out:
        open_console().print(Text(f"left out: {line}", style="yellow"), soft_wrap=True)


def _print_json(document: Any) -> None:
    typer.echo(json.dumps(replace_infinities(document), indent=1))
