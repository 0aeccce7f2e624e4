"""The command ``bench``."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from typing import Annotated

import typer

from harness import git
from harness.cli.baseline import baseline_app
from harness.cli.compare import compare_command
from harness.cli.doctor import doctor_command
from harness.cli.export import export_command, import_command
from harness.cli.gate import gate_command
from harness.cli.heads import heads_app
from harness.cli.history import history_command
from harness.cli.list import list_command
from harness.cli.report import report_command
from harness.cli.results import results_app
from harness.cli.run import bisect_app, inspect_app, run_app
from harness.cli.selftest import selftest_command
from harness.cli.show import show_command
from harness.cli.site import site_command
from harness.core.errors import EXIT_HARNESS, EXIT_INTERRUPTED, EXIT_USAGE, HarnessError, UsageError

app = typer.Typer(
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


def main() -> None:
    """Run a command; every expected fault is one line on the standard error, and an exit code."""
    git.untie_process()
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except (UsageError, HarnessError) as error:
        _fail(str(error), EXIT_USAGE if isinstance(error, UsageError) else EXIT_HARNESS)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        # The usage errors of Typer's parser; their class is not part of its interface.
        if not hasattr(error, "format_message"):
            raise
        _fail(error.format_message(), EXIT_USAGE)


def _fail(message: str, code: int) -> None:
    typer.echo("bench: " + " ".join(message.split()), err=True)
    sys.exit(code)
