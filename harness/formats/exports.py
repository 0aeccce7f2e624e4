"""The forms that a run can be exported to, by name."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis.rows import build_result_tables
from harness.core.errors import UsageError, make_unknown_error
from harness.formats import csv_table, json_document, markdown, pytest_benchmark, pytorch_v3

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.analysis.rows import GroupTable
    from harness.core.run import Run
    from harness.formats.exported import Exported

FORMATS: dict[str, Callable[[Run, Sequence[GroupTable]], Exported]] = {
    "csv": csv_table.write_csv,
    "json": json_document.write_document,
    "markdown": markdown.write_markdown,
    pytest_benchmark.TOOL: pytest_benchmark.write_pytest_benchmark,
    "pytorch-v3": pytorch_v3.write_records,
}


def export_run(run: Run, name: str) -> Exported:
    """Return a run in the form of that name.

    Raises:
        UsageError: there is no such form, or no case that it could show.
    """
    if name not in FORMATS:
        raise make_unknown_error("format", name, FORMATS)
    tables = build_result_tables(run)
    exported = FORMATS[name](run, tables)
    if sum(len(table.rows) for table in tables) == len(exported.left_out):
        raise UsageError(f"{run.folder} has no case with a result that {name} could show")
    return exported


def check_savable(path: Path) -> None:
    """Refuse a file that cannot be written, before there is work to lose.

    Raises:
        UsageError: it is a folder, or its folder is missing or not to be written to.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise UsageError(f"cannot write to {path}: it is a folder")
    if not target.parent.is_dir():
        raise UsageError(f"cannot write to {path}: there is no folder {path.parent}")
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise UsageError(f"cannot write to {path}: permission denied")


def save_file(content: bytes, path: Path) -> None:
    """Write a file under another name first: a reader sees the old content or the new.

    What is no plain file (a device, a pipe) is written to as it is.

    Raises:
        UsageError: it cannot be written.
    """
    target = Path(os.path.realpath(path))
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(content)
            return
        partial.write_bytes(content)
        partial.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise UsageError(f"cannot write to {path}: {error.strerror}") from None
