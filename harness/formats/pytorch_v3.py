"""The PyTorch OSS benchmark database, format v3: a list of records, one for each case and metric.

The columns are those of ``benchmark.oss_ci_benchmark_v3`` in pytorch/test-infra; its uploader adds what it knows of the
workflow. A value is a launch's median, since the list is meant for several runs. Extra information is text there.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

from harness.core.trial import OK
from harness.formats.exported import Exported
from harness.formats.json_document import dump_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.rows import GroupTable, ResultRow
    from harness.core.case import Case
    from harness.core.measurement import Measurement
    from harness.core.run import Run

_GIB = 1 << 30


def write_records(run: Run, tables: Sequence[GroupTable]) -> Exported:
    """Return the records of every case that has a result."""
    rows = [row for table in tables for row in table.rows]
    records = [_record(run, row.case, found) for row in rows if _has_result(row) for found in row.measurements.values()]
    kept = [record for record in records if record["metric"]["benchmark_values"]]
    return Exported(dump_json(kept), tuple(row for row in rows if not _has_result(row)))


def _has_result(row: ResultRow) -> bool:
    return row.status == OK and bool(row.measurements)


def _record(run: Run, case: Case, found: Measurement) -> dict[str, Any]:
    return {
        "benchmark": {
            "name": "benchwright",
            "dtype": str(case.params.get("dtype", "")),
            "extra_info": _texts(
                {
                    "run_id": run.id,
                    "git_commit": run.environment.git_commit,
                    "device": run.policy.device,
                    "mode": run.policy.mode,
                    "threads": run.policy.threads,
                    **{f"params.{name}": value for name, value in case.point},
                }
            ),
        },
        "model": {"name": case.group, "type": case.workload, "backend": case.implementation, "origins": []},
        "metric": _metric(run, case, found),
        "runners": [_runner(run)],
        "dependencies": {name: {"version": version} for name, version in run.environment.packages.items() if version},
    }


def _metric(run: Run, case: Case, found: Measurement) -> dict[str, Any]:
    """Return a metric without a target value, for there is none."""
    numbers = {"ci_low": found.ci_low, "ci_high": found.ci_high}
    return {
        "name": found.metric,
        "benchmark_values": _values(run, case, found),
        "extra_info": _texts(
            {
                "unit": found.unit,
                "better": found.kind.better or "",
                "n": found.n,
                **{name: value for name, value in numbers.items() if math.isfinite(value)},
                "flags": ",".join(found.flags),
            }
        ),
    }


def _values(run: Run, case: Case, found: Measurement) -> list[float]:
    """Return the median of each launch; of what is derived from times, the one that there is."""
    trials = [trial for trial in run.trials if trial.case == case]
    launches = [[sample.value for sample in trial.samples if sample.metric == found.metric] for trial in trials]
    medians = [statistics.median(values) for values in launches if values] or [found.median]
    return [value for value in medians if math.isfinite(value)]


def _runner(run: Run) -> dict[str, Any]:
    machine, kind = run.environment, run.policy.device.partition(":")[0]
    gpus = machine.gpus
    on_gpu = (
        {
            "gpu_info": gpus[0].name,
            "gpu_count": len(gpus),
            "avail_gpu_mem_in_gb": sum(gpu.memory_total for gpu in gpus) // _GIB,
        }
        if gpus
        else {}
    )
    return {
        "name": kind,
        "type": gpus[0].name if gpus and kind == "cuda" else machine.cpu_model,
        "cpu_info": machine.cpu_model,
        "cpu_count": machine.cpus_usable,
        "avail_mem_in_gb": machine.memory_total // _GIB,
        **on_gpu,
        "extra_info": _texts({"hostname": machine.host, "kernel": machine.kernel, "driver": machine.driver}),
    }


def _texts(values: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}
