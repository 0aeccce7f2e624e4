"""``bench doctor``: what is wrong with this machine for measuring, and what to do about it."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.core.errors import EXIT_FAILED, EXIT_OK, HarnessError, UsageError

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from harness.core.environment import Environment
    from harness.core.suite import Policy
    from harness.doctor.finding import Finding
    from harness.doctor.noise import Noise

    Found = dict[str, list[Finding]]

_SUITE = "noise"
_PANEL = "With --calibrate or --ceilings"
# How each status looks: its mark, its style, and what the summary calls it.
_LOOKS = {
    "fail": ("✗", "bold red", "fail: do not trust numbers taken now"),
    "warn": ("!", "yellow", "warn"),
    "unknown": ("?", "dim", "unknown"),
    "pass": ("✓", "dim", "pass"),
}
_LISTED = ("fail", "warn")
# The width of a mark with the longest name, and the space after it.
_NAMES = 15


def doctor_command(
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Measure this machine's noise too; takes a minute or two.")
    ] = False,
    ceilings: Annotated[
        bool, typer.Option("--ceilings", help="Measure this machine's roofs too, and keep them; takes a minute or two.")
    ] = False,
    results: Annotated[Path, typer.Option(help="The folder in which runs are kept.")] = Path("results"),
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    launches: Annotated[
        str | None, typer.Option(help="Fresh interpreters. \\[default: 5]", rich_help_panel=_PANEL)
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Measuring time of each twin. \\[default: 30s]", rich_help_panel=_PANEL)
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or cuda:N; a GPU where there is one.", rich_help_panel=_PANEL)
    ] = None,
) -> int:
    """Find what disturbs measuring on this machine, and the settings that put it right; nothing is changed.

    Exit code 0 if nothing fails, warnings or not; 1 if a check fails: numbers taken now cannot be trusted.
    """
    from harness.doctor.checks import run_checks
    from harness.doctor.snapshot import read_snapshot

    settings = {"launches": launches, "budget": budget, "device": device}
    if not (calibrate or ceilings) and (given := [name for name, value in settings.items() if value is not None]):
        raise UsageError(f"--{given[0]} is about measuring; it needs --calibrate or --ceilings")
    machine = read_snapshot(results)
    found = run_checks(machine)
    if not json:
        print_findings(machine.environment, found)
    measured = _calibrate(machine.environment, settings, silent=json) if calibrate else None
    roofs = None
    if ceilings:
        from harness.cli.ceilings import measure_ceilings, print_ceilings, serialize_ceilings

        roofs = measure_ceilings(machine.environment, settings, silent=json)
    failed = any(finding.status == "fail" for findings in found.values() for finding in findings)
    code = EXIT_FAILED if failed else EXIT_OK
    if json:
        typer.echo(_json(found, measured, serialize_ceilings(*roofs) if roofs else None, code))
        return code
    if measured:
        _print_noise(*measured)
    if roofs:
        print_ceilings(machine.environment, *roofs)
    return code


def print_findings(environment: Environment, found: Found) -> None:
    """Print a table by subject, a line that sums it up, the worst first, and what to do about it."""
    from rich.text import Text

    from harness.terminal.console import open_console

    out = open_console()
    out.print(Text(f"{environment.cpu_model}, Linux {environment.kernel}", style="dim"))
    out.print(_table(found))
    findings = [finding for each in found.values() for finding in each]
    out.print(_summary(findings))
    for status in _LISTED:
        for finding in (finding for finding in findings if finding.status == status):
            mark, style, _ = _LOOKS[status]
            for position, line in enumerate(finding.remedy.splitlines()):
                name = "" if position else f"{mark} {finding.name}"
                # A command that is folded cannot be copied.
                out.print(Text.assemble((f"{name:<{_NAMES}}", style), line), soft_wrap=True)


def _table(found: Found) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE, show_header=False, padding=(0, 1, 0, 0))
    for no_wrap in (True, True, False):
        table.add_column(no_wrap=no_wrap, overflow="fold")
    for subject, findings in found.items():
        ordered = sorted(findings, key=lambda finding: list(_LOOKS).index(finding.status))
        for position, finding in enumerate(ordered):
            mark, style, _ = _LOOKS[finding.status]
            first = Text(subject if not position else "", style="bold")
            table.add_row(first, Text(f"{mark} {finding.name}", style=style), Text(finding.figure, style=style))
    return table


def _summary(findings: list[Finding]) -> Text:
    """Count what was found, the worst first; failures and warnings are named below."""
    from rich.text import Text

    parts = Text()
    for status, (mark, style, meaning) in _LOOKS.items():
        if count := sum(finding.status == status for finding in findings):
            parts.append(" · " if parts else "", style="dim")
            parts.append(f"{mark} {count} {meaning}", style=style)
    return parts


def _calibrate(environment: Environment, settings: dict[str, str | None], *, silent: bool) -> tuple[Noise, Policy]:
    """Measure the twins as any run is measured."""
    from harness.cli.ceilings import measure_suite
    from harness.doctor.noise import estimate_noise

    run, policy = measure_suite(_SUITE, environment, settings, silent=silent)
    try:
        return estimate_noise(run), policy
    except ValueError as reason:
        raise HarnessError(f"the noise cannot be told: {reason}") from None


def _print_noise(noise: Noise, policy: Policy) -> None:
    from rich.text import Text

    from harness.analysis.interval import exponentiate_log
    from harness.terminal.console import open_console

    out = open_console()
    first, second = noise.cases
    title = f"Noise on {policy.device}, of the same code as {first} and {second}"
    out.print(Text.assemble("\n", (title, "bold"), f": {noise.launches} launches, {noise.rounds} rounds"))
    spreads = {"launch to launch": noise.launch, "round to round": noise.round, "sample to sample": noise.sample}
    for name, value in spreads.items():
        out.print(Text(f"  {name:<18}{_percent(value):>8}"))
    budget = f"{policy.launches} launches and {policy.budget_s:g} s a case"
    out.print(Text(f"The smallest difference that a run of {budget} shows:"))
    for name, found in {"taking turns": noise.paired, "in separate runs": noise.unpaired}.items():
        out.print(Text(f"  {name:<18}{_percent(exponentiate_log(found.detectable) - 1):>8}"))


def _percent(share: float) -> str:
    return "not told" if math.isnan(share) else f"{100 * share:.2f} %"


def _json(found: Found, measured: tuple[Noise, Policy] | None, ceilings: dict[str, Any] | None, code: int) -> str:
    from harness.formats.json_document import dump_json

    findings = [{"subject": subject, **asdict(finding)} for subject, each in found.items() for finding in each]
    noise: dict[str, Any] | None = None
    if measured:
        from harness.analysis.interval import exponentiate_log

        twins, policy = measured
        noise = {
            "device": policy.device,
            "cases": twins.cases,
            "launches": twins.launches,
            "rounds": twins.rounds,
            "budget_s": policy.budget_s,
            "launch_spread": twins.launch,
            "round_spread": twins.round,
            "sample_spread": twins.sample,
            "ratio": exponentiate_log(twins.paired.centre),
            "detectable_in_turns": exponentiate_log(twins.paired.detectable) - 1,
            "detectable_between_runs": exponentiate_log(twins.unpaired.detectable) - 1,
        }
    return dump_json({"exit_code": code, "findings": findings, "noise": noise, "ceilings": ceilings}).rstrip()
