"""``bench selftest``: can this harness be believed on this machine?"""

from __future__ import annotations

import json as json_text
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.options import parse_option
from harness.core.axis import parse_count, parse_percent
from harness.core.suite import apply_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from harness.selftest.tries import Tally

_SUITE = "selftest"


def selftest_command(
    tries: Annotated[str, typer.Option(help="How often each tool tries.")] = "20",
    effects: Annotated[str, typer.Option(help="Slowdowns to plant, separated by commas.")] = "1%,2%,3%,5%",
    launches: Annotated[str | None, typer.Option(help="Fresh interpreters of a try.")] = None,
    budget: Annotated[str | None, typer.Option(help="Measuring time of a side over all launches.")] = None,
    alone: Annotated[bool, typer.Option("--alone", help="Leave other tools out.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Hold code against itself and against planted slowdowns, and count how often this harness and others are right."""
    from harness.catalog import load_catalog
    from harness.core.rules import Rules
    from harness.detect import detect_environment
    from harness.plan import make_plan
    from harness.selftest.rivals import find_installed
    from harness.selftest.tries import TrialSetting, run_tries
    from harness.terminal.progress import Terminal

    count = int(parse_option("--tries", tries, parse_count))
    planted = sorted({parse_option("--effects", word.strip(), parse_percent) for word in effects.split(",")})
    catalog, environment = load_catalog(), detect_environment()
    suite = catalog.suites[_SUITE]
    settings = {"device": "cpu", "launches": launches, "budget": budget}
    policy = apply_settings(suite.policy, settings)
    plan = make_plan(catalog, suite.selections, policy, environment, sides=2 + len(planted))
    with tempfile.TemporaryDirectory(prefix="benchwright-") as folder, Terminal(policy.launches, silent=True) as quiet:
        setting = TrialSetting(plan, planted, Rules(), environment, quiet.observer, catalog.sources, Path(folder))
        tallies = run_tries(setting, [] if alone else find_installed(), count, lambda word: typer.echo(word, err=True))
    if json:
        rows = [{**asdict(tally), "smallest": tally.smallest} for tally in tallies]
        typer.echo(json_text.dumps(rows, indent=1))
    else:
        _print(tallies)


def _print(tallies: Sequence[Tally]) -> None:
    from rich.text import Text

    from harness.terminal.console import open_console

    open_console().print(_table(tallies))
    tries = tallies[0].tries
    text = (
        f"{tries} tries of each; no false alarm in {tries} still allows a rate of {3 / tries:.0%} (95 %, rule of three)"
    )
    open_console().print(Text(text, style="dim"), soft_wrap=True)


def _table(tallies: Sequence[Tally]) -> Table:
    from rich import box
    from rich.table import Table

    drawn = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("tool", "same called different", *(f"{e:.1%} found" for e in tallies[0].found), "seen from", "a try"):
        drawn.add_column(name, justify="left" if name == "tool" else "right")
    for tally in tallies:
        cells: list[Any] = [f"{tally.alarms}/{tally.tries}", *(f"{n}/{tally.tries}" for n in tally.found.values())]
        seen = f"{tally.smallest:.1%}" if tally.smallest else "none"
        drawn.add_row(tally.tool, *cells, seen, f"{tally.seconds / tally.tries:.0f} s")
    return drawn
