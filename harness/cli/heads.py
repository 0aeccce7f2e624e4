"""``bench heads``: what implementations learn before they can run."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.catalog import load_catalog
from harness.cli.options import parse_option
from harness.cli.parser import App
from harness.core.axis import parse_duration
from harness.core.errors import UsageError, make_unknown_error
from harness.core.suite import parse_seed

heads_app = App(no_args_is_help=True, rich_markup_mode="markdown")


@heads_app.callback(help="Train what guesses ahead of a model: `bench heads train eagle3 --budget 30m`.")
def _heads() -> None:
    pass


@heads_app.command("train")
def train_command(
    method: Annotated[str, typer.Argument(help="What is to guess; an unknown name lists those there are.")],
    model: Annotated[str | None, typer.Option(help="The model to guess for; a default where left out.")] = None,
    budget: Annotated[str, typer.Option(help="Time to take, half of it for texts, which all methods share.")] = "30m",
    seed: Annotated[str, typer.Option(help="Fixes the texts and the training.")] = "0",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from what has been learnt before.")] = False,
) -> int:
    """Train the heads of a method on a model's own texts; an interrupted training keeps what it has."""
    known = [workload.training for workload in load_catalog().workloads.values() if workload.training]
    chosen = next((training for training in known if method in training.methods), None)
    if not chosen:
        raise make_unknown_error("method", method, [name for training in known for name in training.methods])
    seconds = parse_option("--budget", budget, parse_duration)
    number = int(parse_option("--seed", seed, parse_seed))
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from harness.terminal.console import open_console

    columns = (TextColumn(method), BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    out = open_console(stderr=True)
    with Progress(*columns, console=out, disable=not out.is_terminal) as progress:
        task = progress.add_task("", total=1.0)
        try:
            path = chosen.train(
                method,
                model or chosen.model,
                number,
                seconds,
                resume,
                lambda share, what: progress.update(task, completed=share, description=what),
            )
        except (ValueError, OSError) as error:
            raise UsageError(f"--model {model or chosen.model}: {error}") from None
    typer.echo(path)
    return 0
