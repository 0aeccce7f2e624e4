from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from harness.analysis.columns import COLUMNS
from harness.cli.app import app
from harness.core.flag import Flag
from tests.support.command import bench

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = sorted({ROOT / "README.md", *ROOT.glob("harness/**/README.md"), *ROOT.glob("implementations/**/README.md")})


def test_the_snippet_of_the_readme_runs_and_is_as_short_as_it_says(tmp_path: Path) -> None:
    (snippet,) = re.findall(r"```python\n(# my_attention\.py\n.*?)```", README, re.DOTALL)
    code = [line for line in snippet.splitlines() if line.strip() and not line.startswith("#")]
    assert len(code) <= 15
    (tmp_path / "my_attention.py").write_text(snippet)
    (command,) = re.findall(r"^bench (run attention --load my_attention\.py .*)$", README, re.MULTILINE)
    arguments = command.replace("1k", "128").split()
    done = bench(*arguments, "--launches", "1", "--budget", "0.2s", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (group,) = json.loads(done.stdout)["groups"]
    assert [(row["implementation"], row["status"]) for row in group["rows"]] == [
        ("naive", "ok"),
        ("my_attention", "ok"),
    ]


def test_every_command_of_the_readme_is_one_that_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_points_to_is_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_option_that_a_page_names_exists(page: Path) -> None:
    for words in commands(page.read_text()):
        assert (fault := fault_of(words)) == "", f"bench {' '.join(words)}: {fault}"


@pytest.mark.parametrize("command", ["mesure attention", "run attentoin", "run attention --sek 1k", "gate --marign 3%"])
def test_a_command_that_does_not_exist_would_be_found(command: str) -> None:
    assert fault_of(command.split())


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words after every ``bench`` that starts a line or a piece of code."""
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("bench ")]
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for command in [*lines, *re.findall(r"`(bench [^`]+)`", prose)]:
        yield shlex.split(command, comments=True)[1:]


def fault_of(words: list[str]) -> str:
    """Return what of a command line the program does not know; options alone are no command."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("bench", [], resilient_parsing=True)
    rest = list(words)
    while rest and not rest[0].startswith("-") and hasattr(command, "get_command"):
        try:
            found = command.get_command(context, rest[0])
        except Exception as error:
            return str(error)
        if found is None:
            return f"unknown command {rest[0]}"
        command = found
        context = command.make_context(rest.pop(0), [], parent=context, resilient_parsing=True)
    options = {option for parameter in command.get_params(context) for option in parameter.opts}
    unknown = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in options]
    return f"unknown options {unknown}" if unknown else ""


def table(*rows: tuple[str, ...]) -> str:
    """Write rows as a Markdown table, the first of them its head."""
    head, *body = (f"| {' | '.join(row)} |\n" for row in rows)
    return "".join([head, f"|{' --- |' * len(rows[0])}\n", *body])


def test_the_columns_and_flags_are_documented_as_the_code_has_them() -> None:
    """Paste what this test expects into the file, wherever a column or a flag is new or explained anew."""
    found = (ROOT / "harness" / "report" / "README.md").read_text()
    columns = [(column.head, f"`{metric.name}`", metric.help) for column in COLUMNS for metric in column.metrics]
    flags = [(f"`{flag}`", flag.help, flag.doubts) for flag in Flag]
    assert table(("column", "metric", "what it is"), *columns) in found
    assert table(("flag", "what was seen", "what it casts doubt on"), *flags) in found
    assert "harness/report/README.md" in README
