"""The numbers of a report as files: every metric of every case."""

from __future__ import annotations

import gzip
import io
import json
import math
from typing import TYPE_CHECKING

from pandas.api.types import is_string_dtype

from harness.formats.csv_table import write_cell

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from harness.report.study import Study

_NAMING = ["run", "machine", "workload", "group", "implementation", "params", "status", "message", "command"]


def write_csv_download(study: Study) -> bytes:
    """Return the measurements as CSV in gzip, a line for each case and metric; text that begins a formula is made none.

    Names of cases stand on every line: it is a twentieth of the size.
    """
    rows = _rows(study, write_cell).replace([math.inf, -math.inf], math.nan)
    text: str = rows.to_csv(index=False, lineterminator="\n")
    return gzip.compress(text.encode(), mtime=0)


def write_parquet_download(study: Study) -> bytes:
    """Return the measurements as Parquet, one row for each case and metric."""
    out = io.BytesIO()
    _rows(study, str).to_parquet(out, index=False, compression="zstd")
    return out.getvalue()


def _rows(study: Study, written: Callable[[str], str]) -> pd.DataFrame:
    """Return the rows with every text as it is written, and what is no Unicode in it as its code point."""
    cases = study.cases[_NAMING].assign(params=study.cases["params"].map(json.dumps))
    rows = cases.join(study.measurements.set_index("case"), how="left").reset_index(drop=True)
    for name in (name for name in rows if is_string_dtype(rows[name])):
        known = rows[name].dropna().unique()  # few, on many lines
        rows[name] = rows[name].map({one: written(one).encode("utf-8", "backslashreplace").decode() for one in known})
    return rows
