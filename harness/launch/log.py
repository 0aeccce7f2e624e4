"""What workers and servers write: kept in a file each, of which only the end matters."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_TAIL = 4000
# A log that grows beyond this is cut, so that one that talks for ever does not fill the disk.
_LIMIT = 16 << 20


def tail(path: Path) -> str:
    """Return the end of a log as text, whatever bytes it holds."""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - _TAIL))
        return log.read(_TAIL).decode("utf-8", errors="replace")


def trim(path: Path) -> None:
    """Cut a log that has grown too long down to its end; its writer, which appends, goes on behind that."""
    if path.stat().st_size > _LIMIT:
        end = tail(path)
        os.truncate(path, 0)
        with path.open("a") as log:
            log.write("[earlier output was cut]\n" + end)
