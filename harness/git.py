"""Asks git about a checkout: its commit, the order of commits, and worktrees of other revisions."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import UsageError, make_unknown_error

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIMIT_S = 60
# By these git ties what it starts (a hook, an alias, `git rebase --exec`) to its repository, index and objects: what
# `git rev-parse --local-env-vars` lists, and two more. Configuration that comes with a command (GIT_CONFIG_COUNT,
# GIT_CONFIG_PARAMETERS) stays: a CI system says there which checkouts are to be trusted.
_TIES = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_ATTR_SOURCE",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)


def untie_process() -> None:
    """Drop the variables by which a git command that started this process ties git to its repository.

    Without this, a worktree that is made in a commit hook is checked out into the index of that commit. All that this
    process starts is meant: git, set-up commands, and workers, whose content may call git. From then on the checkout
    is the one that the current folder is in.
    """
    for name in _TIES:
        os.environ.pop(name, None)


def read_head(folder: Path) -> tuple[str, bool]:
    """Return the commit of a checkout and whether it has changes; empty outside one."""
    lines = _lines(folder, "--no-optional-locks", "status", "--porcelain=v2", "--branch", "--untracked-files=no")
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid")), "")
    commit = "" if commit == "(initial)" else commit
    return commit, any(not line.startswith("#") for line in lines)


def find_root(folder: Path) -> Path:
    """Return the top folder of the checkout that a folder is in.

    Raises:
        UsageError: it is in none, or git does not trust its owner; the message has git's own.
    """
    done = _git(folder, "rev-parse", "--show-toplevel")
    if done is None or done.returncode:
        reason = next(iter(done.stderr.splitlines()), "") if done else "git is not there, or does not answer"
        raise UsageError(f"{folder} is not in a git checkout: {reason}; GIT_DIR is not followed, start bench in one")
    return Path(done.stdout.rstrip("\n"))


def resolve_commit(folder: Path, ref: str) -> str:
    """Return the commit that a branch, tag or abbreviation stands for.

    Raises:
        UsageError: there is none of that name; the message has the nearest.
    """
    found = _lines(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if not found:
        names = _lines(folder, "for-each-ref", "--format=%(refname:short)")
        raise make_unknown_error("revision", ref, ["HEAD", *names])
    return found[0]


def list_commits(folder: Path) -> list[str]:
    """Return every commit of HEAD and the branches, oldest first, none before its parents; empty outside a checkout."""
    return _lines(folder, "rev-list", "--topo-order", "--reverse", "HEAD", "--branches", "--remotes")


def list_ancestors(folder: Path, ref: str) -> list[str]:
    """Return a commit and everything it descends from, the nearest first; empty where there is no such commit."""
    return _lines(folder, "rev-list", "--topo-order", "--end-of-options", ref)


def list_between(folder: Path, good: str, bad: str) -> list[str]:
    """Return the commits on the first-parent line after ``good`` up to ``bad``, oldest first."""
    return _lines(folder, "rev-list", "--first-parent", "--reverse", f"{good}..{bad}")


def read_subject(folder: Path, commit: str) -> str:
    """Return the first line of a commit's message."""
    return next(iter(_lines(folder, "show", "--no-patch", "--format=%s", commit)), "")


def is_tracked(folder: Path, path: Path) -> bool:
    """Return whether a file of a checkout is one that git tracks."""
    done = _git(folder, "--literal-pathspecs", "ls-files", "--error-unmatch", "--", str(path))
    return done is not None and not done.returncode


@contextlib.contextmanager
def open_worktree(folder: Path, commit: str) -> Iterator[Path]:
    """Check a commit out beside the checkout, for a while; what is in the checkout stays as it is.

    Raises:
        UsageError: git cannot make the worktree.
    """
    with tempfile.TemporaryDirectory(prefix="benchwright-tree-") as name:
        path = Path(name, "tree")
        done = _git(folder, "worktree", "add", "--detach", "--force", str(path), commit)
        if done is None or done.returncode:
            raise UsageError(
                f"cannot check out {commit[:12]}: {done.stderr.strip() if done else 'git does not answer'}"
            )
        try:
            yield path
        finally:
            _git(folder, "worktree", "remove", "--force", str(path))


def _lines(folder: Path, *words: str) -> list[str]:
    done = _git(folder, *words)
    return done.stdout.splitlines() if done and not done.returncode else []


def _git(folder: Path, *words: str) -> subprocess.CompletedProcess[str] | None:
    """Run git; None where it is missing or does not answer."""
    command = ("git", "-C", str(folder), *words)
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
