"""``bench`` started by git: what a hook's variables say of the user's commit must not reach a revision's worktree."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command import BENCH
from tests.support.git import git

Bench = Callable[..., subprocess.CompletedProcess[str]]
Commit = Callable[..., str]
# A set-up ends the run before anything is measured, once the worktree is there; it calls git itself.
HOOK = """#!/bin/sh
export TMPDIR={place}
{bench} run work --load mine.py --against HEAD~1 --setup 'touch built && git add --force built && \
    pwd >{place}/tree && git rev-parse --show-toplevel >>{place}/tree && false' >/dev/null 2>{place}/said
exit 0
"""
LINE = "# The user's line."
# It says where git finds its repository, in the server that measures.
TELLS = """
import subprocess
from pathlib import Path
asked = ("git", "-C", str(Path(__file__).parent), "rev-parse", "--show-toplevel")
Path({told!r}).open("a").write(subprocess.run(asked, capture_output=True, text=True).stdout)
"""


@pytest.mark.parametrize(
    ("words", "linked"),
    [(("--all",), False), (("mine.py",), False), ((), False), (("--all",), True)],
    ids=("all", "one-file", "staged", "in-a-linked-worktree"),
)
def test_a_hook_that_measures_leaves_the_users_commit_as_it_is(
    place: Path, commit: Commit, words: tuple[str, ...], linked: bool
) -> None:
    commit(0.001)
    commit(0.002)
    hook = place / ".git" / "hooks" / "pre-commit"
    hook.write_text(HOOK.format(place=place, bench=BENCH))
    hook.chmod(0o755)
    checkout = place / "linked" if linked else place
    if linked:
        git(place, "worktree", "add", "--quiet", str(checkout))
    with (checkout / "mine.py").open("a") as file:
        file.write(f"{LINE}\n")
    if not words:
        git(checkout, "add", "mine.py")
    git(checkout, "commit", "--quiet", "--message", "The user's", *words)
    assert "ended with 1" in (place / "said").read_text()
    folder, top = (place / "tree").read_text().splitlines()
    assert top == folder
    changed = [line for line in git(checkout, "show", "--format=", "HEAD").splitlines() if line.startswith(("+", "-"))]
    assert changed[2:] == [f"+{LINE}"]
    assert git(checkout, "status", "--porcelain") == ""


def test_workers_of_a_revision_do_not_inherit_where_git_looks(place: Path, bench: Bench, commit: Commit) -> None:
    told = place / "told"
    commit(0.001, TELLS.format(told=str(told)))
    other = place / "other"
    git(place, "init", "--quiet", str(other))
    tied = {"GIT_DIR": str(other / ".git"), "GIT_WORK_TREE": str(other), "GIT_INDEX_FILE": str(other / "index")}
    mine = ("work", "--load", "mine.py", "--launches", "1", "--budget", "0.05s", "--threads", "1")
    done = bench("run", *mine, "--against", "HEAD", "--json", **tied)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["comparisons"]) > 0
    tops = set(told.read_text().splitlines())
    assert len(tops) == 2
    assert str(place) in tops
    assert str(other) not in tops
