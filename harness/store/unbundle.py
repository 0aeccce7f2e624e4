"""Unpacks the runs that another machine packed, and puts them beside the runs that are there.

Such a file may come from anyone. It is unpacked and looked through in a process of its own, whose memory is limited and
whose end harms nothing: ``python -P -m harness.store.unbundle FILE FOLDER BYTES``, where FOLDER is new and is thrown
away. Only what came out of that whole is moved to where runs are kept.
"""

from __future__ import annotations

import contextlib
import errno
import filecmp
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import EXIT_HARNESS, EXIT_OK, EXIT_USAGE, HarnessError, UsageError
from harness.store.bundle import LARGEST, LARGEST_RATIO, LARGEST_TOTAL, METHODS, MOST_RUNS, RUN_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

# Memory for reading a run, above what the interpreter has taken at its start.
MEMORY = 4 << 30
_CHUNK = 1 << 20
# The first bytes of a zip file, and of one that is empty.
_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
# Flags of a member that is encrypted, in one way or another.
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Unbundled:
    """The folders of the runs of a bundle: those that are new, and those that were there already, just the same."""

    new: tuple[Path, ...]
    known: tuple[Path, ...]


def is_bundle(path: Path) -> bool:
    """Return whether a file is a zip file, by its name or its first bytes; what is no plain file is not looked into."""
    if path.suffix.lower() == ".zip":
        return True
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(4) in _MAGIC
    except OSError:
        return False


def import_bundle(path: Path, results: Path) -> Unbundled:
    """Put the runs of a bundle where runs are kept, all of them or none.

    Raises:
        UsageError: the file is not a bundle that could be believed, or a run is there already with another content.
        HarnessError: the disk is full or gone.
    """
    with _beside(results) as place:
        _unpack_apart(path, place)
        names = sorted(folder.name for folder in place.iterdir())
        known = [name for name in names if _is_there(place / name, results / name)]
        new = [name for name in names if name not in known]
        _make(results)
        _move(place, results, new)
    return Unbundled(tuple(results / name for name in new), tuple(results / name for name in known))


def unpack_bundle(path: Path, folder: Path) -> None:
    """Unpack a bundle into a folder: exactly the files that it says it has, and they are files of runs.

    Raises:
        UsageError: the file is damaged, or is something else than a bundle.
        HarnessError: the disk is full.
    """
    if not path.is_file():
        raise UsageError("no such file" if not path.exists() else "not a file")
    try:
        with zipfile.ZipFile(path) as archive:
            left = min(LARGEST_TOTAL, LARGEST_RATIO * path.stat().st_size)
            for member in _members(archive, left):
                left -= _copy(archive, member, folder / member.filename, left)
    except _DAMAGED as error:
        raise UsageError(f"not a zip file, or a damaged one: {error}") from None
    except OSError as error:
        if error.errno in _FULL:
            raise HarnessError(f"cannot write to {folder.parent}: {error.strerror}") from None
        raise UsageError(f"cannot be read: {error.strerror or error}") from None


def _members(archive: zipfile.ZipFile, left: int) -> list[zipfile.ZipInfo]:
    """Return the members of a bundle, the descriptions of runs last; nothing is wrong with what is said of them."""
    members = archive.infolist()
    if not members:
        raise UsageError("an empty zip file")
    if len(members) > MOST_RUNS * len(LARGEST):
        raise UsageError(f"{len(members)} members: more than {MOST_RUNS} runs have")
    seen = set()
    for member in members:
        if fault := "is there twice" if member.filename in seen else _fault(member):
            raise UsageError(f"the member {member.orig_filename[:120]!r} {fault}")
        seen.add(member.filename)
    if sum(member.file_size for member in members) > left:
        raise UsageError(f"unpacks to more than {LARGEST_TOTAL >> 20} MiB or {LARGEST_RATIO} times its size")
    order = list(LARGEST)
    return sorted(members, key=lambda member: order.index(member.filename.partition("/")[2]))


