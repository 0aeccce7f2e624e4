"""Benchwright: what the author of a workload or an implementation needs, and what reads results back."""

import os
import typing

from harness.core.axis import Axis
from harness.core.metric import Metric
from harness.core.workload import (
    Check,
    Cost,
    Kernel,
    Params,
    Published,
    Reference,
    Requires,
    Step,
    Training,
    Workload,
    implementation,
)

if typing.TYPE_CHECKING:
    import plotly.graph_objects

    from harness.store.dataframes import Tables

__all__ = [
    "Axis",
    "Check",
    "Cost",
    "Kernel",
    "Metric",
    "Params",
    "Published",
    "Reference",
    "Requires",
    "Step",
    "Training",
    "Workload",
    "implementation",
    "figures",
    "read",
]


def read(*places: str | os.PathLike[str]) -> "Tables":
    """Read many runs together, each once, as four data frames of pandas.

    Args:
        places: run folders, folders of them, merged folders, patterns such as ``results/2026*``, or URLs such as
            ``s3://bucket/results``; ``results`` where left out.

    Returns:
        ``samples``, every observation in SI units; ``measurements``, the median and 95 % interval of each case and
        metric of complete runs; ``trials``, how each case ended in each launch; ``environment``, one row a run: when,
        how, on which machine and of which commit; and ``left_out``, each folder that could not be read, and why.

    Raises:
        harness.core.errors.UsageError: a place is not there or cannot be reached, or nothing there can be read.
    """
    from harness.store.dataframes import read_tables

    return read_tables(*(os.fspath(place) for place in places or ("results",)))


def figures(panel: str, *places: str | os.PathLike[str]) -> "dict[str, plotly.graph_objects.Figure]":
    """Return the figures of a panel of the report, by name, as Plotly's own objects.

    Args:
        panel: the name of a panel, such as ``forest``, ``scaling``, ``roofline`` or ``distributions``.
        places: as of :func:`read`; several runs stand side by side.

    Raises:
        harness.core.errors.UsageError: there is no such panel, or nothing can be read.
    """
    from harness.report.notebook import read_figures

    return read_figures(panel, *(os.fspath(place) for place in places or ("results",)))
