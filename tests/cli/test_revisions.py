"""Two revisions of a plug-in that take turns, and the search for the one that made it slower."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.run import were_interleaved
from harness.store.read import read_run
from tests.support.git import git
from tests.support.launcher import End, FakeLaunches, Script
from tests.support.plug_in import WAITS, as_written

Bench = Faked = Callable[..., subprocess.CompletedProcess[str]]
Commit = Callable[..., str]
MINE = ("work", "--load", "mine.py", "--budget", "0.5s", "--threads", "1")
ALSO = """

@implementation("work")
def copies(x):
    \"\"\"Copy.\"\"\"
    return lambda: x.clone()
"""

NEEDS_BUILT = """

@implementation("work")
def needs_built(x):
    \"\"\"Copy, with what is built in place.\"\"\"
    import sys
    from pathlib import Path
    sys.path.insert(0, str(Path(__file__).parent))
    import built
    return lambda: x.clone()
"""


def comparisons(done: subprocess.CompletedProcess[str]) -> dict[tuple[str, str], dict[str, object]]:
    rows = json.loads(done.stdout)["comparisons"]
    return {(row["case"].partition("[")[0], row["metric"]): row for row in rows}


def worktrees(place: Path) -> int:
    listed = subprocess.run(("git", "worktree", "list"), cwd=place, capture_output=True, text=True, check=True)
    return len(listed.stdout.splitlines())


def test_a_revision_takes_turns_with_the_working_tree(place: Path, bench: Bench, commit: Commit) -> None:
    base = commit(0.001)
    commit(0.003)
    done = bench("run", *MINE, "--launches", "1", "--against", base, "--json")
    assert done.returncode == 0, done.stderr
    row = comparisons(done)["work/waits", "time"]
    assert row["verdict"] == "suspect"  # more than that takes three launches
    assert row["base"] < 0.002 < row["new"]
    assert row["ratio"] > 1.5
    ours, theirs = sorted((read_run(folder) for folder in (place / "results").iterdir()), key=lambda run: run.id)
    assert (ours.environment.git_commit, ours.environment.git_dirty) == (base, False)
    assert were_interleaved(ours, theirs)
    both = [{(t.launch, s.round) for t in run.trials for s in t.samples if s.round >= 0} for run in (ours, theirs)]
    assert min(both, key=len) <= max(both, key=len)  # the slower side is out of budget first
    assert worktrees(place) == 1


def test_two_revisions_are_measured_whatever_lies_in_the_working_tree(
    place: Path, bench: Bench, commit: Commit
) -> None:
    first, second = commit(0.001), commit(0.001, ALSO)
    (place / "mine.py").write_text((place / "mine.py").read_text().replace("0.001", "0.05"))
    done = bench("run", *MINE, "--launches", "1", "--against", f"{first}..{second}", "--json")
    rows = comparisons(done)
    assert rows["work/waits", "time"]["new"] < 0.025
    assert rows["work/copies", ""]["verdict"] == "added"
    assert done.returncode == 0


def test_a_gate_whose_base_does_not_import_has_nothing_to_judge(place: Path, bench: Bench, commit: Commit) -> None:
    commit(0.001, "\nraise RuntimeError('not ready')\n")
    commit(0.001)
    assert bench("run", *MINE, "--launches", "1", "--against", "HEAD~1").returncode == 0
    done = bench("gate", "--budget", "0")
    assert done.returncode == 2
    assert "waits base not measured: error: prepare: ImportError: this revision does not import" in done.stdout
    assert "mine.py: RuntimeError: not ready" in done.stdout


def test_what_a_revision_does_not_have_yet_is_added_and_what_it_was_not_built_for_is_not(
    place: Path, bench: Bench, commit: Commit
) -> None:
    commit(0.001, NEEDS_BUILT)
    (place / "built.py").write_text("")  # ignored by git, as what is built in place is
    (place / "more.py").write_text(WAITS.partition("axes =")[0] + ALSO)
    git(place, "add", "--force", "more.py")
    mine = place / "mine.py"
    mine.write_text(
        mine.read_text().replace('Reference, "waits"', 'Reference, "copies"')
    )  # what is new is measured first
    done = bench("run", *MINE, "--load", "more.py", "--launches", "1", "--against", "HEAD", "--json")
    assert done.returncode == 0, done.stderr
    rows = comparisons(done)
    assert rows["work/waits", "time"]["ratio"]
    assert rows["work/copies", ""]["verdict"] == "added"
    assert rows["work/needs_built", ""]["verdict"] == "base not measured"
    assert bench("gate", "--budget", "0").returncode == 2


def test_a_file_that_git_does_not_track_is_in_no_revision_and_nothing_is_measured(
    place: Path, bench: Bench, commit: Commit
) -> None:
    commit(0.001)
    (place / "more.py").write_text(WAITS.partition("axes =")[0] + ALSO)
    done = bench("run", *MINE, "--load", "more.py", "--against", "HEAD")
    assert done.returncode == 2
    assert "more.py: HEAD has no such file, and git does not track it in this checkout; git add it" in done.stderr
    assert worktrees(place) == 1


def test_a_revision_is_built_in_an_environment_of_its_own(place: Path, bench: Bench, commit: Commit) -> None:
    base = commit("__import__('built').SECONDS")
    commit(0.001)
    build = (
        "python -c \"import sysconfig; open(sysconfig.get_path('purelib') + '/built.py', 'w').write('SECONDS=0.002')\""
    )
    done = bench("run", *MINE, "--launches", "1", "--against", base, "--setup", build, "--json")
    assert done.returncode == 0, done.stderr
    assert comparisons(done)["work/waits", "time"]["base"] > 0.0019  # as built, and not as the working tree has it
    failed = bench("run", *MINE, "--against", base, "--setup", "echo no compiler >&2; exit 3")
    assert failed.returncode == 2
    assert "ended with 3: no compiler" in failed.stderr
    assert worktrees(place) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--against", "mian"), "unknown revision 'mian'; did you mean 'main'?"),
        (("--against", "main..nowhere"), "unknown revision 'nowhere'"),
        (("--setup", "make"), "--setup builds a revision; name one with --against"),
    ],
)
def test_a_revision_that_does_not_exist_is_one_line(
    place: Path, bench: Bench, commit: Commit, arguments: tuple[str, ...], message: str
) -> None:
    commit(0.001)
    done = bench("run", *MINE, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert not (place / "results").exists()


def test_outside_a_checkout_there_are_no_revisions(place: Path, bench: Bench) -> None:
    done = bench("run", "calibration", "--against", "main", GIT_CEILING_DIRECTORIES=str(place.parent))
    assert done.returncode == 2
    assert "is not in a git checkout" in done.stderr


def test_an_interrupted_pair_leaves_no_worktree_and_is_resumed_with_both_sides(
    place: Path, faked: Faked, commit: Commit
) -> None:
    commit(0.001)
    arguments = ("run", *MINE, "--launches", "2", "--against", "HEAD")
    interrupted = FakeLaunches({"waits new": Script(end=End("turn", KeyboardInterrupt(), launch=1, round=2))})
    assert faked(interrupted, *arguments).returncode == 130
    assert worktrees(place) == 1
    both = sorted((place / "results").iterdir())
    before = [read_run(folder).trials for folder in both]
    assert [len(trials) for trials in before] == [1, 1]
    resumed = FakeLaunches()
    done = faked(resumed, "run", "--resume", str(both[1]))
    assert done.returncode == 0, done.stderr
    assert all(read_run(one).complete for one in both)
    assert len(resumed.opened) == 2  # the second launch of both sides
    for folder, trials in zip(both, before, strict=True):
        after = read_run(folder).trials
        assert [trial.launch for trial in after] == [0, 1]
        assert repr(after[:1]) == repr(trials)


def test_bisect_names_the_commit_that_made_it_slower_and_skips_what_fails(
    place: Path, faked: Faked, commit: Commit
) -> None:
    good = commit(0.001)
    commit("1/0")
    slower = commit(0.003)
    done = faked(FakeLaunches(as_written), "bisect", *MINE, "--launches", "3", "--against", f"{good}..HEAD")
    assert "It takes 1/0: skipped: it fails" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith("the first slower commit is one of: ")
    assert f"{slower[:12]} It takes 0.003" in last
    assert done.returncode == 3
    assert worktrees(place) == 1


def test_bisect_needs_two_revisions(place: Path, bench: Bench, commit: Commit) -> None:
    commit(0.001)
    done = bench("bisect", *MINE)
    assert done.returncode == 2
    assert "bench bisect needs --against GOOD..BAD" in done.stderr