def _fault(member: zipfile.ZipInfo) -> str:
    """Return what is wrong with a member by its header; empty where nothing is."""
    run, _, name = member.orig_filename.partition("/")
    if not RUN_ID.fullmatch(run) or name not in LARGEST or member.filename != member.orig_filename:
        return "is not a file of a run"
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        return "is a link, a folder or a device"
    if member.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if member.compress_type not in METHODS:
        return f"is compressed in another way (method {member.compress_type}) than bundles are"
    return f"is larger than {LARGEST[name] >> 20} MiB" if member.file_size > LARGEST[name] else ""


def _copy(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, left: int) -> int:
    """Write a member to a new file, as long as it really is; return its size, which must be what was said."""
    stated, most = member.file_size, min(left, LARGEST[target.name])
    member.file_size = most + 2 * _CHUNK  # zipfile would stop at what the header says, whatever there is
    size = 0
    target.parent.mkdir(exist_ok=True)
    with archive.open(member) as source, target.open("xb") as file:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > most:
                raise UsageError(f"the member {member.filename!r} unpacks to more than {most} bytes")
            file.write(chunk)
    if size != stated:
        raise UsageError(f"the member {member.filename!r} says that it has {stated} bytes, and has {size}")
    return size


@contextlib.contextmanager
def _beside(results: Path) -> Iterator[Path]:
    """Make a folder for a while, on the disk of the results and outside of them, so that no reader sees half a run."""
    home = results.resolve()
    above = next((folder for folder in home.parents if folder.exists()), home)
    try:
        place = Path(tempfile.mkdtemp(".partial", f".{home.name}-", home if home.is_mount() else above))
    except OSError as error:
        raise UsageError(f"cannot write to {results}: {error.strerror}") from None
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _unpack_apart(path: Path, place: Path) -> None:
    """Unpack a bundle and look through its runs in another process, and raise here what went wrong there."""
    words = (sys.executable, "-P", "-m", "harness.store.unbundle", str(path), str(place), str(MEMORY))
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    last = " ".join(done.stderr.decode(errors="replace").strip().splitlines()[-1:])
    if done.returncode == EXIT_HARNESS:
        raise HarnessError(last)
    if done.returncode < 0:
        last = f"reading it ended with {signal.Signals(-done.returncode).name}"
    if done.returncode:
        raise UsageError(f"{path}: {last}")


def _is_there(unpacked: Path, folder: Path) -> bool:
    """Return whether a run is there already, file by file the same.

    Raises:
        UsageError: something else is there under its name.
    """
    if not os.path.lexists(folder):
        return False
    names = sorted(path.name for path in unpacked.iterdir())
    if filecmp.cmpfiles(unpacked, folder, names, shallow=False)[0] != names:
        raise UsageError(f"{folder} is there already, with another content; nothing was imported")
    return True


def _make(results: Path) -> None:
    try:
        results.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {results}: {error.strerror}") from None


def _move(place: Path, results: Path, names: list[str]) -> None:
    """Move runs to where they are kept; each appears whole, and none stays where one cannot be moved."""
    try:
        for name in names:
            (place / name).rename(results / name)
    except OSError as error:
        for name in names:
            if not (place / name).exists():
                shutil.rmtree(results / name, ignore_errors=True)
        raise HarnessError(f"cannot write to {results}: {error.strerror}") from None


def main(path: str, folder: str, memory: str) -> int:
    """Unpack a bundle and look through its runs; return the exit code, with the reason on the standard error."""
    from harness.store.vet import vet_run  # with pyarrow, which whoever waits for this process does without

    _limit_memory(int(memory))
    try:
        unpack_bundle(Path(path), Path(folder))
        for run in sorted(Path(folder).iterdir()):
            vet_run(run)
    except (UsageError, HarnessError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return EXIT_HARNESS if isinstance(error, HarnessError) else EXIT_USAGE
    except MemoryError:
        print(f"takes more than {int(memory) >> 20} MiB of memory to read", file=sys.stderr)
        return EXIT_USAGE
    return EXIT_OK


def _limit_memory(most: int) -> None:
    """Let this process take no more memory than it has and so much; a thread takes address space, so there is one."""
    import pyarrow as pa

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + most
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
