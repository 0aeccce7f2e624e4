"""From the word by which a user means a run to its folder: a path, ``latest``, a run's name, a baseline, a revision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness import git
from harness.core.errors import UsageError, make_unknown_error
from harness.store.find import KeptRun, find_runs, read_kept_runs
from harness.store.layout import RUN
from harness.store.place import has_file, is_url, resolve_place

if TYPE_CHECKING:
    from harness.core.run_description import RunDescription

LATEST = "latest"


def resolve_run(word: str, results: Path, fingerprint: str = "", but: str = "") -> Path:
    """Return the folder of the run that a word means.

    Args:
        word: a run's folder, here or at a URL; ``latest``, the newest that was measured and not only compiled; a run's
            name or the start of it; the name of a baseline; or a revision, which means the nearest of its ancestors
            that a run was measured of.
        results: where runs are kept.
        fingerprint: the machine that is wanted, where a baseline or a revision has runs of several.
        but: the name of a run that is not meant: the one that a base is looked for.

    Raises:
        UsageError: there is no such run, and the message has the nearest name; or the place cannot be reached.
    """
    if has_file(folder := resolve_place(word), RUN):
        return folder
    if is_url(word):
        raise UsageError(f"{word} is not a run folder: it has no {RUN}")
    known = [kept for kept in read_kept_runs(results) if kept.description.id != but]
    own = [kept for kept in known if not kept.baseline]
    if word == LATEST:
        measured = [kept for kept in own if not kept.description.compiled]
        if not measured:
            raise UsageError(f"there is no run in {results}")
        return max(measured, key=lambda kept: kept.description.started_at).folder
    if baseline := [kept for kept in known if kept.baseline == word]:
        return _fitting(baseline, fingerprint).folder
    if started := [kept for kept in own if kept.description.id.startswith(word)]:
        return _only(word, started).folder
    if found := _of_revision(word, known, fingerprint):
        return found.folder
    if unreadable := [folder for folder in find_runs(results) if folder.name == word != but]:
        return unreadable[0]  # whoever reads it says why it cannot be read
    raise make_unknown_error("run", word, [LATEST, *(kept.baseline or kept.description.id for kept in known)])


def _fitting(found: list[KeptRun], fingerprint: str) -> KeptRun:
    """Return the newest, of the machine that is wanted where there is one."""

    def order(kept: KeptRun) -> tuple[bool, str]:
        return kept.description.environment.fingerprint == fingerprint, kept.description.started_at

    return max(found, key=order)


def _only(word: str, found: list[KeptRun]) -> KeptRun:
    if len(found) > 1:
        names = ", ".join(kept.description.id for kept in found[:5])
        raise UsageError(f"'{word}' is the start of {len(found)} runs: {names}")
    return found[0]


def _of_revision(word: str, known: list[KeptRun], fingerprint: str) -> KeptRun | None:
    """Return the run of the nearest ancestor that was measured, clean and to its end."""
    lineage = git.list_ancestors(Path.cwd(), word)
    usable = [kept for kept in known if _stands_for_its_commit(kept.description, fingerprint)]
    for commit in lineage:
        if found := [kept for kept in usable if kept.description.environment.git_commit == commit]:
            return _fitting(found, fingerprint)
    if lineage:
        machine = " on this kind of machine" if fingerprint else ""
        raise UsageError(f"nothing was measured of '{word}' or its ancestors{machine}")
    return None


def _stands_for_its_commit(run: RunDescription, fingerprint: str) -> bool:
    """Return whether a run was measured to its end, of nothing but a commit, on the machine that is wanted."""
    environment = run.environment
    return run.complete and not (environment.git_dirty or run.compiled) and fingerprint in ("", environment.fingerprint)
