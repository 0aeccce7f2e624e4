"""What there is of each run: a line of a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.trial import OK, SKIPPED
from harness.store.query import open_views

if TYPE_CHECKING:
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from harness.core.run_description import State
    from harness.store.gather import Sources
    from harness.store.source import Source

_SAMPLES = "select run_id, count(*) from samples group by run_id"
_FAILURES = 'select run_id, count(distinct "case") from trials where status not in ($ok, $skipped) group by run_id'


@dataclass(frozen=True)
class Overview:
    """When, where and of what a run was measured, and how much came out.

    Attributes:
        device: the GPU or the processor.
        cases: how many were planned.
        failures: how many of them failed in some launch.
        size: of its folder, in bytes; None within a merged folder.
    """

    run_id: str
    folder: str
    started_at: str
    workloads: tuple[str, ...]
    device: str
    fingerprint: str
    commit: str
    dirty: bool
    state: State
    cases: int
    failures: int
    samples: int
    size: int | None


def read_overviews(sources: Sources) -> list[Overview]:
    """Return a line for each run, newest last."""
    with open_views(sources) as duck:
        samples = _by_run(duck, _SAMPLES)
        failures = _by_run(duck, _FAILURES, ok=OK, skipped=SKIPPED)
    return [
        _overview(run, failures.get(run.description.id, 0), samples.get(run.description.id, 0)) for run in sources.runs
    ]


def measure_folder(folder: Path) -> int:
    """Return how many bytes a folder of this machine takes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _by_run(duck: DuckDBPyConnection, query: str, **parameters: str) -> dict[str, int]:
    return dict(duck.execute(query, parameters).fetchall())


def _overview(run: Source, failures: int, samples: int) -> Overview:
    found, cases = run.description, run.description.cases
    return Overview(
        run_id=found.id,
        folder=run.folder,
        started_at=found.started_at,
        workloads=tuple(dict.fromkeys(case.workload for case in cases)),
        device=found.device,
        fingerprint=found.environment.fingerprint,
        commit=found.environment.git_commit,
        dirty=found.environment.git_dirty,
        state=found.state,
        cases=len(cases),
        failures=failures,
        samples=samples,
        size=None if run.merged else measure_folder(run.home),
    )
