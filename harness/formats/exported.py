"""What an export gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.analysis.rows import ResultRow


@dataclass(frozen=True)
class Exported:
    """A run in another form, and the rows that the form has no place for."""

    text: str
    left_out: tuple[ResultRow, ...] = ()
