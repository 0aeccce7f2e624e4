"""Removes run folders, and nothing else."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from harness.core.errors import HarnessError, UsageError
from harness.store.find import find_runs
from harness.store.hold import hold_at_rest
from harness.store.layout import RUN
from harness.store.overview import measure_folder
from harness.store.place import require_local

if TYPE_CHECKING:
    from pathlib import Path


def check_removable(folder: Path) -> None:
    """Refuse what should not be removed as a run.

    Raises:
        UsageError: it lies where it can only be read, is no run folder or holds other runs, or is being measured.
    """
    require_local(folder)
    if folder.is_symlink() or find_runs(folder) != [folder]:
        raise UsageError(f"{folder} is not one run folder: remove it by hand")
    with hold_at_rest(folder):
        pass


def remove_run(folder: Path) -> int:
    """Remove a run folder, and return how many bytes it took.

    Raises:
        UsageError: it should not be removed.
        HarnessError: it cannot be.
    """
    check_removable(folder)
    with hold_at_rest(folder):
        size = measure_folder(folder)
        try:
            (folder / RUN).unlink()  # from here on it is no run for any reader, also where what follows is cut short
            shutil.rmtree(folder)
        except OSError as error:
            raise HarnessError(f"cannot remove {folder}: {error.strerror}") from None
    return size
