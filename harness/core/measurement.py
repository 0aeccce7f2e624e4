"""A case and metric in numbers that can be read at a glance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.metric import find_metric

if TYPE_CHECKING:
    from harness.core.case import Case
    from harness.core.metric import Metric


@dataclass(frozen=True)
class Measurement:
    """A case and metric, summarised; the ends of the 95 % interval are NaN where there is none.

    Attributes:
        provenance: as in :class:`harness.core.trial.Sample`.
        own: the metric, where it is the workload's and not the harness's.
    """

    case: Case
    metric: str
    n: int
    launches: int
    median: float
    ci_low: float
    ci_high: float
    flags: tuple[str, ...] = ()
    provenance: str = ""
    own: Metric | None = None

    @property
    def kind(self) -> Metric:
        """What the number means."""
        return self.own or find_metric(self.metric)

    @property
    def unit(self) -> str:
        """The metric's unit."""
        return self.kind.unit
