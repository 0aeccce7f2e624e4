"""Finds runs on disk, and reads in a few milliseconds what each says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.errors import UsageError
from harness.store.description import read_description
from harness.store.layout import RUN
from harness.store.place import reach_place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.core.run_description import RunDescription

BASELINES = "baselines"


@dataclass(frozen=True)
class KeptRun:
    """A run that is kept, without its samples.

    Attributes:
        baseline: the name under which it is kept as a baseline; empty where it is not.
    """

    folder: Path
    description: RunDescription
    baseline: str


def find_runs(results: Path) -> list[Path]:
    """Return every run folder below a place (``baselines/`` too), or the place itself, by name: oldest first.

    Raises:
        UsageError: the place is of another machine, and cannot be reached.
    """
    with reach_place(results):
        found = [path.parent for path in results.rglob(RUN)]
    return sorted(found, key=lambda folder: (folder.name, str(folder)))


def read_kept_runs(results: Path) -> Iterator[KeptRun]:
    """Yield every run below a place that can be read, oldest first."""
    for folder in find_runs(results):
        try:
            description = read_description(folder)
        except UsageError:
            continue
        names = folder.relative_to(results).parts
        yield KeptRun(folder, description, names[1] if len(names) == 3 and names[0] == BASELINES else "")
