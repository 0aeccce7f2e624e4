"""Turns: one worker runs, the others are stopped, and the order is drawn afresh from the seed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from harness.core.case import Case, Group, PlannedCase
from harness.core.suite import Policy
from harness.core.trial import ERROR, OK, Trial
from harness.launch.energy import Energy
from harness.launch.fork_server import ForkServer
from harness.launch.remote import Worker
from harness.launch.rounds import Turns, run_group
from harness.launch.side import Side

POINT = (("duration", 1e-3), ("bytes", 1 << 20), ("percent", 0.02))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    with ForkServer(1, tmp_path_factory.mktemp("launch"), Side()) as server:
        yield server


def worker(server: ForkServer, folder: Path, memory_limit: int = 0) -> Worker:
    spec = {"workload": "calibration", "implementation": "noop", "params": dict(POINT), "device": "cpu", "mode": "host"}
    rest = {"threads": 1, "seed": 0, "reference": str(folder / "reference")}
    return server.fork({**spec, **rest}, memory_limit, 60)


def run(
    server: ForkServer, folder: Path, names: list[str], *, interleaved: bool = True, seed: int = 0
) -> tuple[list[Trial], list[str]]:
    """Run calibration cases for one launch; return the trials, and the cases in the order of their turns."""
    order: list[str] = []

    def report(case: str, doing: str, share: float) -> None:
        if doing == "turn":
            order.append(case.partition("[")[0].partition("/")[2])

    planned = tuple(PlannedCase(Case("calibration", name, POINT)) for name in names)
    policy = Policy(launches=1, budget_s=0.5, device="cpu", mode="host", threads=1, seed=seed)
    group = Group("calibration[x]", "twin_a", planned, interleaved)
    turns = Turns([server], 0, policy, folder, Energy(policy), report)
    return [trial for _, trial in run_group(turns, group, [(0, one) for one in planned])], order


def wait_until_stopped(process: psutil.Process) -> None:
    end = time.monotonic() + 5
    while process.status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < end, "still running after its turn"
        time.sleep(0.001)


def test_a_server_that_forks_has_one_thread(server: ForkServer) -> None:
    assert server.runtime["os_threads"] == 1


def test_a_process_that_cannot_become_a_worker_says_why_and_clears_nothing_up(
    server: ForkServer, tmp_path: Path
) -> None:
    before, (refused, good) = server.runtime["pid"], (worker(server, tmp_path, 1 << 70), worker(server, tmp_path))
    assert refused.ask("prepare") == []
    assert (refused.status, refused.message[:21]) == (ERROR, "start: OverflowError:")
    assert "OverflowError" in refused.log_tail()
    good.ask("prepare")
    good.finish()
    assert (good.status, server.deaths, server.runtime["pid"]) == (OK, 0, before)


def test_a_worker_is_stopped_between_its_turns_and_gone_at_its_end(server: ForkServer, tmp_path: Path) -> None:
    one = worker(server, tmp_path)
    process = psutil.Process(one._pid)
    for order in ("prepare", "reference"):
        one.ask(order)
        wait_until_stopped(process)
    one.finish()
    assert not process.is_running()
    assert (one.status, one.alive) == (OK, False)


def test_what_a_worker_started_is_stopped_with_it_also_in_a_session_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOSTILE_FOLDER", str(tmp_path))
    spec = {"workload": "calibration", "implementation": "counts_elsewhere", "params": dict(POINT), "device": "cpu"}
    plug_in = str(Path(__file__).with_name("hostile.py"))
    rest = {"mode": "host", "threads": 1, "seed": 0, "reference": str(tmp_path / "reference")}
    count = tmp_path / "count"
    with ForkServer(1, tmp_path, Side(sources=(plug_in,))) as own:
        one = own.fork({**spec, **rest}, 0, 60)
        for order in ("prepare", "reference", "check"):
            one.ask(order)
        for turn in range(20):  # until the process has come up
            one.ask("turn", round=turn, slice_s=0.1)
            if count.exists() and count.stat().st_size:
                break
        time.sleep(0.05)
        before = count.stat().st_size
        time.sleep(0.2)
        assert count.stat().st_size == before > 0
        one.finish()
    assert "left 1 process(es) running" in one.message


def test_every_case_has_one_turn_a_round_in_an_order_that_varies(server: ForkServer, tmp_path: Path) -> None:
    names = ["twin_a", "twin_b", "noop"]
    trials, order = run(server, tmp_path, names)
    assert [trial.status for trial in trials] == [OK, OK, OK]
    rounds = [order[i : i + 3] for i in range(0, 9, 3)]
    assert all(sorted(turn) == sorted(names) for turn in rounds)
    longer = [tuple(order[i : i + 3]) for i in range(0, len(order) - 3, 3)]
    assert len(set(longer)) > 1


def test_the_seed_fixes_the_order(server: ForkServer, tmp_path: Path) -> None:
    names = ["twin_a", "twin_b", "noop"]
    orders = [run(server, tmp_path, names, seed=seed)[1][:9] for seed in (5, 5, 6)]
    assert orders[0] == orders[1] != orders[2]


def test_cases_that_do_not_fit_side_by_side_run_one_after_the_other_and_say_so(
    server: ForkServer, tmp_path: Path
) -> None:
    trials, order = run(server, tmp_path, ["twin_a", "twin_b"], interleaved=False)
    assert order == sorted(order)
    for trial in trials:
        timed = [sample for sample in trial.samples if sample.metric == "time"]
        assert timed
        assert all("not_interleaved" in sample.flags for sample in timed)


def test_each_instrument_has_a_pass_of_its_own(server: ForkServer, tmp_path: Path) -> None:
    """Memory before anything is timed; energy after everything is, of all cases; the check again at the end."""
    passes: list[str] = []
    planned = tuple(PlannedCase(Case("calibration", name, POINT)) for name in ("noop", "twin_a"))
    policy = Policy(launches=1, budget_s=0.2, device="cpu", mode="host", threads=1)
    turns = Turns([server], 0, policy, tmp_path, Energy(policy), lambda case, doing, share: passes.append(doing))
    list(run_group(turns, Group("calibration[y]", "noop", planned), [(0, one) for one in planned]))
    first = ["prepare", "check", "memory", "warm_up"]
    assert passes[: 1 + 2 * len(first)] == ["reference", *first, *first]
    assert passes[-4:] == ["energy", "recheck", "energy", "recheck"]
    assert set(passes[1 + 2 * len(first) : -4]) == {"turn"}
