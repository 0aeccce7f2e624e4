"""A report as files: a page, Markdown, or pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis.rows import build_result_tables
from harness.core.errors import make_unknown_error
from harness.core.run import were_interleaved
from harness.formats import markdown
from harness.formats.exports import save_file
from harness.report.page import render_page
from harness.report.panels.verdict import write_headline
from harness.store.place import is_local

if TYPE_CHECKING:
    from harness.report.study import Study

PAGE = "report.html"
PICTURES = ("png", "svg")
FORMS = ("html", "md", *PICTURES)


def write_report(study: Study, form: str = "html", output: Path | None = None) -> list[Path]:
    """Write a study, and return the files.

    Args:
        study: what is shown.
        form: ``html``, ``md``, ``png`` or ``svg``.
        output: the file; of pictures, their folder. Where left out, the page of one run stands in its folder, and all
            else in the current one.

    Raises:
        UsageError: there is no such form, or it cannot be written.
    """
    if form not in FORMS:
        raise make_unknown_error("format", form, FORMS)
    if form in PICTURES:
        from harness.report.pictures import write_pictures  # Plotly's objects take a third of a second to import

        return write_pictures(study, form, output or Path("figures"))
    text = render_page(study) if form == "html" else render_markdown(study)
    path = output or (_place(study) if form == "html" else Path("report.md"))
    save_file(text.encode("utf-8", "backslashreplace"), path)
    return [path]


def render_markdown(study: Study) -> str:
    """Return the sentence of what came out, and the tables of every run."""
    tables = [markdown.write_markdown(run, build_result_tables(run)).text.rstrip() for run in study.runs]
    return "\n\n".join([markdown.write_code(write_headline(study)), *tables]) + "\n"


def _place(study: Study) -> Path:
    """Return where the page of a study stands: with the run, where it is of one run or of two sides of one."""
    new = study.runs[-1]
    alone = all(were_interleaved(new, run) for run in study.runs[:-1])
    return new.folder / PAGE if alone and is_local(new.folder) else Path(PAGE)
