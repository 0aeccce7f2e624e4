"""Markdown as GitHub shows it: a table for each group, for issues, pull requests and reports."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.analysis.columns import COLUMNS, TIME, filled_columns
from harness.core.trial import OK
from harness.formats.cells import cell, ratio
from harness.formats.exported import Exported

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.analysis.rows import GroupTable, Row
    from harness.core.run import Run

# What ends a code span or a cell; all other markup is text in a code span, mentions and links of GitHub too.
_ENDS_CODE = re.compile(r"[`|\\]")
_MARKUP = re.compile(r"[^\w\s]|_")


def write(run: Run, tables: Sequence[GroupTable]) -> Exported:
    """Return a table for each group, what went wrong and what is doubtful below it, and the conditions last."""
    lines = [line for table in tables for line in _group(table)]
    return Exported("\n".join([*lines, _conditions(run)]) + "\n")


def code(text: str) -> str:
    """Write text that is not ours as code on one line, whatever is in it."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not line:
        return ""
    if not _ENDS_CODE.search(line):
        return f"`{line}`"
    return f"<code>{_MARKUP.sub(lambda found: f'&#{ord(found[0])};', line)}</code>"


def _group(table: GroupTable) -> Iterator[str]:
    columns = _columns(table)
    yield f"### {code(table.group.id)}"
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
    ratios = [ratio(row.ratio) for row in rows]
    others = [
        (column.head if column in COLUMNS else code(column.head), [cell(column, one) for one in found])
        for column, found in filled_columns(rows, brief=True)
        if column is not TIME
    ]
    return [
        ("implementation", [code(row.case.implementation) for row in rows]),
        (TIME.head, [cell(TIME, TIME.find(row)) for row in rows]),
        *([(f"time / {code(table.group.baseline)}", ratios)] if any(ratios) else []),
        *others,
        ("status", [row.status for row in rows]),
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _notes(row: Row) -> Iterator[str]:
    name = code(row.case.implementation)
    if row.status != OK and row.message:
        yield f"- {name} {row.status}: {code(row.message)}"
    if row.flags:
        yield f"- {name} flagged: {code(', '.join(row.flags))}"


def _conditions(run: Run) -> str:
    """Write the machine, the policy and the run's name in one line."""
    machine, policy = run.environment, run.policy
    versions = [f"{name} {version}" for name, version in machine.packages.items() if version]
    parts = (
        *(code(text) for text in (machine.cpu_model, *(gpu.name for gpu in machine.gpus), *versions) if text),
        f"{machine.cpus_usable} cores",
        f"{policy.launches} launches",
        f"threads {policy.threads}",
        f"mode {code(policy.mode)}",
        f"run {code(run.id)}",
    )
    return " · ".join(parts)
