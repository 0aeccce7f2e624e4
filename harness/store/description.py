"""Reads what a run says of itself: the one place where ``run.json`` is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from harness.core.errors import UsageError
from harness.core.run_description import RunDescription
from harness.store.layout import RUN

if TYPE_CHECKING:
    from pathlib import Path


def read_description(folder: Path, name: str = "") -> RunDescription:
    """Read what a run folder says of itself.

    Args:
        folder: where it lies.
        name: what the user calls it; its path where left out.

    Raises:
        UsageError: it is not a run folder, or its description is damaged or of a newer version.
    """
    name = name or str(folder)
    try:
        text = (folder / RUN).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{name} is not a run folder: it has no {RUN}") from None
    except OSError as error:
        raise UsageError(f"{name}/{RUN} cannot be read: {error.strerror or error}") from None
    return parse_description(name, text)


def parse_description(name: str, text: str | bytes) -> RunDescription:
    """Return what the content of a run's ``run.json`` says.

    Args:
        name: what the user calls the run's folder.
        text: the content.

    Raises:
        UsageError: it is damaged or of a newer version.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError(f"{name}/{RUN}: not JSON") from None
    try:
        return RunDescription.from_json(data)
    except ValueError as fault:
        raise UsageError(f"{name}/{RUN}: {fault}") from None
