"""The page: one HTML file that needs no network, with every figure, table and script in it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from harness.report.downloads import write_csv_download, write_parquet_download
from harness.report.figure import Figure
from harness.report.html import open_templates, show_text
from harness.report.panels import PANELS
from harness.report.panels.verdict import write_headline
from harness.report.study import format_axis_value

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from harness.report.study import Study

LIBRARY = "plotly-cartesian.min.js"
_ASSETS = resources.files("harness.report") / "assets"
_SCRIPTS = ("state", "figures", "table", "prices", "main")


@dataclass
class _Slot:
    """A place on the page where one of several figures is drawn: one for each point, or the same for all."""

    number: int
    name: str
    toggles: list[str]
    figures: dict[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class _Section:
    """A panel as the page's template takes it."""

    name: str
    heading: str
    help: str
    slots: list[_Slot]
    html: Markup
    by_group: bool


@dataclass(frozen=True)
class Place:
    """Where a page stands: alone, with everything in it, or on a site, whose pages share the drawing library.

    Attributes:
        library: the address of the library from the page; empty where it stands in the page.
        home: the address of the page with all runs; empty where there is none.
        headline: instead of what came out of the study.
        panels: those that the page has, where the study has data for them.
    """

    library: str = ""
    home: str = ""
    headline: str = ""
    panels: tuple[ModuleType, ...] = PANELS


ALONE = Place()


def render_page(study: Study, place: Place = ALONE) -> str:
    """Return the report of a study as one HTML document; a panel without data has no place on it."""
    slots = list[_Slot]()
    sections = [section for panel in place.panels if (section := _section(study, panel, slots))]
    data = _data(study, slots)
    script, library = (
        read_asset(*(f"page/{name}.js" for name in _SCRIPTS)),
        "" if place.library else read_asset(LIBRARY),
    )
    return (
        open_templates()
        .get_template("page.html")
        .render(
            title=_title(study),
            headline=place.headline or write_headline(study),
            place=place,
            footer=f"{', '.join(run.id for run in study.runs)} · {len(study.samples)} samples",
            count=len(data["cases"]),
            implementations=list(dict.fromkeys(study.cases["implementation"])),
            filters={name: [format_axis_value(value) for value in values] for name, values in _filters(study).items()},
            groups=data["groups"],
            panels=sections,
            style=Markup(read_asset("page.css")),
            script=Markup(script),
            library=Markup(library),
            licence=read_asset("plotly-cartesian.LICENSE"),
            sources=" ".join([hash_script(script), hash_script(library) if library else "'self'"]),
            data=Markup(_compressed(data)),
        )
    )


def _title(study: Study) -> str:
    workloads = ", ".join(dict.fromkeys(study.cases["workload"]))
    machines = ", ".join(dict.fromkeys(study.cases["machine"]))
    return f"{workloads} · {machines} · {study.runs[-1].description.started_at[:10]}"


def _section(study: Study, panel: ModuleType, slots: list[_Slot]) -> _Section | None:
    heading, _, help = (panel.__doc__ or "").strip().partition("\n")
    mine, blocks, by_group = dict[str, _Slot](), list[Markup](), False
    for block in panel.draw_panel(study):
        if not isinstance(block, Figure):
            blocks.append(Markup(block.render()))
            continue
        if block.name not in mine:
            mine[block.name] = _Slot(len(slots), block.name, list(block.toggles))
            slots.append(mine[block.name])
        by_group = by_group or bool(block.group)
        mine[block.name].figures[block.group] = block
    if not mine and not blocks:
        return None
    name = panel.__name__.rpartition(".")[2].replace("_", "-")
    return _Section(
        name, heading.rstrip("."), " ".join(help.split()), list(mine.values()), Markup().join(blocks), by_group
    )


def _filters(study: Study) -> dict[str, list[Any]]:
    machines = list(dict.fromkeys(study.cases["machine"]))
    return {**({"machine": machines} if len(machines) > 1 else {}), **study.axes}


def _data(study: Study, slots: Iterable[_Slot]) -> dict[str, Any]:
    """Return what the page's scripts read: cases, figures, and the arrays of figures, each of them once."""
    groups = list(dict.fromkeys(study.cases["question"]))
    number = {group: index for index, group in enumerate(groups)}
    filters, arrays = _filters(study), _Arrays()
    cases = [
        {
            "implementation": row.implementation,
            "group": number[row.question],
            "axes": [format_axis_value(row.machine if name == "machine" else row.params.get(name)) for name in filters],
            "text": f"{row.group} {row.implementation} {row.machine} {row.status} {row.flags}".lower(),
        }
        for row in study.cases.itertuples()
    ]
    figures = [
        {
            str(number[group]) if group else "": {
                "data": arrays.packed(one.data),
                "layout": arrays.packed(one.layout),
                "group": group,
                "row_px": one.row_px,
                "toggles": one.toggles,
            }
            for group, one in slot.figures.items()
        }
        for slot in slots
    ]
    return {
        "name": study.runs[-1].id if len(study.runs) == 1 else "study",
        "axes": list(filters),
        "groups": groups,
        "focus": _focus(slots, number),
        "cases": cases,
        "slots": figures,
        "arrays": arrays.texts,
        "csv": _base64(write_csv_download(study)),
        "parquet": _base64(write_parquet_download(study)),
    }


def _focus(slots: Iterable[_Slot], number: dict[str, int]) -> int:
    """Return the point whose samples are shown at first: the last that has some, as it is the largest of a sweep."""
    return max((number[group] for slot in slots for group in slot.figures if group), default=0)


class _Arrays:
    """The arrays of a page, each kept once however many figures have it."""

    def __init__(self) -> None:
        self.texts = list[tuple[str, str]]()
        self._known = dict[bytes, int]()

    def packed(self, value: Any) -> Any:
        """Return a specification with numbers in place of its NumPy arrays, and nothing that JSON does not have."""
        if isinstance(value, str):
            return value if value.isprintable() else show_text(value)
        if isinstance(value, dict):
            return {key: self.packed(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.packed(item) for item in value]
        if isinstance(value, float):
            return float(f"{value:.7g}") if math.isfinite(value) else None
        if isinstance(value, np.ndarray):
            flat = value.ndim == 1 and value.dtype.kind in "fi"
            return {"$": self._number(value)} if flat else self.packed(value.tolist())
        return value.item() if isinstance(value, np.generic) else value

    def _number(self, array: np.ndarray[Any, Any]) -> int:
        kind = "f4" if array.dtype.kind == "f" else "i4"
        content = kind.encode() + array.astype(f"<{kind}").tobytes()
        if content not in self._known:
            self._known[content] = len(self.texts)
            self.texts.append((kind, _base64(content[2:])))
        return self._known[content]


def _compressed(value: Any) -> str:
    """Return a value as JSON in gzip in base64: nothing in it can end a script element, and it takes a third."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return _base64(gzip.compress(text.encode("utf-8", "backslashreplace"), mtime=0))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def hash_script(text: str) -> str:
    """Return the word of a policy that lets a script run where it stands."""
    return f"'sha256-{_base64(hashlib.sha256(text.encode()).digest())}'"


@cache
def read_asset(*names: str) -> str:
    """Return the text of files of ``harness/report/assets``, one after the other."""
    return "\n".join((_ASSETS / name).read_text(encoding="utf-8") for name in names)
