"""What a site knows of a run before its rows are read; whatever stands in its files is only ever text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.core.errors import UsageError
from harness.core.variant import BASE
from harness.report.index import Entry
from harness.report.site_folder import compute_digest, make_page_name
from harness.report.study import name_machine
from harness.store.layout import JOURNAL, RUN, TABLES

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.run_description import RunDescription
    from harness.store.source import Source


@dataclass(frozen=True)
class SiteRun:
    """A run of a site.

    Attributes:
        home: its folder.
        name: that of its page, which is safe in a path and in an address.
        content: a digest of its files.
        order: sorts runs by time, those that are complete last.
        run_set: what it shares with the other sides that it took turns with; empty where there are none.
        is_new: whether it is the new one of two sides.
        slowed: whether it was made slower on purpose.
    """

    home: Path
    name: str
    content: str
    order: tuple[bool, str]
    run_set: str
    is_new: bool
    slowed: bool
    entry: Entry


def read_site_run(source: Source) -> SiteRun:
    """Return what is known of a run.

    Raises:
        UsageError: it has no folder of its own, it cannot be read, or it is in no form that is known.
    """
    if source.merged:
        raise UsageError(f"{source.folder} lies in a merged folder, and has no page of its own")
    run = source.description
    try:
        return SiteRun(
            home=source.home,
            name=f"runs/{make_page_name(run.id)}/index.html",
            content=_content(source.home),
            order=(run.complete, run.started_at),
            run_set=run.variant.run_set if run.variant else "",
            is_new=not run.variant or run.variant.role != BASE,
            slowed=run.slowed,
            entry=_entry(run),
        )
    except OSError as error:
        raise UsageError(f"{source.folder} cannot be read: {error.strerror}") from None
    except ValueError:
        raise UsageError(f"{source.folder}/{RUN}: unknown device '{run.policy.device}'") from None


def _entry(run: RunDescription) -> Entry:
    return Entry(
        run_id=run.id,
        page="",
        started_at=run.started_at,
        workloads=list(dict.fromkeys(case.workload for case in run.cases)),
        machine=name_machine(run.environment, run.policy),
        fingerprint=run.environment.fingerprint,
        commit=run.environment.git_commit,
        dirty=run.environment.git_dirty,
        state=run.state,
        cases=len(run.cases),
    )


def _content(home: Path) -> str:
    """Return a digest of the files of a run."""
    files: Any = [home / name for name in (RUN, JOURNAL, *TABLES)]
    return compute_digest(part for file in files if file.is_file() for part in (file.name, file.read_bytes()))
