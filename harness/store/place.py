"""Where runs lie: a folder of this machine, or any place that fsspec reaches, such as ``s3://bucket/results``.

A place that is not of this machine is a path with the methods of :class:`pathlib.Path`, and is only ever read.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from fnmatch import fnmatchcase
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from harness.core.errors import UsageError
from harness.store.layout import JOURNAL, RUN, RUNS, TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

_KNOWN = {RUN, JOURNAL, RUNS, *TABLES}
# The packages that this project names an extra for.
_EXTRAS = {"s3": "s3"}


def is_url(word: str) -> bool:
    """Return whether a word means a place that is reached by a protocol."""
    return "://" in word


def is_place(word: str) -> bool:
    """Return whether a word means one or more folders, here or elsewhere, rather than a run by its name."""
    return is_url(word) or has_magic(word) or Path(word).is_dir()


def is_local(place: Path) -> bool:
    """Return whether a place is of this machine, and can be written to."""
    return isinstance(place, Path)


def resolve_place(word: str) -> Path:
    """Return the path that a word means: of this machine, or for ``PROTOCOL://`` of wherever that is.

    Raises:
        UsageError: what the protocol needs is not installed, or it is not known.
    """
    if not is_url(word):
        return Path(word)
    from upath import UPath

    protocol = word.partition("://")[0]
    try:
        place = UPath(word)
        _ = place.fs  # imports the back-end
    except ImportError as error:
        extra = _EXTRAS.get(protocol)
        needs = f"needs the extra {extra}: pip install 'benchwright[{extra}]'" if extra else f"cannot be read: {error}"
        raise UsageError(f"{protocol}:// {needs}") from None
    except Exception as error:  # back-ends raise what they like
        raise UsageError(f"{word} cannot be read: {_first_line(error)}") from None
    return cast("Path", place)


@contextlib.contextmanager
def reach_place(place: Path) -> Iterator[None]:
    """Turn whatever a back-end raises into one line; faults of this machine's folders stay what they are.

    Raises:
        UsageError: the place cannot be reached, or is not there.
    """
    if is_local(place):
        yield
        return
    try:
        yield
    except FileNotFoundError:
        raise UsageError(f"there is nothing at {place}") from None
    except Exception as error:
        raise UsageError(f"{place} cannot be reached: {_first_line(error)}") from None


def has_file(folder: Path, name: str) -> bool:
    """Return whether there is a file of that name in a folder.

    Raises:
        UsageError: the place cannot be reached.
    """
    if is_local(folder):
        return (folder / name).exists()
    remote: Any = folder / name
    with reach_place(folder):
        remote.fs.invalidate_cache()
        try:
            remote.fs.info(remote.path)
        except FileNotFoundError:
            return False
    return True


def open_table(path: Path) -> Path | io.BytesIO:
    """Return what pyarrow reads a table from: the file itself, or its content where it is of another machine."""
    return path if is_local(path) else io.BytesIO(path.read_bytes())


def require_local(folder: Path) -> None:
    """Refuse a place that can only be read.

    Raises:
        UsageError: it is not of this machine.
    """
    if not is_local(folder):
        raise UsageError(f"{folder} can be read, and not changed")


@contextlib.contextmanager
def mirror_place(place: Path) -> Iterator[Path]:
    """Yield a folder of this machine with the runs of a place: itself, or a copy that is removed afterwards.

    The last parts of a place that is not of this machine may be patterns with ``*``, ``?`` and ``[]``.

    Raises:
        UsageError: the place cannot be reached.
    """
    if is_local(place):
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="benchwright-") as home:
        with reach_place(place):
            _copy(place, Path(home))
        yield Path(home)


def split_pattern(word: str) -> tuple[str, tuple[str, ...]]:
    """Split a place into what is fixed and the patterns below it."""
    parts = word.split("/")
    fixed = next((index for index, part in enumerate(parts) if has_magic(part)), len(parts))
    return "/".join(parts[:fixed]), tuple(parts[fixed:])


def _copy(place: Any, home: Path) -> None:
    """Bring the files of all runs of a place here: one listing, and then all files side by side."""
    base, patterns = split_pattern(place.path.rstrip("/"))
    place.fs.invalidate_cache()
    targets = {}
    for name in place.fs.find(base):
        parts = PurePosixPath(name).relative_to(PurePosixPath(base)).parts
        wanted = len(parts) > len(patterns) and all(map(fnmatchcase, parts, patterns))
        if wanted and parts[-1] in _KNOWN and ".." not in parts:
            targets[name] = str(home.joinpath(*parts))
    if targets:
        place.fs.get(list(targets), list(targets.values()))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
