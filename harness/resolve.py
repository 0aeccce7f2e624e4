"""From the word by which a user means a run to its folder: a path, ``latest``, a run's name, a baseline, a revision."""

from __future__ import annotations

from pathlib import Path

from harness import git
from harness.core.errors import UsageError, unknown
from harness.store.find import Header, headers
from harness.store.layout import RUN
from harness.store.place import holds, is_url, place_of

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
    if holds(folder := place_of(word), RUN):
        return folder
    if is_url(word):
        raise UsageError(f"{word} is not a run folder: it has no {RUN}")
    known = [header for header in headers(results) if header.id != but]
    own = [header for header in known if not header.baseline]
    if word == LATEST:
        measured = [header for header in own if not header.compiled]
        if not measured:
            raise UsageError(f"there is no run in {results}")
        return max(measured, key=lambda header: header.started_at).folder
    if baseline := [header for header in known if header.baseline == word]:
        return _fitting(baseline, fingerprint).folder
    if started := [header for header in own if header.id.startswith(word)]:
        return _only(word, started).folder
    if found := _of_revision(word, known, fingerprint):
        return found.folder
    raise unknown("run", word, [LATEST, *(header.baseline or header.id for header in known)])


def _fitting(found: list[Header], fingerprint: str) -> Header:
    """Return the newest, of the machine that is wanted where there is one."""
    return max(found, key=lambda header: (header.fingerprint == fingerprint, header.started_at))


def _only(word: str, found: list[Header]) -> Header:
    if len(found) > 1:
        raise UsageError(f"'{word}' is the start of {len(found)} runs: {', '.join(one.id for one in found[:5])}")
    return found[0]


def _of_revision(word: str, known: list[Header], fingerprint: str) -> Header | None:
    """Return the run of the nearest ancestor that was measured, clean and to its end."""
    lineage = git.ancestors(Path.cwd(), word)
    usable = [
        header
        for header in known
        if header.complete and not (header.dirty or header.compiled) and fingerprint in ("", header.fingerprint)
    ]
    for commit in lineage:
        if found := [header for header in usable if header.commit == commit]:
            return _fitting(found, fingerprint)
    if lineage:
        machine = " on this kind of machine" if fingerprint else ""
        raise UsageError(f"nothing was measured of '{word}' or its ancestors{machine}")
    return None
