"""The page that leads to all others of a site: every run, by machine, the newest first."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from harness.report.html import open_templates
from harness.report.page import hash_script, read_asset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.core.run_description import State


@dataclass(frozen=True)
class Entry:
    """A run on the index.

    Attributes:
        page: the path of its page below the site; empty where none could be made.
        failures: how many of its cases failed.
        headline: what came out, in a sentence; of a run without a page, why it has none.
    """

    run_id: str
    page: str
    started_at: str
    workloads: list[str]
    machine: str
    fingerprint: str
    commit: str
    dirty: bool
    state: State
    cases: int
    failures: int = 0
    headline: str = ""

    @property
    def text(self) -> str:
        """What the filter of the index looks through."""
        words = (self.run_id, self.started_at, *self.workloads, self.machine, self.fingerprint, self.commit)
        return " ".join([*words, self.state, "failed" if self.failures else "", self.headline]).lower()


def render_index(entries: Sequence[Entry], links: Sequence[str], left_out: Sequence[str]) -> str:
    """Return the index as one HTML document.

    Args:
        entries: the runs, the newest first.
        links: the pages that are of no single run.
        left_out: what could not be read, or shown.
    """
    machines = defaultdict[str, list[Entry]](list)
    for entry in entries:
        machines[entry.machine].append(entry)
    script = read_asset("page/index.js")
    return (
        open_templates()
        .get_template("index.html")
        .render(
            headline=_headline(entries, len(machines)),
            machines=dict(machines),
            links=[_link(path) for path in links],
            left_out=left_out,
            style=Markup(read_asset("page.css")),
            script=Markup(script),
            sources=hash_script(script),
        )
    )


def _headline(entries: Sequence[Entry], machines: int) -> str:
    if not entries:
        return "There is no run that can be shown."
    runs = "1 run" if len(entries) == 1 else f"{len(entries)} runs"
    where = "1 machine" if machines == 1 else f"{machines} machines"
    return f"{runs} on {where}, the newest of {entries[0].started_at[:10]}."


def _link(path: str) -> dict[str, Any]:
    kind, _, rest = path.partition("/")
    name = rest.removesuffix("/index.html")
    return {"path": path, "name": f"{name}, all machines" if kind == "workloads" else "history of all cases"}
