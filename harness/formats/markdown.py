"""Markdown as GitHub shows it: a table for each group, for issues, pull requests and reports."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.analysis.columns import COLUMNS, TIME, find_filled_columns
from harness.core.trial import OK
from harness.formats.cells import format_cell, format_ratio
from harness.formats.exported import Exported

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.analysis.rows import GroupTable, ResultRow
    from harness.core.run import Run

# What ends a code span or a cell; all other markup is text in a code span, mentions and links of GitHub too.
_ENDS_CODE = re.compile(r"[`|\\]")
_MARKUP = re.compile(r"[^\w\s]|_")


def write_markdown(run: Run, tables: Sequence[GroupTable]) -> Exported:
    """Return a table for each group, what went wrong and what is doubtful below it, and the conditions last."""
    lines = [line for table in tables for line in _group(table)]
    return Exported("\n".join([*lines, _conditions(run)]) + "\n")


def write_code(text: str) -> str:
    """Write text that is not ours as code on one line, whatever is in it."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not line:
        return ""
    if not _ENDS_CODE.search(line):
        return f"`{line}`"
    return f"<code>{_MARKUP.sub(lambda found: f'&#{ord(found[0])};', line)}</code>"


def _group(table: GroupTable) -> Iterator[str]:
    columns = _columns(table)
    yield f"### {write_code(table.group.id)}"
    yield ""
    yield _line([head for head, _ in columns])
    yield _line([":--" if head in ("implementation", "status") else "--:" for head, _ in columns])
    yield from map(_line, zip(*(cells for _, cells in columns), strict=True))
    yield ""
    notes = [note for row in table.rows for note in _notes(row)]
    yield from [*notes, ""] if notes else []


def _columns(table: GroupTable) -> list[tuple[str, list[str]]]:
    """Return the head and the cells of each column; one in which no case has anything is left out."""
    rows = table.rows
    ratios = [format_ratio(row.ratio) for row in rows]
    others = [
        (column.head if column in COLUMNS else write_code(column.head), [format_cell(column, one) for one in found])
        for column, found in find_filled_columns(rows, brief=True)
        if column is not TIME
    ]
    return [
        ("implementation", [write_code(row.case.implementation) for row in rows]),
        (TIME.head, [format_cell(TIME, TIME.find(row)) for row in rows]),
        *([(f"time / {write_code(table.group.baseline)}", ratios)] if any(ratios) else []),
        *others,
        ("status", [row.status for row in rows]),
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _notes(row: ResultRow) -> Iterator[str]:
    name = write_code(row.case.implementation)
    if row.status != OK and row.message:
        yield f"- {name} {row.status}: {write_code(row.message)}"
    if row.flags:
        yield f"- {name} flagged: {write_code(', '.join(row.flags))}"


def _conditions(run: Run) -> str:
    """Write the machine, the policy and the run's name in one line."""
    machine, policy = run.environment, run.policy
    versions = [f"{name} {version}" for name, version in machine.packages.items() if version]
    parts = (
        *(write_code(text) for text in (machine.cpu_model, *(gpu.name for gpu in machine.gpus), *versions) if text),
        f"{machine.cpus_usable} cores",
        f"{policy.launches} launches",
        f"threads {policy.threads}",
        f"mode {write_code(policy.mode)}",
        f"run {write_code(run.id)}",
    )
    return " · ".join(parts)
