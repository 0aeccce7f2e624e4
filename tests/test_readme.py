from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from harness.analysis.columns import COLUMNS
from harness.core.flag import Flag

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_snippet_of_the_readme_runs_and_is_as_short_as_it_says(tmp_path: Path) -> None:
    (snippet,) = re.findall(r"```python\n(# my_attention\.py\n.*?)```", README, re.DOTALL)
    code = [line for line in snippet.splitlines() if line.strip() and not line.startswith("#")]
    assert len(code) <= 15
    (tmp_path / "my_attention.py").write_text(snippet)
    (command,) = re.findall(r"^bench (run attention --load my_attention\.py .*)$", README, re.MULTILINE)
    arguments = command.replace("1k", "128").split()
    done = subprocess.run(
        (str(Path(sys.executable).with_name("bench")), *arguments, "--launches", "1", "--budget", "0.2s", "--json"),
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
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


def test_every_file_that_the_readme_points_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


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
