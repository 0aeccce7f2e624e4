"""From the words by which a user means many runs to the runs, each once, and to what could not be read."""

from __future__ import annotations

import contextlib
import glob
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harness.core.errors import UsageError, make_unknown_error
from harness.store.description import parse_description
from harness.store.duck import open_database, read_parquet_sql
from harness.store.find import find_runs
from harness.store.footers import read_versions
from harness.store.layout import RUN, RUNS, TABLES, VERSION
from harness.store.place import is_url, mirror_place, resolve_place, split_pattern
from harness.store.source import Source, read_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# Reasons that are given where nothing can be read at all.
_NAMED = 3


@dataclass(frozen=True)
class Sources:
    """Runs that are read together, oldest first.

    Attributes:
        left_out: each folder that could not be read and why, in one line.
        forms: the version of the form of every table of a run folder.
    """

    runs: tuple[Source, ...]
    left_out: tuple[str, ...]
    forms: dict[Path, int]

    def without_slowed(self) -> Sources:
        """Leave out the runs that were made slower on purpose, and say so.

        Raises:
            UsageError: there is no other.
        """
        slowed = tuple(f"{run.folder} was made slower on purpose" for run in self.runs if run.description.slowed)
        left_out = self.left_out + slowed
        if len(slowed) == len(self.runs):
            raise UsageError("; ".join(left_out[:_NAMED]))
        return replace(self, runs=tuple(run for run in self.runs if not run.description.slowed), left_out=left_out)


class _Root(NamedTuple):
    """A folder in which runs are looked for, and its name for the user."""

    name: str
    home: Path

    def names(self, folder: Path) -> str:
        """Return the user's name of a folder below."""
        below = folder.relative_to(self.home).parts
        return "/".join([self.name.rstrip("/"), *below]) if below else self.name


@contextlib.contextmanager
def gather_runs(words: Iterable[str]) -> Iterator[Sources]:
    """Find every run that words mean; what lies on another machine is here until the end of the context.

    Args:
        words: run folders, folders of them, merged folders, patterns such as ``results/2026*``, or URLs of such.

    Raises:
        UsageError: a place is not there or cannot be reached, or nothing in any of them can be read.
    """
    with contextlib.ExitStack() as stack:
        yield _gather([root for word in words for root in _roots(word, stack)])


def _roots(word: str, stack: contextlib.ExitStack) -> list[_Root]:
    if is_url(word):
        return [_Root(split_pattern(word)[0], stack.enter_context(mirror_place(resolve_place(word))))]
    path = Path(word)
    if path.exists():
        return [_Root(word, path)]
    if not glob.has_magic(word):
        near = path.parent.iterdir() if path.parent.is_dir() else ()
        raise make_unknown_error("place", word, [str(folder) for folder in near if folder.is_dir()])
    return [_Root(name, Path(name)) for name in sorted(glob.glob(word))] or [_Root(word, path)]


def _gather(roots: Sequence[_Root]) -> Sources:
    """Read what is below the roots; a run that is there twice counts once, and its own folder comes first."""
    candidates, left_out = list[Source](), list[str]()
    for root in roots:
        folders = [root.home] if (root.home / RUN).exists() else find_runs(root.home)
        merged = [path.parent for path in sorted(root.home.rglob(RUNS))]
        if not folders and not merged:
            left_out.append(f"there is no run in {root.name}")
        for folder in [*folders, *merged]:
            try:
                candidates += _read(root.names(folder), folder, merged=folder in merged)
            except UsageError as error:
                left_out.append(str(error))
    kept, forms = _sound(candidates, left_out)
    runs: dict[str, Source] = {}
    for source in sorted(kept, key=lambda source: source.merged):
        runs.setdefault(source.description.id, source)
    if not runs:
        raise UsageError("; ".join(left_out[:_NAMED]) or "no place was named")
    in_order = sorted(runs.values(), key=lambda source: (source.description.started_at, source.description.id))
    return Sources(tuple(in_order), tuple(dict.fromkeys(left_out)), forms)


def _read(name: str, folder: Path, *, merged: bool) -> list[Source]:
    """Read a run folder, or the runs of a merged one, which is whole or nothing."""
    if not merged:
        return [read_source(name, folder)]
    for form in read_versions([folder / table for table in (RUNS, *TABLES)]).values():
        if form != VERSION:
            raise UsageError(f"{name}: {form}")
    with open_database() as duck:
        rows = read_parquet_sql(duck, [folder / RUNS]).project("folder, run").fetchall()
    return [Source(origin, folder, parse_description(origin, text), merged=True) for origin, text in rows]


def _sound(candidates: Sequence[Source], left_out: list[str]) -> tuple[list[Source], dict[Path, int]]:
    """Return the runs whose tables are what they should be, with the forms of these; say of the others why not."""
    from_tables = [source for source in candidates if not source.merged and source.trials is None]
    forms = read_versions([source.home / table for source in from_tables for table in TABLES])
    faults = {file.parent: form for file, form in forms.items() if isinstance(form, str)}
    left_out += [f"{source.folder}: {faults[source.home]}" for source in from_tables if source.home in faults]
    kept = [source for source in candidates if source.home not in faults]
    return kept, {file: form for file, form in forms.items() if isinstance(form, int)}
