"""The panels of a report, in the order in which they stand on the page.

A panel is a module. The first line of its docstring is its heading, and the rest says how to read it. Its function
``draw(study)`` yields figures, or blocks of HTML, and nothing where the study has no data for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.panels import (
    accuracy,
    distributions,
    efficiency,
    energy,
    environment,
    failures,
    forest,
    guessing,
    hardware,
    heat_map,
    history,
    memory,
    roofline,
    scaling,
    speed_up,
    table,
    time_split,
    timeline,
    training,
    verdict,
)

if TYPE_CHECKING:
    from types import ModuleType

PANELS: tuple[ModuleType, ...] = (
    verdict,
    forest,
    heat_map,
    speed_up,
    scaling,
    efficiency,
    guessing,
    roofline,
    time_split,
    memory,
    energy,
    accuracy,
    training,
    distributions,
    timeline,
    hardware,
    history,
    failures,
    environment,
    table,
)
