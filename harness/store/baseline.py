"""Keeps runs under a name, one for each kind of machine, where git tracks them: ``results/baselines/NAME/RUN``."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from harness.core.errors import HarnessError, UsageError
from harness.store.find import BASELINES, read_kept_runs
from harness.store.place import mirror_place, require_local
from harness.store.read import read_run

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")


def keep_baseline(results: Path, name: str, folder: Path) -> Path:
    """Copy a run to where baselines are kept, in place of an earlier one of that name and machine.

    Raises:
        UsageError: the name will not do for a folder, the run has not come to its end, or results can only be read.
        HarnessError: the disk is full or gone.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"'{name}' cannot be the name of a baseline: use letters, digits, '.', '_' and '-'")
    require_local(results)
    run = read_run(folder)
    if not run.complete:
        raise UsageError(f"{folder} is not complete; go on with: bench run --resume {folder}")
    home = results / BASELINES / name
    earlier = [
        kept.folder
        for kept in read_kept_runs(results)
        if kept.baseline == name and kept.description.environment.fingerprint == run.environment.fingerprint
    ]
    partial = home / f".{run.id}.partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        with mirror_place(folder) as here:
            shutil.copytree(here, partial, ignore=shutil.ignore_patterns("*.html"))  # a page can be made again
        for one in earlier:
            shutil.rmtree(one)
        return partial.rename(home / run.id)
    except OSError as error:
        raise HarnessError(f"cannot write to {home}: {error.strerror}") from None
