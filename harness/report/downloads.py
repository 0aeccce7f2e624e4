"""The numbers of a report as files: every metric of every case."""

from __future__ import annotations

import gzip
import io
import json
from typing import TYPE_CHECKING

from harness.formats.csv_table import cell

if TYPE_CHECKING:
    import pandas as pd

    from harness.report.study import Study

_NAMING = ["run", "machine", "workload", "group", "implementation", "params", "status", "message", "command"]


def csv_of(study: Study) -> bytes:
    """Return the measurements as CSV in gzip, a line for each case and metric; text that begins a formula is made none.

    Names of cases stand on every line: it is a twentieth of the size.
    """
    text: str = _rows(study).map(cell).to_csv(index=False, lineterminator="\n")
    return gzip.compress(text.encode("utf-8", "backslashreplace"), mtime=0)


def parquet_of(study: Study) -> bytes:
    """Return the measurements as Parquet, one row for each case and metric."""
    out = io.BytesIO()
    _rows(study).to_parquet(out, index=False, compression="zstd")
    return out.getvalue()


def _rows(study: Study) -> pd.DataFrame:
    cases = study.cases[_NAMING].assign(params=study.cases["params"].map(json.dumps))
    return cases.join(study.measurements.set_index("case"), how="left").reset_index(drop=True)
