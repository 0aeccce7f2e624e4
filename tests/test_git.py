"""What is asked of git, against real checkouts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.git import find_root, read_head, untie_process


def test_a_process_is_untied_from_all_that_git_lists_but_its_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = subprocess.run(("git", "rev-parse", "--local-env-vars"), capture_output=True, text=True, check=True)
    for name in listed.stdout.split():
        monkeypatch.setenv(name, "0")
    monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -v")
    untie_process()
    left = {name for name in listed.stdout.split() if name in os.environ}
    assert left == {"GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS"}
    assert os.environ["GIT_SSH_COMMAND"] == "ssh -v"


def test_asking_for_the_commit_takes_no_lock_and_writes_nothing_to_the_checkout(
    place: Path, commit: Callable[..., str]
) -> None:
    name = commit(0.001)
    os.utime(place / "mine.py", (0, 0))  # git would refresh what its index says of the file
    index = (place / ".git" / "index").read_bytes()
    assert read_head(place) == (name, False)
    assert (place / ".git" / "index").read_bytes() == index


def test_outside_a_checkout_the_error_names_what_is_not_followed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(place.parent))
    with pytest.raises(UsageError, match=r"is not in a git checkout: .*GIT_DIR is not followed, start bench in one"):
        find_root(place)


def test_a_checkout_that_the_command_trusts_is_trusted(
    place: Path, commit: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(0.001)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(UsageError, match="dubious ownership"):
        find_root(place)
    for name, value in (("COUNT", "1"), ("KEY_0", "safe.directory"), ("VALUE_0", str(place))):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    untie_process()
    assert find_root(place) == place
