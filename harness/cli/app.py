"""All commands of ``bench``, and the options that come before them."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer

from harness.cli.baseline import baseline_app
from harness.cli.compare import compare_command
from harness.cli.doctor import doctor_command
from harness.cli.export import export_command, import_command
from harness.cli.gate import gate_command
from harness.cli.heads import heads_app
from harness.cli.history import history_command
from harness.cli.list import list_command
from harness.cli.parser import App
from harness.cli.report import report_command
from harness.cli.results import results_app
from harness.cli.run import bisect_app, inspect_app, run_app
from harness.cli.selftest import selftest_command
from harness.cli.show import show_command
from harness.cli.site import site_command

app = App(
    name="bench",
    help="Measure implementations of deep-learning workloads against each other, so that the numbers can be believed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(run_app, name="run", rich_help_panel="Measure")
app.command("show", rich_help_panel="Measure")(show_command)
app.add_typer(inspect_app, name="inspect", rich_help_panel="Measure")
app.add_typer(heads_app, name="heads", rich_help_panel="Measure")
app.command("list", rich_help_panel="Measure")(list_command)
app.command("doctor", rich_help_panel="Measure")(doctor_command)
app.command("selftest", rich_help_panel="Measure")(selftest_command)
app.command("compare", rich_help_panel="Judge")(compare_command)
app.command("gate", rich_help_panel="Judge")(gate_command)
app.add_typer(baseline_app, name="baseline", rich_help_panel="Judge")
app.command("history", rich_help_panel="Judge")(history_command)
app.add_typer(bisect_app, name="bisect", rich_help_panel="Judge")
app.add_typer(results_app, name="results", rich_help_panel="Exchange")
app.command("report", rich_help_panel="Show")(report_command)
app.command("site", rich_help_panel="Exchange")(site_command)
app.command("export", rich_help_panel="Exchange")(export_command)
app.command("import", rich_help_panel="Exchange")(import_command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"benchwright {metadata.version('benchwright')}")
        raise typer.Exit


@app.callback()
def _bench(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Hold the options that come before a command."""
