"""Imports files of other tools as one run, each file a launch."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.analysis.measurements import summarize_trials
from harness.core.case import Group, PlannedCase
from harness.core.errors import UsageError, make_unknown_error
from harness.core.run import Run
from harness.core.run_description import COMPLETE, RunDescription
from harness.core.suite import Mode, Policy
from harness.core.trial import Launch, format_utc_now
from harness.formats import google_benchmark, pytest_benchmark
from harness.store.write import create_run, make_run_id, write_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from harness.core.case import Case
    from harness.core.environment import Environment
    from harness.core.trial import Trial
    from harness.formats.foreign import ForeignFile

AUTO = "auto"
# By name: the key that only documents of the tool have, and who reads them.
READERS: dict[str, tuple[str, Callable[[dict[str, Any]], ForeignFile]]] = {
    pytest_benchmark.TOOL: ("machine_info", pytest_benchmark.read_pytest_benchmark),
    google_benchmark.TOOL: ("context", google_benchmark.read_google_benchmark),
}
# Ten thousand benchmarks with their raw values take less; what is larger is something else, and takes all memory.
_LARGEST = 100 << 20
# Launches below which the spread between them says nothing.
_ENOUGH = 3


@dataclass(frozen=True)
class Imported:
    """The run that came of some files, and what the user should know of it."""

    folder: Path
    notes: tuple[str, ...]


def import_files(paths: Sequence[Path], results: Path, tool: str, command: Iterable[str]) -> Imported:
    """Import files as the launches of one run, in the order given; a file that cannot be taken leaves nothing behind.

    Raises:
        UsageError: a file cannot be read or believed, or the files are not of one benchmark on one machine.
    """
    if tool not in (AUTO, *READERS):
        raise make_unknown_error("format", tool, (AUTO, *READERS))
    contents = [_content(path) for path in paths]
    _all_different(paths, contents)
    found = [_read(path, content, tool) for path, content in zip(paths, contents, strict=True)]
    environment = _one_place(paths, found)
    trials = [replace(trial, launch=launch) for launch, one in enumerate(found) for trial in one.trials]
    trials = _with_one_case_a_name(trials)
    threads = {one.threads for one in found}
    policy = Policy(
        launches=len(found), device="cpu", mode=Mode.HOST, threads=threads.pop() if len(threads) == 1 else 1
    )
    launches = [Launch(i, one.started_at, {"file": paths[i].name}) for i, one in enumerate(found)]
    folder = _store(results, policy, environment, trials, launches, found[0].tool, command)
    return Imported(folder, _notes(found))


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    if len(content) > _LARGEST:
        raise UsageError(f"{path}: larger than {_LARGEST >> 20} MiB, which no result of a benchmark is")
    return content


def _all_different(paths: Sequence[Path], contents: Sequence[bytes]) -> None:
    """Refuse one file given twice: it would be taken for a second launch that agrees with the first."""
    seen: dict[bytes, Path] = {}
    for path, content in zip(paths, contents, strict=True):
        first = seen.setdefault(hashlib.sha256(content).digest(), path)
        if first is not path:
            raise UsageError(f"{path} holds the same as {first}: each file must be a launch of its own")


def _read(path: Path, content: bytes, tool: str) -> ForeignFile:
    """Read a document by the tool that is named, or the one whose form it has."""
    try:
        data = _document(content)
        mine = data if isinstance(data, dict) and isinstance(data.get("benchmarks"), list) else {}
        for name, (key, read) in READERS.items():
            if tool in (AUTO, name) and isinstance(mine.get(key), dict):
                return read(mine)
    except ValueError as reason:
        raise UsageError(f"{path}: {reason}") from None
    wanted = READERS if tool == AUTO else (tool,)
    forms = " or ".join(f"{name} ('{READERS[name][0]}' and 'benchmarks')" for name in wanted)
    raise UsageError(f"{path}: expected JSON of {forms}")


def _document(content: bytes) -> Any:
    try:
        return json.loads(content.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("not JSON: nested too deeply") from None
    except ValueError as reason:
        raise ValueError(f"not JSON: {reason}") from None


def _one_place(paths: Sequence[Path], found: Sequence[ForeignFile]) -> Environment:
    """Return the environment that all files share.

    Raises:
        UsageError: they are of different tools, machines or commits, and so no launches of one run.
    """
    first = found[0]
    for path, one in zip(paths, found, strict=True):
        apart = first.environment.differences(one.environment)
        commits = first.environment.git_commit, one.environment.git_commit
        if first.tool != one.tool:
            apart = [f"tool: {first.tool} -> {one.tool}"]
        elif all(commits) and commits[0] != commits[1]:
            apart = [f"git_commit: {commits[0][:12]} -> {commits[1][:12]}"]
        if apart:
            raise UsageError(f"{path} is no launch of the run of {paths[0]} ({'; '.join(apart)}); import it by itself")
    dirty = any(one.environment.git_dirty for one in found)
    return replace(first.environment, git_dirty=dirty)


def _with_one_case_a_name(trials: Sequence[Trial]) -> list[Trial]:
    """Return trials in which what has one name is one case: a parameter may be a number here and its digits there."""
    cases: dict[str, Case] = {}
    return [replace(trial, case=cases.setdefault(trial.case.id, trial.case)) for trial in trials]


def _groups(trials: Iterable[Trial]) -> tuple[Group, ...]:
    """Return the cases of a workload at one point as a group each; they were measured one after the other."""
    groups: dict[str, dict[Case, None]] = {}
    for trial in trials:
        groups.setdefault(trial.case.group, {})[trial.case] = None
    return tuple(
        Group(name, next(iter(cases)).implementation, tuple(map(PlannedCase, cases)), interleaved=False)
        for name, cases in groups.items()
    )


def _store(
    results: Path,
    policy: Policy,
    environment: Environment,
    trials: Sequence[Trial],
    launches: Sequence[Launch],
    tool: str,
    command: Iterable[str],
) -> Path:
    """Write the run; its start is that of the first launch, so that it takes its place in a history."""
    groups, name = _groups(trials), "-".join(dict.fromkeys(trial.case.workload for trial in trials))
    description = RunDescription(
        make_run_id(name),
        groups,
        policy,
        environment,
        started_at=min((launch.started_at for launch in launches if launch.started_at), default=format_utc_now()),
        command=tuple(command),
        tags={"imported": tool},
        launches=tuple(launches),
    )
    folder = create_run(results, description)
    try:
        run = Run(folder, description, tuple(trials))
        write_tables(run, summarize_trials(groups, trials), COMPLETE)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _notes(found: Sequence[ForeignFile]) -> tuple[str, ...]:
    notes = dict.fromkeys(one.note for one in found if one.note)
    if len(found) < _ENOUGH:
        files = "one file is one launch" if len(found) == 1 else f"{len(found)} files are {len(found)} launches"
        notes[f"{files}; a verdict needs {_ENOUGH}: measure and import {_ENOUGH} files"] = None
    return tuple(notes)
