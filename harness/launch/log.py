"""What workers and servers write: kept in a file each, of which only the end matters.

A log stays open here while its writer lives, so that it can be read even if the writer removes the file.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import FileIO
    from pathlib import Path

_TAIL = 4000
# A log that grows beyond this is cut, so that one that talks for ever does not fill the disk.
_LIMIT = 16 << 20


def create_log(path: Path) -> FileIO:
    """Open a new log, and make its folder if that was removed; on a full disk, what is written to it is lost."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a+b", buffering=0)
    except OSError:
        return open(os.devnull, "a+b", buffering=0)


def read_tail(log: FileIO) -> str:
    """Return the end of a log as text, whatever bytes it holds."""
    start = max(0, os.fstat(log.fileno()).st_size - _TAIL)
    return os.pread(log.fileno(), _TAIL, start).decode("utf-8", errors="replace")


def trim_log(log: FileIO) -> None:
    """Cut a log that has grown too long down to its end; its writer, which appends, goes on behind that."""
    if os.fstat(log.fileno()).st_size > _LIMIT:
        end = read_tail(log)
        with contextlib.suppress(OSError):  # the disk is full
            log.truncate(0)
            log.write(f"[earlier output was cut]\n{end}".encode())


def is_removed(log: FileIO) -> bool:
    """Whether the file has been removed from its folder."""
    return not os.fstat(log.fileno()).st_nlink


def write_traceback() -> None:
    """Write the exception that is being handled to this process's log, even if its standard streams are closed."""
    with contextlib.suppress(BaseException):
        os.write(2, traceback.format_exc().encode(errors="backslashreplace"))
