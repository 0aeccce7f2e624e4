"""What ``bench inspect`` does once it knows what is wanted: compile, keep, and print."""

from __future__ import annotations

import json as json_text
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from harness.cli.broken import report_broken
from harness.cli.failure import name_kept_run
from harness.cli.measure import parse_tags
from harness.core.case import describe_point
from harness.core.errors import EXIT_FAILED, EXIT_OK
from harness.core.metric import find_metric, format_value
from harness.core.trial import OK
from harness.detect import detect_environment
from harness.formats.json_document import replace_infinities
from harness.inspect.architectures import ARCHITECTURES, parse_architectures
from harness.inspect.inspection import OWN, inspect_kernels, keep_inspection
from harness.terminal.console import open_console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.catalog import Catalog
    from harness.core.run import Run
    from harness.core.suite import Selection
    from harness.core.trial import Trial

_DEFAULT = "sm_90"
# Metrics by the head of their column.
_COLUMNS = {
    find_metric("registers").label: ("registers",),
    "spills": ("spill_stores", "spill_loads"),
    **{
        find_metric(name).label: (name,)
        for name in ("shared_memory", "occupancy", "instructions", "tensor_core_share", "compile_time")
    },
}
_SHARES = ("occupancy", "tensor_core_share")
_HASH = 8


def inspect_and_print(
    catalog: Catalog,
    selection: Selection,
    *,
    arch: str | None,
    results: str,
    tag: list[str] | None,
    json: bool,
    quiet: bool,
) -> int:
    """Compile the kernels of a selection, keep and print what they come to; return the exit code."""
    report_broken(catalog)
    names, tags = parse_architectures(_own() if arch is None else arch), parse_tags(tag or [])
    found = _compiled(catalog, selection, names, silent=json or quiet)
    baseline = catalog.workload(selection.workload).baseline
    run = keep_inspection(found, Path(results), baseline, command=sys.argv, sources=catalog.sources, tags=tags)
    with name_kept_run(run.folder):
        if quiet:
            typer.echo(run.folder)
        elif json:
            _print_json(run)
        else:
            _print(run)
    return EXIT_FAILED if any(trial.failed for trial in run.trials) else EXIT_OK


def _own() -> str:
    """Return the architectures of this machine's GPUs, or the one that is shown where there is none."""
    here = (f"sm_{''.join(map(str, gpu.capability))}" for gpu in detect_environment().gpus)
    return ",".join(dict.fromkeys(name for name in here if name in ARCHITECTURES)) or _DEFAULT


def _compiled(catalog: Catalog, selection: Selection, names: Sequence[str], *, silent: bool) -> list[Trial]:
    """Compile, and show on a terminal which kernel was the last."""
    out, found = open_console(stderr=True, quiet=silent), []
    with out.status("compiling") as status:
        for trial in inspect_kernels(catalog, selection, names):
            found.append(trial)
            status.update(Text(f"compiled {len(found)}: {trial.case.params['kernel']} for {trial.case.params['arch']}"))
    return found


def _print(run: Run) -> None:
    """Print a table for each implementation, point and architecture, what failed below it, and where it is kept."""
    out = open_console()
    for title in dict.fromkeys(_title(trial) for trial in run.trials):
        mine = [trial for trial in run.trials if _title(trial) == title]
        out.print(_table(title, mine))
        for trial in mine:
            if trial.status != OK:
                line = f"  {trial.case.params['kernel']} {trial.status}: {trial.message}"
                out.print(Text(line, style="red"), soft_wrap=True)
    compiler = f"triton {run.environment.packages['triton']}; nothing ran"
    out.print(Text(compiler, style="dim"), soft_wrap=True)
    out.print(Text(str(run.folder)), soft_wrap=True)


def _title(trial: Trial) -> str:
    case = trial.case
    point = tuple((name, value) for name, value in case.point if name not in OWN)
    return f"{case.workload}/{case.implementation}[{describe_point(point)}] for {case.params['arch']}"


def _table(title: str, trials: Sequence[Trial]) -> Table:
    drawn = Table(title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    drawn.add_column("kernel", overflow="fold")
    for name in (*_COLUMNS, "code"):
        drawn.add_column(name, justify="right", overflow="fold")
    for trial in trials:
        values = {sample.metric: sample.value for sample in trial.samples}
        cells = (_cell(values, metrics) for metrics in _COLUMNS.values())
        drawn.add_row(str(trial.case.params["kernel"]), *cells, _hash(trial)[:_HASH])
    return drawn


def _cell(values: dict[str, float], metrics: Sequence[str]) -> str:
    written = (
        f"{values[name]:.1%}" if name in _SHARES else format_value(values[name], find_metric(name).unit)
        for name in metrics
        if name in values
    )
    return " + ".join(written)


def _hash(trial: Trial) -> str:
    """Return the hash of the machine code, which every number is of."""
    return trial.samples[0].provenance.rpartition(" ")[2] if trial.samples else ""


def _print_json(run: Run) -> None:
    document = {"run": str(run.folder), "kernels": [_json_kernel(trial) for trial in run.trials]}
    typer.echo(
        json_text.dumps(replace_infinities({**document, "triton": run.environment.packages["triton"]}), indent=1)
    )


def _json_kernel(trial: Trial) -> dict[str, Any]:
    metrics = {
        sample.metric: {"unit": find_metric(sample.metric).unit, "value": sample.value} for sample in trial.samples
    }
    pairs = (pair.rpartition(" ") for pair in trial.executed.split(", ") if pair)
    return {
        "case": trial.case.id,
        "implementation": trial.case.implementation,
        "params": trial.case.params,
        "status": trial.status,
        "message": trial.message,
        "sha256": _hash(trial),
        "metrics": metrics,
        "instructions": {name: int(count) for name, _, count in pairs},
    }
