"""What went wrong, in one line, and what there is all the same."""

from __future__ import annotations

import contextlib
import errno
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import EXIT_HARNESS, EXIT_USAGE, HarnessError, UsageError
from harness.terminal.streams import check_output, print_message

if TYPE_CHECKING:
    from collections.abc import Iterator


def explain_failure(error: BaseException) -> tuple[str, int]:
    """Return what went wrong, with the notes of the exception, and the exit code.

    The traceback of an exception that nobody foresaw is kept in a file, which the message names.
    """
    if isinstance(error, UsageError):
        message, code = str(error), EXIT_USAGE
    elif hasattr(error, "format_message"):  # of Typer's parser; its class is not part of the interface
        message, code = error.format_message() or "name a command", EXIT_USAGE
    elif isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        message, code = f"{error.strerror}: {error.filename}", EXIT_USAGE
    elif isinstance(error, HarnessError):
        message, code = str(error), EXIT_HARNESS
    else:
        message, code = _unforeseen(error), EXIT_HARNESS
    return "; ".join([message, *getattr(error, "__notes__", ())]), code


@contextlib.contextmanager
def report_and_continue(without: str) -> Iterator[None]:
    """Tell what fails in the context, after what there will be none of, and go on: the result stands."""
    try:
        yield
    except Exception as error:
        print_message(f"{without}: {explain_failure(error)[0]}")


@contextlib.contextmanager
def name_kept_run(folder: Path) -> Iterator[None]:
    """Let a failure to show a run say where the run is."""
    try:
        yield
        check_output()
    except Exception as error:
        error.add_note(f"everything that was measured is in {folder}")
        raise


def _unforeseen(error: BaseException) -> str:
    found = traceback.TracebackException.from_exception(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}{f': {error.filename}' if error.filename else ''}; {_keep(found)}"
    if isinstance(error, MemoryError):
        return f"out of memory; {_keep(found)}"
    place = f" ({Path(found.stack[-1].filename).name}:{found.stack[-1].lineno})" if found.stack else ""
    return f"the harness failed: {type(error).__name__}: {found}{place}; {_keep(found)}: please report it"


def _keep(found: traceback.TracebackException) -> str:
    text = "".join(found.format())
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="benchwright-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            file.write(text)
    except OSError:
        print(text, file=sys.stderr)
        return "the traceback is above"
    return f"the traceback is in {file.name}"
