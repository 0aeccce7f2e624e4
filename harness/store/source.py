"""One run among many that are read together: what it says of itself, and where its rows are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.store.description import read_description
from harness.store.journal import read_journal
from harness.store.layout import JOURNAL

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.run_description import RunDescription
    from harness.core.trial import Trial


@dataclass(frozen=True)
class Source:
    """A run that can be read.

    Attributes:
        folder: as the user would name it; of a merged run, the folder that it was merged from.
        home: where its rows are on this machine: a run folder, or a merged folder.
        trials: those of the journal, where there is one; None where the tables are to be believed.
    """

    folder: str
    home: Path
    description: RunDescription
    merged: bool = False
    trials: tuple[Trial, ...] | None = None


def read_source(folder: str, home: Path) -> Source:
    """Read what a run folder says of itself, and its journal where there is one.

    Args:
        folder: its name for the user.
        home: where it lies.

    Raises:
        UsageError: it is no run of a version that is known; one line, with the folder's name.
    """
    description = read_description(home, folder)
    if not (home / JOURNAL).exists():
        return Source(folder, home, description)
    described, trials = read_journal(home, description, folder)
    return Source(folder, home, described, trials=trials)
