"""Many runs as four data frames."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.core.variant import write_variant
from harness.store.duck import SQL_TYPES
from harness.store.gather import gather_runs
from harness.store.layout import COLUMNS, MEASUREMENTS, SAMPLES, TRIALS
from harness.store.query import VIEWS, open_views

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from harness.core.run_description import RunDescription

# Text that repeats: as categories, ten million rows take a third of a gigabyte instead of several.
_REPEATS = {"run_id", "case", "group", "workload", "implementation", "params", "metric", "unit", "flags", "provenance"}


@dataclass(frozen=True)
class Tables:
    """The rows of many runs, and what could not be read.

    Attributes:
        samples: every observation: case, launch, round, metric, value in SI units, flags, uncertainty, provenance.
        measurements: the median and 95 % interval of each case and metric; of complete runs alone.
        trials: how each case ended in each launch.
        environment: one row a run: when, how, on which machine and of which commit it was measured.
        left_out: each folder that could not be read and why, in one line.
    """

    samples: pd.DataFrame
    measurements: pd.DataFrame
    trials: pd.DataFrame
    environment: pd.DataFrame
    left_out: tuple[str, ...]


def read_tables(*words: str) -> Tables:
    """Read many runs together, each once; what cannot be read is named in ``left_out``.

    Args:
        words: run folders, folders of them, merged folders, patterns such as ``results/2026*``, or URLs of such.

    Raises:
        UsageError: a place is not there or cannot be reached, or nothing in any of them can be read.
    """
    with gather_runs(words) as found, open_views(found) as duck:
        samples, measurements, trials = (_frame(duck, table) for table in (SAMPLES, MEASUREMENTS, TRIALS))
        environment = pd.DataFrame([_environment(run.description, run.folder) for run in found.runs])
        return Tables(samples, measurements, trials, environment, found.left_out)


def _frame(duck: DuckDBPyConnection, table: str) -> pd.DataFrame:
    """Return a view as a frame; DuckDB makes categories of types that list their values, found in a scan before."""
    view = VIEWS[table]
    kinds = {name: SQL_TYPES[kind] for name, kind in COLUMNS[table].items()}
    repeats = [name for name in kinds if name in _REPEATS]
    listed = ", ".join(f'"{name}"' for name in repeats)
    duck.execute(f"create temp table names_of_{view} as select distinct {listed} from {view}")
    for name in repeats:
        kinds[name] = f'"{name}_of_{view}"'
        values = f'select distinct "{name}" from names_of_{view} where "{name}" is not null order by 1'
        duck.execute(f"create type {kinds[name]} as enum ({values})")
    columns = ", ".join(f'"{name}"::{kind} as "{name}"' for name, kind in kinds.items())
    return duck.execute(f"select {columns} from {view}").df()


def _environment(run: RunDescription, folder: str) -> dict[str, Any]:
    """Return what is known of a run in one flat row; what may have any number of parts is JSON text."""
    machine = asdict(run.environment)
    del machine["gpus"]
    packages, variables = machine.pop("packages"), machine.pop("variables")
    return {
        "run_id": run.id,
        "folder": folder,
        "state": run.state,
        "started_at": run.started_at,
        "command": shlex.join(run.command),
        "tags": json.dumps(run.tags, sort_keys=True),
        "revision": json.dumps(write_variant(run.variant), sort_keys=True),
        **asdict(run.policy),
        "commit": machine.pop("git_commit"),
        "dirty": machine.pop("git_dirty"),
        "fingerprint": run.environment.fingerprint,
        "gpus": ", ".join(gpu.name for gpu in run.environment.gpus),
        **machine,
        **{f"package_{name.replace('-', '_')}": version for name, version in packages.items()},
        "variables": json.dumps(variables, sort_keys=True),
        "ceilings": json.dumps(asdict(run.ceilings) if run.ceilings else None),
    }
