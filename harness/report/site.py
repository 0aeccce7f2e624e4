"""A site of all runs for any static host: an index, a page for each run and each workload, and the history."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from harness.core.errors import UsageError
from harness.core.trial import OK, SKIPPED
from harness.report.gather import read_history, read_or_reason
from harness.report.index import render_index
from harness.report.page import LIBRARY, Place, read_asset, render_page
from harness.report.panels import history as history_panel
from harness.report.panels.verdict import write_headline
from harness.report.site_folder import compute_digest, make_page_name, replace_site
from harness.report.site_run import read_site_run
from harness.report.study import build_study
from harness.store.measured_run import read_measured_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from harness.core.rules import Rules
    from harness.core.run import Run
    from harness.report.index import Entry
    from harness.report.site_folder import Made, SiteFolder
    from harness.report.site_run import SiteRun
    from harness.report.study import Study
    from harness.store.gather import Sources


@dataclass(frozen=True)
class Written:
    """What a site has.

    Attributes:
        pages: how many there are, beside the index.
        made: how many of them were rendered, as what they show is new.
        left_out: what could not be read, or shown.
    """

    runs: int
    pages: int
    made: int
    left_out: tuple[str, ...]


def write_site(sources: Sources, target: Path, *, rules: Rules, topology: Sequence[str] = ()) -> Written:
    """Write the site of runs; pages whose runs have not changed are taken over from the one that is replaced.

    Args:
        sources: the runs.
        target: the folder of the site.
        rules: by which runs that can be compared are judged.
        topology: the commits that git knows, none before its parents.

    Raises:
        UsageError: the target holds something that is no site.
        HarnessError: the disk is full or gone.
    """
    with replace_site(target) as folder:
        builder = _Builder(sources, folder, rules, topology)
        entries = builder.runs()
        builder.workloads()
        builder.history()
        folder.write(f"assets/{_library()}", read_asset(LIBRARY))
        folder.write("assets/plotly.LICENSE.txt", read_asset("plotly-cartesian.LICENSE"))
        links = [name for name in folder.there if not name.startswith("runs/")]
        left_out = tuple(dict.fromkeys(builder.left_out))
        folder.write("index.html", render_index(entries, links, left_out))
        return Written(len(entries), len(folder.there), folder.made, left_out)


class _Builder:
    """Renders the pages of a site."""

    def __init__(self, sources: Sources, folder: SiteFolder, rules: Rules, topology: Sequence[str]) -> None:
        self.left_out = list(sources.left_out)
        self._folder, self._rules, self._topology = folder, rules, topology
        self._common = [_code(), repr(rules)]
        self._runs: list[SiteRun] = []
        for source in sources.runs:
            try:
                self._runs.append(read_site_run(source))
            except UsageError as error:
                self.left_out.append(str(error))
        self._runs.sort(key=lambda run: run.entry.started_at, reverse=True)

    def runs(self) -> list[Entry]:
        """Make the page of each run, newest first; a side of two shows both."""
        return [self._run(run) for run in self._runs]

    def workloads(self) -> None:
        """Make a page for each workload, with the newest run of each machine."""
        for workload, runs in self._newest().items():
            self._page(f"workloads/{make_page_name(workload)}/index.html", runs, lambda study: None, workload=workload)

    def history(self) -> None:
        """Make the page of all series, where there are some."""
        shown = list({run.name: run for runs in self._newest().values() for run in runs}.values())
        names = [run.name for run in shown]
        content = compute_digest([*self._common, *self._topology, *names, *(run.content for run in self._runs)])
        self._guarded("history/index.html", content, lambda: self._history(shown))

    def _run(self, run: SiteRun) -> Entry:
        sides = [one for one in self._runs if run.run_set and one.run_set == run.run_set] or [run]
        sides.sort(key=lambda side: side.is_new)
        said = self._page(run.name, sides, lambda study: _said(study, run))
        if said is None:
            return replace(run.entry, headline=self.left_out[-1])
        return replace(run.entry, page=run.name, **said)

    def _newest(self) -> dict[str, list[SiteRun]]:
        """Return the newest run of each machine by workload, one that is complete where there is any."""
        found = dict[str, dict[str, "SiteRun"]]()
        for run in sorted(self._runs, key=lambda run: run.order):
            for workload in run.entry.workloads if not run.slowed else ():
                found.setdefault(workload, {})[run.entry.machine] = run
        return {workload: list(runs.values()) for workload, runs in found.items()}

    def _history(self, shown: Sequence[SiteRun]) -> Made:
        kept, _ = read_measured_runs(run.home for run in self._runs)
        runs = [found for run in shown if not isinstance(found := read_or_reason(run.home), str)]
        study = build_study(runs, history=read_history(runs, kept, self._topology)) if runs else None
        if not study or not any(history_panel.draw_panel(study)):
            return None, None
        place = Place(f"../assets/{_library()}", "../index.html", _changes(study), (history_panel,))
        return render_page(study, place), None

    def _page(self, name: str, runs: Sequence[SiteRun], say: Callable[[Study], Any], *, workload: str = "") -> Any:
        content = compute_digest([*self._common, workload, *(run.content for run in runs)])
        return self._guarded(name, content, lambda: self._made(runs, say, workload))

    def _made(self, runs: Sequence[SiteRun], say: Callable[[Study], Any], workload: str) -> Made:
        found = [read_or_reason(run.home) for run in runs]
        reasons = [reason for reason in found if isinstance(reason, str)]
        read = [_of_workload(run, workload) for run in found if not isinstance(run, str)]
        if not read:
            raise UsageError("; ".join(reasons))
        study = build_study(read, rules=self._rules, left_out=reasons)
        return render_page(study, Place(f"../../assets/{_library()}", "../../index.html")), say(study)

    def _guarded(self, name: str, content: str, make: Callable[[], Made]) -> Any:
        """Make a page; where that fails, say so: whatever one run holds, the others get their pages."""
        try:
            return self._folder.page(name, content, make)
        except UsageError as error:
            self.left_out.append(str(error))
        except OSError:
            raise
        except Exception as error:
            self.left_out.append(f"{name} cannot be made: {type(error).__name__}: {error}")
        return None


def _said(study: Study, run: SiteRun) -> dict[str, Any]:
    """Return what the index says of a run, and only its rows can tell."""
    statuses = study.cases[study.cases["run"] == run.entry.run_id]["status"]
    return {"failures": int((~statuses.isin([OK, SKIPPED])).sum()), "headline": write_headline(study)}


def _changes(study: Study) -> str:
    """Say of a history how many series changed."""
    series = [one for one in study.history.series if len(one.points) > 1] if study.history else []
    changed = sum(bool(one.changes or one.drift) for one in series)
    return f"{changed} of {len(series)} series changed or drifted."


def _of_workload(run: Run, workload: str) -> Run:
    """Return a run with the cases of one workload alone; as it is, for an empty name."""
    if not workload:
        return run
    groups = [group for group in run.groups if any(one.case.workload == workload for one in group.cases)]
    return run.with_groups(groups)


@cache
def _code() -> str:
    """Return a digest of what renders pages, so that a newer version makes all of them anew."""
    return compute_digest(_files_below(resources.files("harness")))


def _files_below(folder: Any) -> Iterator[bytes]:
    for entry in sorted(folder.iterdir(), key=lambda entry: str(entry.name)):
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _files_below(entry)
        elif entry.is_file():
            yield entry.read_bytes()


@cache
def _library() -> str:
    """Return a name for the drawing library that changes with it, for hosts that let a browser keep files for long."""
    return f"plotly-{compute_digest([read_asset(LIBRARY)])[:12]}.min.js"
