"""Tells a run that is being measured from one that was killed: whoever measures holds a lock on its journal.

The system lets go of the lock when a process ends, however it ends; a number written into the folder would stay.
"""

from __future__ import annotations

import contextlib
import fcntl
from typing import TYPE_CHECKING

from harness.core.errors import UsageError
from harness.store.layout import JOURNAL
from harness.store.place import require_local

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


@contextlib.contextmanager
def hold_measuring(folders: Iterable[Path]) -> Iterator[None]:
    """Mark runs as being measured until the end of the context; a complete run has no journal, and needs no mark.

    Raises:
        UsageError: a run lies where it can only be read.
    """
    with contextlib.ExitStack() as stack:
        for folder in folders:
            require_local(folder)
            # Not every file system of many machines has locks, and a run must not fail for the want of one.
            with contextlib.suppress(OSError):
                journal = stack.enter_context((folder / JOURNAL).open("rb"))
                fcntl.flock(journal, fcntl.LOCK_SH)
        yield


@contextlib.contextmanager
def hold_at_rest(folder: Path) -> Iterator[None]:
    """Keep a run from being measured until the end of the context.

    Raises:
        UsageError: it is being measured at the moment.
    """
    with contextlib.ExitStack() as stack:
        try:
            journal = stack.enter_context((folder / JOURNAL).open("r+b"))
            fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{folder} is being measured at the moment") from None
        except OSError:
            pass  # no journal, or no locks there
        yield
