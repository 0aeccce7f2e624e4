from __future__ import annotations

import json
import re
from pathlib import Path

from tests.support.command import bench

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


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


def test_every_file_that_the_readme_points_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
