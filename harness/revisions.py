"""Versions of the code under test: the working tree and a revision, or two revisions, checked out for a while."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import TYPE_CHECKING

from harness import git
from harness.core.errors import UsageError
from harness.core.variant import BASE, NEW, Variant
from harness.launch.code_version import CodeVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.core.run import Run

# The sides by which a gate proves itself: the same code again, and the same code with a planted slowdown.
TWIN, SLOWED = "twin", "slowed"
_OWN = Path(__file__).parent.parent
_SETUP_S = 1800


def parse_revisions(words: str, setup: str = "") -> tuple[Variant, Variant]:
    """Return the sides that ``BASE..NEW`` stands for; ``BASE`` alone is held against the working tree.

    Raises:
        UsageError: the command was not started in a git checkout, or there is no such revision.
    """
    checkout = git.find_root(Path.cwd())
    base, dots, new = words.partition("..")
    judged = resolve_revision(NEW, checkout, new or "HEAD", setup) if dots else Variant(NEW, checkout=str(checkout))
    return resolve_revision(BASE, checkout, base, setup), judged


def resolve_revision(role: str, checkout: Path, ref: str, setup: str) -> Variant:
    """Return the revision of a checkout that a branch, tag or commit stands for.

    Raises:
        UsageError: there is none of that name.
    """
    return Variant(role, checkout=str(checkout), ref=ref, commit=git.resolve_commit(checkout, ref), setup=setup)


@contextlib.contextmanager
def check_out(run: Run) -> Iterator[CodeVersion]:
    """Make the version that a run measures, for as long as it measures.

    A revision is a worktree of its own. The content of the project, and of a plug-in that is developed in the
    checkout, is imported from there; the harness itself is the one that runs, so that both sides are measured alike.

    Raises:
        UsageError: the revision cannot be checked out, or its set-up fails.
    """
    revision, sources = run.description.variant or Variant(""), run.description.sources
    if not revision.commit:
        yield CodeVersion(revision.role, sources=sources, planted=revision.planted)
        return
    checkout = Path(revision.checkout)
    with git.open_worktree(checkout, revision.commit) as tree:
        path = (str(_own_first(tree)), str(tree / "src"), str(tree))
        python = _set_up(tree, revision.setup) if revision.setup else sys.executable
        yield CodeVersion(
            revision.role, python, path, tuple(_moved(sources, checkout, tree, revision)), revision.planted
        )


def _own_first(tree: Path) -> Path:
    """Return a folder that holds the harness that runs, and its content where the tree has none of its own."""
    folder = tree.with_name("first")
    folder.mkdir()
    names = ["harness"] if (tree / "harness" / "catalog.py").exists() else ["harness", "implementations", "suites"]
    for name in names:
        (folder / name).symlink_to(_OWN / name)
    return folder


def _moved(sources: Iterable[str], checkout: Path, tree: Path, revision: Variant) -> Iterator[str]:
    """Yield where each file of the checkout is in the tree; one from elsewhere stays, a new one is left out.

    Raises:
        UsageError: a file is not in the tree because git does not track it: no revision would ever have it.
    """
    for source in map(Path, sources):
        if not source.is_relative_to(checkout):
            yield str(source)
        elif (there := tree / source.relative_to(checkout)).exists():
            yield str(there)
        elif not git.is_tracked(checkout, source):
            raise UsageError(
                f"--load {source}: {revision.ref} has no such file, and git does not track it in this checkout; "
                "git add it, have --setup make it, or put it outside the checkout, where all revisions share it"
            )


def _set_up(tree: Path, command: str) -> str:
    """Run a command in the tree, in an environment that has all of this one's packages, and return its interpreter."""
    folder = tree.with_name("environment")
    venv.EnvBuilder(symlinks=True).create(folder)
    packages = sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)})
    inherited = "".join(f"import site; site.addsitedir({path!r})\n" for path in dict.fromkeys(_packages()))
    Path(packages, "inherited.pth").write_text(inherited)
    variables = {**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(
        command, shell=True, cwd=tree, env=variables, capture_output=True, text=True, timeout=_SETUP_S, check=False
    )
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise UsageError(f"--setup {command!r} ended with {done.returncode}: {' '.join(last)}")
    return str(folder / "bin" / "python")


def _packages() -> tuple[str, str]:
    return sysconfig.get_path("purelib"), sysconfig.get_path("platlib")
