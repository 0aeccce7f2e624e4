"""Finds runs on disk, and says in a few words what each is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.run import COMPLETE
from harness.core.suite import COMPILED
from harness.store.layout import RUN
from harness.store.place import reached

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BASELINES = "baselines"


@dataclass(frozen=True)
class Header:
    """What tells a run from others, without its samples.

    Attributes:
        baseline: the name under which it is kept as a baseline; empty where it is not.
        compiled: whether it is of kernels that were compiled and not run.
    """

    folder: Path
    id: str
    state: str
    started_at: str
    fingerprint: str
    commit: str
    dirty: bool
    baseline: str
    compiled: bool

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.state == COMPLETE


def find_runs(results: Path) -> list[Path]:
    """Return every run folder below a place (``baselines/`` too), or the place itself, by name: oldest first.

    Raises:
        UsageError: the place is of another machine, and cannot be reached.
    """
    with reached(results):
        found = [path.parent for path in results.rglob(RUN)]
    return sorted(found, key=lambda folder: (folder.name, str(folder)))


def headers(results: Path) -> Iterator[Header]:
    """Yield what is known of every run that can be read, oldest first."""
    for folder in find_runs(results):
        try:
            meta = json.loads((folder / RUN).read_text())
            machine = meta["environment"]
            names = folder.relative_to(results).parts
            yield Header(
                folder,
                meta["run_id"],
                meta["state"],
                meta["started_at"],
                machine["fingerprint"],
                machine["git_commit"],
                machine["git_dirty"],
                names[1] if len(names) == 3 and names[0] == BASELINES else "",
                meta["policy"]["mode"] == COMPILED,
            )
        except (OSError, ValueError, KeyError, TypeError):
            continue
