"""``bench compare``, ``bench gate`` and ``bench baseline`` through the real console script."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.core.run import Run
from harness.core.run_description import INTERRUPTED
from harness.core.suite import Policy
from harness.core.trial import ABSENT
from harness.store.read import read_run
from tests.support.launcher import FakeLaunches
from tests.support.plug_in import as_written

Bench = Faked = Callable[..., subprocess.CompletedProcess[str]]
Record = Callable[..., Run]
Draw = Callable[..., list[list[float]]]
Commit = Callable[..., str]


def test_compare_prints_a_line_for_each_case_and_what_all_come_to(
    place: Path, bench: Bench, record: Record, draw: Draw
) -> None:
    base = record({"base": draw(1), "other": draw(2)}, extra={"peak_memory": 1e8})
    new = record({"base": draw(3), "other": draw(4, 1.1)}, extra={"peak_memory": 2e8})
    done = bench("compare", base.id, new.id[:-2])
    assert done.returncode == 0, done.stderr
    words = [line.split() for line in done.stdout.splitlines()]
    assert ["other", "1.00", "ms", "1.10", "ms"] in [line[:5] for line in words]
    assert sum("worse" in line for line in words) == 2
    assert "2 worse" in done.stdout
    assert "time, geometric mean 1.05; at worst 1.10 (work/other[n=4])" in done.stdout


def test_compare_as_json_has_every_row_and_null_for_what_is_none(
    place: Path, bench: Bench, record: Record, draw: Draw
) -> None:
    base, new = record({"base": draw(1)}, extra={"max_abs_error": 0.0}), record({"base": "crashed: died"})
    document = json.loads(bench("compare", base.id, new.id, "--json").stdout)
    (row,) = document["comparisons"]
    assert (row["verdict"], row["ratio"], row["note"]) == ("fails now", None, "crashed: died")


@pytest.mark.parametrize("arguments", [("nowhere",), ("latest", "latest"), ("RUN", "RUN"), ("--margin", "much", "RUN")])
def test_compare_of_what_is_not_there_is_one_line(
    place: Path, bench: Bench, record: Record, draw: Draw, arguments: tuple[str, ...]
) -> None:
    run = record({"base": draw(1)})
    done = bench("compare", *(word.replace("RUN", str(run.folder)) for word in arguments))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_baseline_is_kept_for_each_kind_of_machine_and_found_by_its_name(
    place: Path, bench: Bench, record: Record, draw: Draw
) -> None:
    record({"base": draw(1, 5.0)}, cpu_model="Other")
    assert bench("baseline", "set", "main").returncode == 0
    old = record({"base": draw(2, 2.0)})
    bench("baseline", "set", "main", old.id)
    here = record({"base": draw(3)})
    bench("baseline", "set", "main", here.id)
    listed = json.loads(bench("baseline", "list", "--json").stdout)
    assert [one["baseline"] for one in listed] == ["main", "main"]
    assert here.id in {one["id"] for one in listed}
    assert old.id not in {one["id"] for one in listed}
    record({"base": draw(4, 1.1)})
    document = json.loads(bench("gate", "--baseline", "main", "--json").stdout)
    assert document["base"].endswith(here.id)
    assert document["exit_code"] == 1
    assert "1.00 ms" in bench("baseline", "show", "main").stdout
    assert "did you mean 'main'?" in bench("baseline", "show", "mian").stderr
    assert bench("baseline", "set", "../x").returncode == 2


def gated(bench: Bench, base: Run, new: Run, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return bench("gate", str(new.folder), "--baseline", str(base.folder), "--budget", "0", *arguments, **variables)


@pytest.mark.parametrize(
    ("before", "after", "code", "said"),
    [
        (1.0, 1.0, 0, "gate: nothing is worse"),
        (1.0, 1.1, 1, "gate: slower, or worse: 1 regressed"),
        (1.0, "crashed: died of SIGSEGV", 1, "fails now: crashed: died of SIGSEGV"),
        ("oom: too much", "oom: too much", 0, "fails on both sides"),
        (1.0, "skipped: needs CUDA", 3, "other missing: skipped: needs CUDA"),
        ("crashed: died", 1.0, 0, "other works now: crashed: died"),
        (f"skipped: {ABSENT}: unknown workload", 1.0, 0, f"other added: skipped: {ABSENT}"),
        ("skipped: needs CUDA", 1.0, 2, "other base not measured: skipped: needs CUDA"),
        ("error: check: ImportError: no built.so", 1.0, 2, "gate: cannot judge: 1 not compared"),
    ],
)
def test_the_exit_code_of_a_gate(
    place: Path,
    bench: Bench,
    record: Record,
    draw: Draw,
    before: float | str,
    after: float | str,
    code: int,
    said: str,
) -> None:
    sides = [
        record({"base": draw(1), "other": draw(seed, status) if isinstance(status, float) else status})
        for seed, status in ((2, before), (3, after))
    ]
    done = gated(bench, *sides)
    assert (done.returncode, done.stderr) == (code, "")
    assert said in done.stdout


def test_a_gate_without_data_is_a_usage_error_and_never_green(
    place: Path, bench: Bench, record: Record, draw: Draw
) -> None:
    good = record({"base": draw(1)})
    skipped, empty = record({"base": "skipped: needs CUDA"}), record({})
    for base, new in ((skipped, skipped), (empty, empty)):
        assert gated(bench, base, new).returncode == 2
    assert "no run in" in bench("gate", "--results", "nothing").stderr
    assert bench("gate", good.id, "--baseline", "nowhere").returncode == 2
    assert "is not complete" in gated(bench, good, record({"base": draw(1)}, state=INTERRUPTED)).stderr
    (skipped.folder / "samples.parquet").write_bytes(b"PAR1 cut off")
    done = gated(bench, good, skipped)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "a table cannot be read" in done.stderr


@pytest.mark.parametrize("before", ["skipped: needs CUDA", "crashed: died", "error: check: RuntimeError: 1"])
def test_without_a_measured_base_nothing_is_judged_and_all_who_ask_are_told_why(
    place: Path, bench: Bench, record: Record, draw: Draw, before: str
) -> None:
    base, new = record({"base": before}), record({"base": draw(1)})
    done = gated(
        bench, base, new, "--junit", "out.xml", "--json", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY="summary.md"
    )
    document = json.loads(done.stdout)
    assert (done.returncode, document["exit_code"]) == (2, 2)
    assert [row["case"] for row in document["uncompared"]] == ["work/base[n=4]"]
    assert done.stderr.startswith("::error title=work/base[n=4]::")
    assert before in done.stderr
    summary = Path("summary.md").read_text()
    assert summary.startswith("## Benchwright: cannot judge: 1 not compared")
    assert before in summary
    (told,) = ElementTree.parse("out.xml").getroot().findall("testcase/error")
    assert before in told.get("message", "")
    compared = bench("compare", base.id, new.id)
    assert compared.returncode == 2
    assert compared.stderr.startswith("bench: nothing was compared: work/base[n=4] case ")
    assert before in compared.stderr


def test_a_gate_where_every_case_is_new_to_the_base_passes_and_says_so(
    place: Path, bench: Bench, record: Record, draw: Draw
) -> None:
    done = gated(bench, record({"base": f"skipped: {ABSENT}: unknown workload"}), record({"base": draw(1)}))
    assert (done.returncode, done.stderr) == (0, "")
    assert "gate: every case is new" in done.stdout


def test_a_regression_is_told_though_another_case_has_no_base(
    place: Path, bench: Bench, record: Record, draw: Draw
) -> None:
    base, new = record({"a": draw(1), "b": "skipped: needs CUDA"}), record({"a": draw(2, 1.1), "b": draw(3)})
    done = gated(bench, base, new)
    assert done.returncode == 1
    assert "gate: slower, or worse: 1 regressed, 1 not compared" in done.stdout


def test_a_gate_tells_github_and_junit_and_both_escape_what_others_wrote(
    place: Path, bench: Bench, record: Record, draw: Draw
) -> None:
    hostile = "crashed: 100%\nof ::set-output <b>|`x`\x01"
    base, new = record({"base": draw(1), "other": draw(1)}), record({"base": draw(2, 1.1), "other": hostile})
    done = gated(bench, base, new, "--junit", "out.xml", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY="summary.md")
    errors = [line for line in done.stderr.splitlines() if line.startswith("::error ")]
    assert [line.partition("::")[2].partition("::")[0] for line in errors] == [
        "error title=work/base[n=4]",
        "error title=work/other[n=4]",
    ]
    assert "100%25" in errors[1]
    assert len(done.stderr.splitlines()) == 2
    summary = Path("summary.md").read_text()
    assert summary.startswith("## Benchwright: slower, or worse: 2 regressed")
    assert "<b>" not in summary
    suite = ElementTree.parse("out.xml").getroot()
    assert (suite.get("failures"), len(suite.findall("testcase/failure"))) == ("2", 2)


def test_a_change_that_was_accepted_passes_until_the_base_has_it(
    place: Path, bench: Bench, record: Record, draw: Draw, commit: Commit
) -> None:
    before, change, after = commit(1), commit(2), commit(3)
    (place / ".benchwright.toml").write_text(
        f'[[accept]]\ncase = "work/base[*]"\nreason = "it checks its input"\ncommit = "{change[:10]}"\nup_to = "20%"\n'
    )
    base, new = record({"base": draw(1)}, git_commit=before), record({"base": draw(2, 1.1)}, git_commit=after)
    done = gated(bench, base, new)
    assert done.returncode == 0
    assert "accepted: work/base[n=4] time slower" in done.stdout
    later = record({"base": draw(3)}, git_commit=after)
    done = gated(bench, later, new)
    assert done.returncode == 1
    assert "need not be accepted any more: the base has the change already" in done.stdout


def test_a_revision_as_base_is_its_nearest_ancestor_that_was_measured_here(
    place: Path, bench: Bench, record: Record, draw: Draw, commit: Commit
) -> None:
    first, second, third = commit(1), commit(2), commit(3)
    wanted = record({"base": draw(1)}, git_commit=first)
    record({"base": draw(2, 2.0)}, git_commit=second, cpu_model="Other")
    new = record({"base": draw(3, 1.1)}, git_commit=third)
    document = json.loads(bench("gate", new.id, "--budget", "0", "--json").stdout)
    assert document["base"].endswith(wanted.id)
    assert document["exit_code"] == 1
    alone = bench("gate", wanted.id, "--baseline", first, "--budget", "0")
    assert (alone.returncode, alone.stdout) == (2, "")


def test_an_inconclusive_gate_measures_on_with_both_sides_and_keeps_what_there_was(
    place: Path, faked: Faked, commit: Commit
) -> None:
    commit(0.001)
    commit(0.003)
    mine, launches = ("work", "--load", "mine.py", "--budget", "0.4s", "--threads", "1"), FakeLaunches(as_written)
    assert faked(launches, "run", *mine, "--launches", "2", "--against", "HEAD~1").returncode == 0
    first = json.loads(faked(launches, "gate", "--budget", "0", "--json").stdout)
    assert (first["exit_code"], first["comparisons"][0]["verdict"]) == (3, "suspect")
    assert len(launches.opened) == 2 * 2
    before = {folder: read_run(folder).trials for folder in (place / "results").iterdir()}
    done = faked(launches, "gate", "--budget", "2m", "--json")
    document = json.loads(done.stdout)
    assert (document["exit_code"], document["looks"]) == (1, 2), done.stderr
    assert document["comparisons"][0]["verdict"] == "slower"
    assert len(launches.opened) == 2 * 4  # as many launches again, of both sides
    for folder, trials in before.items():
        assert repr(read_run(folder).trials[: len(trials)]) == repr(trials)  # an energy of NaN equals nothing


def test_a_gate_does_not_measure_on_with_other_code_than_it_began_with(
    place: Path, faked: Faked, commit: Commit
) -> None:
    commit(0.001)
    measure, launches = ("run", "work", "--load", "mine.py", "--launches", "1", "--quiet"), FakeLaunches(as_written)
    assert faked(launches, *measure).returncode == 0
    assert faked(launches, *measure).returncode == 0
    first, second = sorted(folder.name for folder in (place / "results").iterdir())
    commit(0.002)
    done = faked(launches, "gate", second, "--baseline", first)
    assert done.returncode == 3
    assert "not measured on: the working tree is at another commit now" in done.stdout
    spent = faked(launches, "gate", second, "--baseline", first, "--budget", "0")
    assert "not measured on: " in spent.stdout


@pytest.fixture
def waits(place: Path, commit: Commit, record: Record, draw: Draw) -> Callable[..., Run]:
    """Return a function that records a run of the plug-in that waits, in so many launches."""

    def write(launches: int) -> Run:
        commit(0.001)
        policy = Policy(device="cpu", threads=1, mode="host", launches=launches, budget_s=0.5)
        run = record({"waits": draw(1)}, policy=policy)
        meta = json.loads((run.folder / "run.json").read_text())
        (run.folder / "run.json").write_text(json.dumps({**meta, "sources": [str(place / "mine.py")]}))
        return run

    return write


# With so wide a margin noise leaves nothing open; where it does all the same, there is time for more launches.
SELF_TEST = ("gate", "--self-test", "--margin", "50%", "--json")


def test_the_self_test_of_a_gate_passes_where_a_planted_slowdown_turns_it_red_and_leaves_no_run(
    place: Path, bench: Bench, waits: Callable[..., Run]
) -> None:
    run = waits(launches=3)
    done = bench(*SELF_TEST, "--planted", "200%", "--budget", "2m")
    document = json.loads(done.stdout)
    assert document["twin"]["exit_code"] in (0, 3), done.stdout
    assert document["slowed"]["exit_code"] == 1
    assert document["slowed"]["comparisons"][0]["ratio"] > 1.8
    assert document["exit_code"] == done.returncode == document["twin"]["exit_code"]
    assert list((place / "results").iterdir()) == [run.folder]


@pytest.mark.parametrize(
    ("planted", "launches", "slowed", "twin", "code"), [("200%", 3, 1, 0, 0), ("0%", 1, 3, 3, 1), ("0%", 3, 0, 0, 1)]
)
def test_the_self_test_of_a_gate_fails_where_what_is_planted_leaves_it_green(
    place: Path,
    faked: Faked,
    waits: Callable[..., Run],
    planted: str,
    launches: int,
    slowed: int,
    twin: int,
    code: int,
) -> None:
    run = waits(launches=launches)
    done = faked(FakeLaunches(as_written), *SELF_TEST, "--planted", planted, "--budget", "0")
    document = json.loads(done.stdout)
    assert (document["twin"]["exit_code"], document["slowed"]["exit_code"]) == (twin, slowed), done.stdout
    assert document["exit_code"] == done.returncode == code
    assert list((place / "results").iterdir()) == [run.folder]


def test_the_self_test_of_a_gate_proves_nothing_where_no_case_runs(
    place: Path, bench: Bench, commit: Commit, record: Record, draw: Draw
) -> None:
    commit("1/0")
    policy = Policy(device="cpu", threads=1, mode="host", launches=1, budget_s=0.05)
    run = record({"waits": draw(1)}, policy=policy)
    meta = json.loads((run.folder / "run.json").read_text())
    (run.folder / "run.json").write_text(json.dumps({**meta, "sources": [str(place / "mine.py")]}))
    done = bench("gate", "--self-test", "--budget", "0")
    assert done.returncode == 2
    assert "gate: cannot judge: 1 not compared (exit code 2)" in done.stdout
