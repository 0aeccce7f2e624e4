"""What was observed as tables: one row a sample, a trial or a measurement, in the columns of the form."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from harness.core.metric import find_recorded_metric
from harness.core.trial import Sample
from harness.store import schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.core.case import Case
    from harness.core.measurement import Measurement
    from harness.core.metric import Declared
    from harness.core.trial import Trial

_OF_SAMPLE = [field.name for field in fields(Sample)]


def build_sample_table(run_id: str, trials: Iterable[Trial], declared: Declared) -> pa.Table:
    """Return every sample of a run's trials; column by column, for there may be millions."""
    columns: dict[str, list[Any]] = {name: [] for name in schema.SAMPLES_SCHEMA.names}
    for trial in trials:
        for name, value in {**_case_columns(run_id, trial.case), "launch": trial.launch}.items():
            columns[name] += [value] * len(trial.samples)
        for name in _OF_SAMPLE:
            columns[name] += [getattr(sample, name) for sample in trial.samples]
        own = declared.get(trial.case.workload, {})
        units = {
            metric: find_recorded_metric(metric, own).unit for metric in {sample.metric for sample in trial.samples}
        }
        columns["unit"] += [units[sample.metric] for sample in trial.samples]
    return pa.Table.from_pydict(columns, schema=schema.SAMPLES_SCHEMA)


def build_trial_table(run_id: str, trials: Iterable[Trial]) -> pa.Table:
    """Return the trials of a run, without their samples."""
    rows = (
        {**vars(one), "run_id": run_id, "case": one.case.id, "message": _text(one.message), "log": _text(one.log)}
        for one in trials
    )
    return _table(rows, schema.TRIALS_SCHEMA)


def build_measurement_table(run_id: str, measurements: Iterable[Measurement]) -> pa.Table:
    """Return what the samples of a run were summarised to."""
    rows = (
        {**vars(row), **_case_columns(run_id, row.case), "unit": row.unit, "flags": ",".join(row.flags)}
        for row in measurements
    )
    return _table(rows, schema.MEASUREMENTS_SCHEMA)


def _case_columns(run_id: str, case: Case) -> dict[str, str]:
    """Return the columns that name a case, the same in every table."""
    return {
        "run_id": run_id,
        "case": case.id,
        "group": case.group,
        "workload": case.workload,
        "implementation": case.implementation,
        "params": case.params_json,
    }


def _text(said: str) -> str:
    """Return what an implementation said, with what is no Unicode as its code point: a table would refuse it."""
    return said.encode("utf-8", "backslashreplace").decode()


def _table(rows: Iterable[Mapping[str, Any]], form: pa.Schema) -> pa.Table:
    """Return the columns of a form; what else a row has is left out."""
    columns: dict[str, list[Any]] = {name: [] for name in form.names}
    for row in rows:
        for name, values in columns.items():
            values.append(row[name])
    return pa.Table.from_pydict(columns, schema=form)
