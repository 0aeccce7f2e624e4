"""``bench run``, ``bench bisect`` and ``bench inspect``: groups of commands, one for each workload or suite."""

from __future__ import annotations

import sys
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from typer.main import get_command

from harness.catalog import Catalog, load_catalog, read_suite
from harness.cli.broken import report_broken
from harness.cli.options import HOST_OPTIONS, INSPECT_OPTIONS, RUN_OPTIONS, Options, add_options
from harness.cli.parser import App, OnceGroup
from harness.core.errors import UsageError, make_unknown_error
from harness.core.suite import SETTINGS, Policy, Selection, Suite, apply_settings

if TYPE_CHECKING:
    from collections.abc import Callable


class _Runnables(OnceGroup):
    """Workloads and suites as commands, made when they are asked for."""

    measure: Callable[..., int]
    options: ClassVar[Options] = RUN_OPTIONS

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all workloads, then of all suites."""
        catalog = _catalog(())
        return [*catalog.workloads, *catalog.suites]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a workload, a suite, or a suite's file."""
        catalog = _catalog(_loads([*ctx.args, *sys.argv]))
        if workload := catalog.workloads.get(cmd_name):
            call = partial(_run_workload, self.measure, catalog, cmd_name)
            return _command(cmd_name, workload.help, add_options(call, workload, self.options), "Workloads")
        suite = read_suite(Path(cmd_name)) if cmd_name.endswith(".toml") else catalog.suites.get(cmd_name)
        if suite:
            call = partial(_run_suite, self.measure, catalog, suite)
            return _command(cmd_name, suite.help, add_options(call, None, self.options), "Suites")
        report_broken(catalog)
        raise make_unknown_error("workload or suite", cmd_name, [*catalog.workloads, *catalog.suites])


class _Inspected(OnceGroup):
    """Workloads as commands, of which kernels are compiled and nothing is run."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the workloads of which an implementation declares kernels."""
        known = _catalog(()).implementations
        return [name for name, ones in known.items() if any(one.kernels for one in ones.values())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a workload."""
        catalog = _catalog(_loads([*ctx.args, *sys.argv]))
        if cmd_name not in catalog.workloads:
            report_broken(catalog)
        workload = catalog.workload(cmd_name)
        call = partial(_inspect_workload, catalog, cmd_name)
        return _command(cmd_name, workload.help, add_options(call, workload, INSPECT_OPTIONS), "Workloads")


class _Measured(_Runnables):
    options: ClassVar[Options] = {**RUN_OPTIONS, **HOST_OPTIONS}

    @staticmethod
    def measure(*arguments: Any, **options: Any) -> int:
        """Measure a selection."""
        from harness.cli.measure import measure_and_print

        return measure_and_print(*arguments, **options)


class _Bisected(_Runnables):
    @staticmethod
    def measure(*arguments: Any, **options: Any) -> int:
        """Search with a selection."""
        from harness.cli.bisect import bisect_and_print

        return bisect_and_print(*arguments, **options)


run_app = App(cls=_Measured, invoke_without_command=True, rich_markup_mode="markdown")
inspect_app = App(cls=_Inspected, no_args_is_help=True, rich_markup_mode="markdown")
bisect_app = App(cls=_Bisected, no_args_is_help=True, rich_markup_mode="markdown")


@bisect_app.callback(help="Find the commit that made something slower: `bench bisect attention --against v1..main`.")
def _bisect() -> None:
    pass


@inspect_app.callback(help="Show what kernels compile to, without a GPU: `bench inspect attention --arch sm_90`.")
def _inspect() -> None:
    pass


@run_app.callback(help="Measure a workload or a suite: `bench run attention --seq 8k`.")
def _run(
    ctx: typer.Context,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="RUN", help="Measure what an interrupted run still lacks."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="With --resume: print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="With --resume: print the run's folder only.")] = False,
) -> int:
    if resume is not None:
        from harness.cli.measure import resume_and_print

        if ctx.invoked_subcommand:
            raise UsageError("--resume takes everything from the run; name no workload with it")
        return resume_and_print(resume, json=json, quiet=quiet)
    if json or quiet:
        raise UsageError(f"{'--json' if json else '--quiet'} is written after the name of a workload or a suite")
    if not ctx.invoked_subcommand:
        typer.echo(ctx.get_help())
    return 0


def _run_workload(
    measure: Callable[..., int],
    catalog: Catalog,
    name: str,
    *,
    axes: dict[str, str],
    impl: str | None,
    **options: Any,
) -> int:
    suite = Suite(name, "", (_selection(name, impl, axes),), Policy())
    return _run_suite(measure, catalog, suite, axes={}, **options)


def _inspect_workload(
    catalog: Catalog, name: str, *, axes: dict[str, str], impl: str | None, load: list[str] | None, **options: Any
) -> int:
    from harness.cli.inspect import inspect_and_print

    del load  # loaded already
    return inspect_and_print(catalog, _selection(name, impl, axes), **options)


def _selection(name: str, impl: str | None, axes: dict[str, str]) -> Selection:
    chosen = tuple(part.strip() for part in impl.split(",") if part.strip()) if impl else ()
    return Selection(name, chosen, axes)


def _run_suite(
    measure: Callable[..., int], catalog: Catalog, suite: Suite, *, axes: dict[str, str], **options: Any
) -> int:
    del axes, options["load"]  # a suite states its own axes; files are loaded already
    settings = {name: options.pop(name) for name in SETTINGS}
    return measure(catalog, suite.name, suite.selections, apply_settings(suite.policy, settings), **options)


def _command(name: str, help: str, function: Any, panel: str) -> Any:
    app = App(add_completion=False, rich_markup_mode="markdown")
    app.command(name, help=help, rich_help_panel=panel)(function)
    return get_command(app)


def _loads(words: list[str]) -> tuple[str, ...]:
    """Return the files after ``--load``, which must be known before the workloads in them can be."""
    pairs = zip(words, [*words[1:], ""], strict=True)
    files = [following if word == "--load" else word.partition("=")[2] for word, following in pairs if _is_load(word)]
    return tuple(dict.fromkeys(files))


def _is_load(word: str) -> bool:
    return word == "--load" or word.startswith("--load=")


@cache
def _catalog(files: tuple[str, ...]) -> Catalog:
    """Load the catalog once for all the commands that a help page lists."""
    return load_catalog(files)
