"""The options of ``bench run`` and ``bench inspect``, and commands with those of a workload's axes besides."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from harness.cli.parser import VALUES
from harness.core.errors import UsageError
from harness.core.suite import MODES

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.core.workload import Workload

_SELECTION, _MEASURING, _REVISIONS, _OUTPUT = "Selection", "Measuring", "Two revisions", "Output"

# Name: type, default, what --help says, its panel. Settings are text: core.suite.SETTINGS parses them, for suites too.
_TEXT, _WORDS = str | None, list[str] | None
Options = Mapping[str, tuple[Any, Any, str, str]]
RUN_OPTIONS: Options = {
    "impl": (_TEXT, None, "Implementations, separated by commas; all where left out.", _SELECTION),
    "load": (_WORDS, None, "A Python file with implementations or workloads of your own.", _SELECTION),
    "device": (_TEXT, None, "cpu, cuda or cuda:N; a GPU where there is one.", _MEASURING),
    "launches": (_TEXT, None, "Fresh interpreters: the replicate of every claim. \\[default: 5]", _MEASURING),
    "precision": (_TEXT, None, "Stop when the median is known this well. \\[default: 1%]", _MEASURING),
    "budget": (_TEXT, None, "Measuring time of a case over all launches. \\[default: 30s]", _MEASURING),
    "timeout": (_TEXT, None, "Time of a case in one launch before it is killed. \\[default: 5m]", _MEASURING),
    "threads": (_TEXT, None, "CPU threads; the usable cores where left out.", _MEASURING),
    "mode": (_TEXT, None, f"A sample on CUDA: {', '.join(MODES)}. \\[default: cold]", _MEASURING),
    "seed": (_TEXT, None, "Fixes the inputs and the order of turns. \\[default: 0]", _MEASURING),
    "energy_precision": (_TEXT, None, "How well energy is to be known; 0 for none. \\[default: 2%]", _MEASURING),
    "against": (_TEXT, None, "A revision, which takes turns with the working tree; or two, as BASE..NEW.", _REVISIONS),
    "setup": (_TEXT, None, "A command that builds or installs a revision, run in its folder.", _REVISIONS),
    "results": (str, "results", "The folder in which the run's folder is made.", _OUTPUT),
    "tag": (_WORDS, None, "key=value, kept with the run.", _OUTPUT),
    "dry_run": (bool, False, "Print the plan with an estimate, and measure nothing.", _OUTPUT),
    "json": (bool, False, "Print the result as JSON.", _OUTPUT),
    "quiet": (bool, False, "Print the run's folder only.", _OUTPUT),
}
_HOSTS = "Several hosts"
HOST_OPTIONS: Options = {
    "nnodes": (
        _TEXT,
        None,
        "Hosts that share the ranks; each runs the same command. \\[default: 1]",
        _HOSTS,
    ),
    "rdzv": (_TEXT, None, "HOST:PORT where the hosts meet; one of them has that name.", _HOSTS),
}
_ARCH = (_TEXT, None, "Architectures, separated by commas: sm_90, gfx942. \\[default: the GPU's, or sm_90]", _SELECTION)
INSPECT_OPTIONS: Options = {
    **{name: RUN_OPTIONS[name] for name in ("impl", "load")},
    "arch": _ARCH,
    **{name: RUN_OPTIONS[name] for name in ("results", "tag", "json", "quiet")},
}


def parse_option(option: str, text: str, parse: Callable[[str], float]) -> float:
    """Parse what was given to an option.

    Raises:
        UsageError: it is not valid; the message names the option.
    """
    try:
        return parse(text)
    except ValueError as reason:
        raise UsageError(f"{option} {text}: {reason}") from None


def add_options(
    call: Callable[..., int], workload: Workload | None, options: Options = RUN_OPTIONS
) -> Callable[..., int]:
    """Return a function whose signature has the axes of a workload, then options.

    ``call`` receives ``axes``, the values that were given by axis, and the options by name.
    """
    axes = workload.axes if workload else ()
    parameters = []
    for axis in axes:
        if axis.name in options:
            raise UsageError(f"the axis '{axis.name}' has the name of an option; it needs another")
        option = typer.Option(
            None,
            f"--{axis.name.replace('_', '-')}",
            help=f"{axis.help} ({axis.hint}) \\[default: {axis.default}]",
            metavar=VALUES,
            rich_help_panel=f"Axes of {workload.name}: values, or sweeps such as 1k,2k" if workload else None,
        )
        parameters.append(_parameter(f"axis_{axis.name}", str | None, option))
    for name, (kind, default, help, panel) in options.items():
        if name != "impl" or workload:
            flag = f"--{name.replace('_', '-')}"
            option = typer.Option(default, flag, help=help, rich_help_panel=panel, show_default=bool(default))
            parameters.append(_parameter(name, kind, option))

    def command(**values: Any) -> int:
        given = {axis.name: values.pop(f"axis_{axis.name}") for axis in axes}
        return call(axes={name: value for name, value in given.items() if value is not None}, **values)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _parameter(name: str, kind: Any, option: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind)
