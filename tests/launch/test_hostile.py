"""Bad implementations through the real command, in real workers: each is a row, and the others do not notice."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
import uuid
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from harness.core.errors import EXIT_FAILED, EXIT_USAGE
from harness.core.run import Run
from harness.core.trial import CRASHED, ERROR, INCORRECT, OK, OOM, SKIPPED, TIMEOUT
from harness.store.read import read_run
from tests.support.command import BENCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start = Callable[..., "Bench"]

PLUG_INS = [Path(__file__).with_name(name) for name in ("hostile.py", "undermining.py")]
# How long a run may take on a busy machine, and how long its processes may take to notice that it is gone.
PATIENCE_S, NOTICE_S = 120.0, 10.0

# Implementation, status, and what its message must tell.
CAUGHT = (
    ("needs_module", SKIPPED, "no_such_module"),
    ("raises_in_set_up", ERROR, "ValueError: no set-up today"),
    ("returns_no_step", ERROR, "returned Tensor, and not a step"),
    ("raises_in_step", ERROR, "ValueError: no step today"),
    ("raises_in_check", ERROR, "RuntimeError: the output is a trap"),
    ("judged", ERROR, "ZeroDivisionError: the check is broken"),
    ("wrong_shape", INCORRECT, "(4095,) returned, (4096,) expected"),
    ("wrong_dtype", INCORRECT, "torch.float64 returned, torch.float32 expected"),
    ("nan", INCORRECT, "1 elements are NaN"),
    ("wrong_numbers", INCORRECT, "max_abs_error 0.5 exceeds 0"),
    ("caches_output", INCORRECT, "on changed inputs"),
    ("changes_inputs", INCORRECT, "changed its inputs"),
    ("aborts", CRASHED, "SIGABRT"),
    ("segfaults", CRASHED, "SIGSEGV"),
    ("exits", ERROR, "sys.exit(0)"),
    ("exits_at_once", CRASHED, "exited with code 0"),
    ("bomb_of_torch", OOM, "you tried to allocate"),
    ("bomb_of_numpy", OOM, "Unable to allocate"),
    ("bomb_of_bytes", OOM, "out of memory"),
    ("prints_megabytes", OK, ""),
    ("leaves_child", ERROR, "left 1 process"),
    ("leaves_daemon", ERROR, "left 1 process"),
    ("child_returns", OK, ""),
    ("leaves_thread", ERROR, "left 1 thread running: stubborn"),
    ("leaves_daemon_thread", ERROR, "left 1 thread running: lurking"),
    ("shows_a_progress_bar", OK, ""),
    ("is_called_from_a_foreign_thread", OK, ""),
    ("crashes_at_exit", CRASHED, "exit: died of SIGABRT"),
)
# These go at the harness itself: an end, an error text, a metric or a reply that it could stumble over.
TRIPPING = (
    ("dies_of_signal_40", CRASHED, "signal 40"),
    ("raises_undecodable", ERROR, "ValueError: no caf"),
    ("raises_unspeakable", ERROR, "UnspeakableError, whose text raises RuntimeError"),
    ("closes_streams", ERROR, "ValueError: no streams today"),
    ("cannot_write", ERROR, "ValueError: no space today"),
    ("closes_everything", CRASHED, "failed, and could not report why"),
    ("writes_everywhere", ERROR, "connection"),
    ("replies_too_deep", ERROR, "connection"),
    ("replies_nan_for_a_name", ERROR, "connection"),
    ("replies_in_form", ERROR, "its connection has more than one reply to an order"),
    ("leaves_children_without_a_name", ERROR, "left 6 process(es) running: caf"),
    ("counted", OK, ""),
    ("nameless", ERROR, "the check calls a metric nan, which is not text"),
    ("stays", OK, ""),
    ("kills_server", CRASHED, "the fork server died of SIGKILL"),
    ("kills_server_amid_the_timing", CRASHED, "turn: the fork server died of SIGKILL"),
    ("stops_server", OK, ""),
    ("removes_log", ERROR, "check: removed the file that its output is kept in"),
    ("removes_folder", ERROR, "check: removed the file that its output is kept in"),
    ("remains", OK, ""),
)
# Those in `TRIPPING` that are implementations of another workload than `calibration`.
ELSEWHERE = {
    "check_counts": ["counted"],
    "check_names_nan": ["nameless"],
    "undermined": [name for name, _, _ in TRIPPING[TRIPPING.index(("stays", OK, "")) :]],
}


class Bench:
    """A ``bench`` command under way in a folder of its own, and every process that comes of it."""

    def __init__(self, folder: Path, words: tuple[str, ...]) -> None:
        self.folder = folder
        self._mark = f"hostile-{uuid.uuid4().hex}"
        # A temporary folder of its own gives each run its own lock, so that none waits for another.
        own = {"TMPDIR": str(folder), "HOSTILE_FOLDER": str(folder), "HOSTILE_MARK": self._mark}
        environment = {**os.environ, **own}
        environment.pop("PYTHONUNBUFFERED", None)  # would keep what is printed from being lost
        pipe = subprocess.PIPE
        self.process = subprocess.Popen((BENCH, *words), stdout=pipe, stderr=pipe, text=True, env=environment)
        self.code, self.stdout, self.stderr = -1, "", ""

    def finish(self) -> Bench:
        """Wait for the command's end."""
        self.stdout, self.stderr = self.process.communicate(timeout=PATIENCE_S)
        self.code = self.process.returncode
        return self

    def waiting_pid(self) -> int:
        """Return the worker of `waits_for_a_kill`, once it waits."""
        note = self.folder / "waiting"
        assert _soon(note.exists, PATIENCE_S), self.process.poll()
        return int(note.read_text())

    def survivors(self) -> list[psutil.Process]:
        """Return the living processes that carry the command's mark in their environment or command line."""
        return [process for process in psutil.process_iter() if self._carries_mark(process)]

    def _carries_mark(self, process: psutil.Process) -> bool:
        try:
            words = (*process.cmdline(), *process.environ().values())
            return self._mark in words and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def end(self) -> None:
        """Leave nothing behind, whatever the command did."""
        self.process.kill()
        self.process.communicate()
        for process in self.survivors():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    @cached_property
    def document(self) -> dict[str, Any]:
        """What ``--json`` printed."""
        assert self.stdout, self.stderr
        return dict(json.loads(self.stdout))

    @cached_property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The rows by implementation."""
        return {row["implementation"]: row for group in self.document["groups"] for row in group["rows"]}

    @property
    def stored(self) -> Run:
        """The run as it is on disk."""
        (folder,) = (self.folder / "results").iterdir()
        return read_run(folder)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Return what starts a ``bench`` command in a folder; all are ended at last."""
    commands: list[Bench] = []

    def start_one(*words: str, folder: Path | None = None) -> Bench:
        folder = folder or tmp_path_factory.mktemp("bench")
        commands.append(Bench(folder, words))
        return commands[-1]

    yield start_one
    for command in commands:
        command.end()


