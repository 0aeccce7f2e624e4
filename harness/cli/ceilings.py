"""The roofs of this machine, measured by a suite in a folder that does not stay, for the doctor to print and keep."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from harness.analysis.roof import find_ceilings
from harness.catalog import load_catalog
from harness.core.ceilings import find_datasheet
from harness.core.errors import EXIT_INTERRUPTED, HarnessError, make_unknown_error
from harness.core.metric import format_number, format_value
from harness.core.suite import Policy, apply_settings
from harness.core.trial import format_utc_now
from harness.plan import explain_missing_cuda, make_plan
from harness.runner import execute_run, start_run
from harness.store.ceilings import write_ceilings
from harness.terminal.console import open_console
from harness.terminal.progress import Terminal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.core.ceilings import Ceilings
    from harness.core.environment import Environment
    from harness.core.run import Run

# By the kind of device: a size that fills a GPU takes a processor minutes.
_SUITES = {"cpu": "ceilings_cpu", "cuda": "ceilings_cuda"}


def measure_suite(
    name: str, environment: Environment, settings: Mapping[str, str | None], *, silent: bool
) -> tuple[Run, Policy]:
    """Measure a suite as any run is measured, in a folder that does not stay.

    Raises:
        KeyboardInterrupt: measuring was interrupted.
    """
    catalog = load_catalog()
    if name not in catalog.suites:
        raise make_unknown_error("suite", name, catalog.suites)
    suite = catalog.suites[name]
    plan = make_plan(catalog, suite.selections, apply_settings(suite.policy, settings), environment)
    with tempfile.TemporaryDirectory(prefix="benchwright-") as folder:
        runs = start_run(plan, Path(folder), name, environment, command=sys.argv, sources=catalog.sources, tags={})
        with Terminal(runs[0].launches, silent=silent) as terminal:
            runs, code = execute_run(runs, terminal.observer)
        if code == EXIT_INTERRUPTED:
            raise KeyboardInterrupt
        return runs[0], plan.policy


def measure_ceilings(
    environment: Environment, settings: Mapping[str, str | None], *, silent: bool
) -> tuple[Ceilings, Policy]:
    """Measure the roofs of this machine, and keep them for the runs that follow.

    Raises:
        HarnessError: nothing ran.
    """
    wanted = settings.get("device") or ("cpu" if explain_missing_cuda(environment) else "cuda")
    suite = _SUITES.get(wanted.partition(":")[0], _SUITES["cpu"])
    run, policy = measure_suite(suite, environment, settings, silent=silent)
    found = find_ceilings(run, format_utc_now())
    if not found.flops_per_s or not found.bytes_per_s:
        reasons = dict.fromkeys(f"{t.case.id} {t.status}: {t.message}" for t in run.trials if t.message)
        raise HarnessError("no roof was measured: " + "; ".join(reasons))
    write_ceilings(environment, policy, found)
    return found, policy


def print_ceilings(environment: Environment, ceilings: Ceilings, policy: Policy) -> None:
    """Print the roofs with the ridge of each, and what the maker states."""
    out = open_console()
    out.print(Text(f"\nRoofs of {policy.device} under {policy.threads} threads", style="bold"))
    through_memory = ceilings.bytes_per_s
    out.print(Text(f"  {'memory':<8}{format_value(through_memory, 'B/s'):>14}"))
    for dtype, rate in sorted(ceilings.flops_per_s.items(), key=lambda item: -item[1]):
        ridge = f"{format_number(rate / through_memory)} FLOP/B where it meets the memory's"
        out.print(Text(f"  {dtype:<8}{format_value(rate, 'FLOP/s'):>14}   {ridge}"))
    out.print(Text(f"  {'a call':<8}{format_value(ceilings.launch_s, 's'):>14}"))
    if stated := _stated(environment, policy):
        out.print(Text(f"  {stated}", style="dim"), soft_wrap=True)
    out.print(Text("  Runs on this machine show the share of these that they reach, from now on.", style="dim"))


def serialize_ceilings(ceilings: Ceilings, policy: Policy) -> dict[str, Any]:
    """Return the roofs as data for machines."""
    return {"device": policy.device, "threads": policy.threads, **vars(ceilings)}


def _stated(environment: Environment, policy: Policy) -> str:
    kind, _, index = policy.device.partition(":")
    sheet = find_datasheet(environment.gpus[int(index)].name) if kind == "cuda" else None
    if not sheet:
        return ""
    rates = format_value(sheet.bf16_flops_per_s, "FLOP/s"), format_value(sheet.bytes_per_s, "B/s")
    return f"its maker states {rates[0]} in bf16 and {rates[1]} ({sheet.source})"
