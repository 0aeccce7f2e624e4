"""Packs run folders into one file for another machine, and says what such a file may hold at most."""

from __future__ import annotations

import io
import re
import zipfile
from typing import TYPE_CHECKING

from harness.core.errors import UsageError
from harness.store.layout import JOURNAL, MEASUREMENTS, RUN, SAMPLES, TRIALS
from harness.store.place import reach_place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.core.run import Run

_MIB = 1 << 20
# The files of a run, each with its largest size. The run's description comes last: without it, a folder is no run.
LARGEST = {
    JOURNAL: 256 * _MIB,
    SAMPLES: 256 * _MIB,
    TRIALS: 256 * _MIB,
    MEASUREMENTS: 256 * _MIB,
    RUN: 32 * _MIB,
}
MOST_RUNS = 200
# Of all files of a bundle together, and over the size of the bundle itself. No run comes near that: the descriptions of
# thousands of cases that are alike unpack to 80 times their size.
LARGEST_TOTAL = 1024 * _MIB
LARGEST_RATIO = 300
# When, what, six digits, and the side of a run that has two: as write.new_run_id and run.start_run make it.
RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[A-Za-z0-9_.-]{0,60}-[0-9a-f]{6}(?:-[a-z]{1,20})?")
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# The first moment that the form can tell: the same runs should be the same bytes, whenever they are packed.
_MOMENT = (1980, 1, 1, 0, 0, 0)
_PLAIN_FILE = 0o100644


def write_bundle(runs: Iterable[Run]) -> bytes:
    """Return a zip file with the folders of runs: what they hold of the store's own files, and nothing else.

    Raises:
        UsageError: a run cannot be read, has no name that could be brought to another machine, or is too large.
    """
    content = io.BytesIO()
    total = 0
    with zipfile.ZipFile(content, "w") as archive:
        for run in _different(runs):
            for name, data in _files(run):
                total += len(data)
                if len(data) > LARGEST[name] or total > LARGEST_TOTAL:
                    raise UsageError(f"{run.folder}/{name}: too large for a bundle")
                info = zipfile.ZipInfo(f"{run.id}/{name}", _MOMENT)
                info.create_system, info.external_attr = 3, _PLAIN_FILE << 16
                archive.writestr(info, data, zipfile.ZIP_DEFLATED, compresslevel=6)
    return content.getvalue()


def _different(runs: Iterable[Run]) -> list[Run]:
    """Return runs in the order of their names, each once."""
    by_id: dict[str, Run] = {}
    for run in runs:
        if not RUN_ID.fullmatch(run.id):
            raise UsageError(f"{run.folder}: '{run.id}' is not the name that a run was given, and cannot be bundled")
        first = by_id.setdefault(run.id, run)
        if first.folder.resolve() != run.folder.resolve():
            raise UsageError(f"{first.folder} and {run.folder} are both called {run.id}")
    if len(by_id) > MOST_RUNS:
        raise UsageError(f"a bundle holds {MOST_RUNS} runs at most, not {len(by_id)}")
    return [by_id[name] for name in sorted(by_id)]


def _files(run: Run) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a run; one that is complete has no journal any more, whatever lies there."""
    for name in LARGEST:
        try:
            with reach_place(run.folder):
                if (run.folder / name).exists() and not (run.complete and name == JOURNAL):
                    yield name, (run.folder / name).read_bytes()
        except OSError as error:
            raise UsageError(f"{run.folder}/{name} cannot be read: {error.strerror}") from None