@pytest.fixture(scope="module")
def caught(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """One run of all in `CAUGHT` between two good twins, with two more plug-ins: a broken and an impertinent one."""
    folder = tmp_path_factory.mktemp("caught")
    (folder / "broken.py").write_text("import module_that_nobody_has\n")
    (folder / "impertinent.py").write_text(
        'from harness import implementation\n\n@implementation("calibration")\ndef twin_a(inputs):\n    return None\n'
    )
    names = [name for name, _, _ in CAUGHT if name != "judged"]
    suite = _suite(folder, calibration=["twin_a", *names, "twin_b"], check_raises=["judged"])
    loads = (f"--load={folder / name}" for name in ("broken.py", "impertinent.py"))
    return start("run", suite, *loads, *_options(folder), folder=folder).finish()


@pytest.fixture(scope="module")
def tripping(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """One run of all in `TRIPPING` between two good twins."""
    folder = tmp_path_factory.mktemp("tripping")
    elsewhere = [name for names in ELSEWHERE.values() for name in names]
    names = [name for name, _, _ in TRIPPING if name not in elsewhere]
    suite = _suite(folder, calibration=["twin_a", *names, "twin_b"], **ELSEWHERE)
    return start("run", suite, *_options(folder), folder=folder).finish()


@pytest.fixture
def under_way(start: Start, tmp_path: Path) -> Bench:
    """A run whose first group is finished, and in whose second a worker waits amid its timing, with a daemon."""
    options = ("--impl", "noop,waits_for_a_kill", "--duration", "1ms,2ms", *_options(tmp_path))
    return start("run", "calibration", *options, folder=tmp_path)


@pytest.mark.parametrize(("name", "status", "words"), CAUGHT)
def test_bad_implementation_is_a_row(caught: Bench, name: str, status: str, words: str) -> None:
    _assert_row(caught.rows[name], status, words)


@pytest.mark.parametrize(("name", "status", "words"), TRIPPING)
def test_implementation_does_not_trip_the_harness(tripping: Bench, name: str, status: str, words: str) -> None:
    _assert_row(tripping.rows[name], status, words)


@pytest.mark.parametrize("run", ["caught", "tripping"])
def test_twins_before_and_after_are_measured(run: str, request: pytest.FixtureRequest) -> None:
    _assert_twins_measured(request.getfixturevalue(run))


@pytest.mark.parametrize("run", ["caught", "tripping"])
def test_failures_are_told_by_rows_and_exit_code(run: str, request: pytest.FixtureRequest) -> None:
    bench: Bench = request.getfixturevalue(run)
    assert (bench.code, bench.document["exit_code"]) == (EXIT_FAILED, EXIT_FAILED)
    assert "Traceback" not in bench.stderr


@pytest.mark.parametrize("run", ["caught", "tripping"])
def test_no_process_is_left(run: str, request: pytest.FixtureRequest) -> None:
    assert request.getfixturevalue(run).survivors() == []


def test_log_of_a_failure_tells_more(caught: Bench) -> None:
    logs = {trial.case.implementation: trial.log for trial in caught.stored.trials}
    assert "Segmentation fault" in logs["segfaults"]
    assert "hostile.py" in logs["raises_in_step"]
    assert "last words before the error" in logs["raises_in_step"]
    assert "last words before the abort" in logs["aborts"]


def test_log_outlives_its_file(tripping: Bench) -> None:
    (trial,) = (trial for trial in tripping.stored.trials if trial.case.implementation == "removes_log")
    assert "last words before the file is gone" in trial.log


def test_log_of_a_talker_is_short(caught: Bench) -> None:
    (trial,) = (trial for trial in caught.stored.trials if trial.case.implementation == "prints_megabytes")
    assert "drown" in trial.log
    assert len(trial.log) < 10_000


def test_error_of_wrong_numbers_is_kept(caught: Bench) -> None:
    assert caught.rows["wrong_numbers"]["metrics"]["max_abs_error"]["median"] == 0.5


def test_broken_plug_in_is_one_line(caught: Bench) -> None:
    (line,) = (line for line in caught.stderr.splitlines() if "broken.py" in line)
    assert line.startswith("bench: ")
    assert "No module named 'module_that_nobody_has'" in line


def test_second_claim_on_a_name_is_reported_and_the_first_stands(caught: Bench) -> None:
    (line,) = (line for line in caught.stderr.splitlines() if "impertinent.py" in line)
    assert "calibration/twin_a" in line
    assert "twins.py" in line
    assert caught.rows["twin_a"]["status"] == OK


def test_workload_lost_with_its_broken_file_is_explained(start: Start, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import module_that_nobody_has\n")
    bench = start("run", "mine", "--load", str(tmp_path / "mine.py"), folder=tmp_path).finish()
    assert bench.code == EXIT_USAGE
    assert "unknown workload or suite 'mine'" in bench.stderr
    assert "No module named 'module_that_nobody_has'" in bench.stderr


def test_requirement_that_raises_is_a_reason(start: Start, tmp_path: Path) -> None:
    options = ("--impl", "twin_a,raises_in_requires", "--dry-run", *_options(tmp_path))
    bench = start("run", "calibration", *options, folder=tmp_path).finish()
    assert "Traceback" not in bench.stderr
    assert "twin_a" in bench.stdout
    assert "no such axis" in bench.stdout


def test_sleeper_times_out(start: Start, tmp_path: Path) -> None:
    options = ("--impl", "twin_a,sleeps,twin_b", *_options(tmp_path, timeout="6s"))
    bench = start("run", "calibration", *options, folder=tmp_path).finish()
    _assert_row(bench.rows["sleeps"], TIMEOUT, "6 s")
    _assert_twins_measured(bench)
    assert bench.code == EXIT_FAILED
    assert bench.survivors() == []


def test_killed_worker_is_a_crash(under_way: Bench) -> None:
    os.kill(under_way.waiting_pid(), signal.SIGKILL)
    under_way.finish()
    assert under_way.code == EXIT_FAILED
    ends = [(trial.case.implementation, trial.status) for trial in under_way.stored.trials]
    assert ends == [("noop", OK), ("waits_for_a_kill", OK), ("noop", OK), ("waits_for_a_kill", CRASHED)]
    _assert_row(under_way.rows["waits_for_a_kill"], CRASHED, "SIGKILL")
    assert under_way.rows["noop"]["metrics"]["time"]["n"] > 0
    assert under_way.survivors() == []


def test_killed_fork_server_is_a_crash_and_the_others_are_measured_again(under_way: Bench) -> None:
    psutil.Process(under_way.waiting_pid()).parent().kill()
    under_way.finish()
    assert under_way.code == EXIT_FAILED
    ends = [(trial.case.implementation, trial.status) for trial in under_way.stored.trials]
    assert sorted(ends[2:]) == [("noop", OK), ("waits_for_a_kill", CRASHED)]
    _assert_row(under_way.rows["waits_for_a_kill"], CRASHED, "turn: the fork server died of SIGKILL")
    assert under_way.rows["noop"]["metrics"]["time"]["n"] > 0
    assert under_way.survivors() == []


def test_killed_command_leaves_its_trials_and_nothing_else(under_way: Bench) -> None:
    under_way.waiting_pid()
    under_way.process.kill()
    under_way.finish()
    _assert_first_group_kept(under_way)
    assert _soon(lambda: not under_way.survivors(), NOTICE_S), under_way.survivors()
    assert _soon(lambda: not list(under_way.folder.glob("benchwright-*/")), NOTICE_S)


def _suite(folder: Path, **implementations: list[str]) -> str:
    """Write a suite of implementations by workload, and return its path."""
    tables = (
        f"[[select]]\nworkload = {json.dumps(workload)}\nimplementations = {json.dumps(names)}\n"
        for workload, names in implementations.items()
    )
    path = folder / "hostile.toml"
    path.write_text("\n".join(tables))
    return str(path)


def _options(folder: Path, timeout: str = "20s") -> tuple[str, ...]:
    """Return the options of a short run on the CPU, where memory can be limited."""
    words = f"--device cpu --launches 1 --budget 0.3s --timeout {timeout} --json".split()
    return (*words, *(f"--load={path}" for path in PLUG_INS), "--results", str(folder / "results"))


def _soon(holds: Callable[[], bool], limit_s: float) -> bool:
    end = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _assert_row(row: dict[str, Any], status: str, words: str) -> None:
    assert (row["status"], words in row["message"]) == (status, True), row["message"]
    assert bool(row["message"]) == (status != OK)
    assert "\n" not in row["message"]
    assert ("time" in row["metrics"]) == (status == OK)


def _assert_twins_measured(bench: Bench) -> None:
    for name in ("twin_a", "twin_b"):
        _assert_row(bench.rows[name], OK, "")
        assert bench.rows[name]["metrics"]["time"]["n"] > 0
    assert bench.rows["twin_b"]["ratio"]["value"] > 0


def _assert_first_group_kept(bench: Bench) -> None:
    run = bench.stored
    assert not run.complete
    kept = [(trial.case.implementation, trial.case.params["duration"], trial.status) for trial in run.trials]
    assert kept == [("noop", 1e-3, OK), ("waits_for_a_kill", 1e-3, OK)]
    assert all(any(sample.metric == "time" for sample in trial.samples) for trial in run.trials)
