"""What a site knows of a run before its rows are read; whatever stands in its files is only ever text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.core.errors import UsageError
from harness.report.index import Entry
from harness.report.site_folder import digest, slug
from harness.report.study import machine_name
from harness.store.layout import JOURNAL, RUN, TABLES

if TYPE_CHECKING:
    from pathlib import Path

    from harness.store.source import Source

_BASE = "base"


@dataclass(frozen=True)
class SiteRun:
    """A run of a site.

    Attributes:
        home: its folder.
        name: that of its page, which is safe in a path and in an address.
        content: a digest of its files.
        order: sorts runs by time, those that are complete last.
        together: what it shares with the other side that it took turns with; empty where there is none.
        is_new: whether it is the new one of two sides.
        slowed: whether it was made slower on purpose.
    """

    home: Path
    name: str
    content: str
    order: tuple[bool, str]
    together: str
    is_new: bool
    slowed: bool
    entry: Entry


def site_run(source: Source) -> SiteRun:
    """Return what is known of a run.

    Raises:
        UsageError: it has no folder of its own, it cannot be read, or it is in no form that is known.
    """
    if source.merged:
        raise UsageError(f"{source.folder} lies in a merged folder, and has no page of its own")
    try:
        revision = source.run.get("revision") or {}
        return SiteRun(
            home=source.home,
            name=f"runs/{slug(source.run_id)}/index.html",
            content=_content(source.home),
            order=(source.complete, source.started_at),
            together=str(revision.get("together") or ""),
            is_new=revision.get("role") != _BASE,
            slowed=bool(revision.get("planted")),
            entry=_entry(source),
        )
    except OSError as error:
        raise UsageError(f"{source.folder} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, AttributeError):
        raise UsageError(f"{source.folder} holds no run in a form that is known") from None


def _entry(source: Source) -> Entry:
    return Entry(
        run_id=source.run_id,
        page="",
        started_at=source.started_at,
        workloads=[str(name) for name in dict.fromkeys(case.workload for case in source.cases)],
        machine=machine_name(source.environment, source.policy),
        fingerprint=source.fingerprint,
        commit=str(source.environment.git_commit),
        dirty=bool(source.environment.git_dirty),
        state=source.state,
        cases=len(source.cases),
    )


def _content(home: Path) -> str:
    """Return a digest of the files of a run."""
    files: Any = [home / name for name in (RUN, JOURNAL, *TABLES)]
    return digest(part for file in files if file.is_file() for part in (file.name, file.read_bytes()))
