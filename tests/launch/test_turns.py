"""Turns of real workers: one runs, the others are stopped; ``test_schedule`` has the order of turns."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from harness.catalog import load_catalog
from harness.core.suite import Policy, Selection
from harness.core.trial import ERROR, OK
from harness.detect import detect_environment
from harness.launch.code_version import CodeVersion
from harness.launch.controller.fork_server import ForkServer
from harness.launch.controller.hosts import ALONE
from harness.launch.controller.launcher import Launcher
from harness.launch.protocol import WorkerSpec
from harness.plan import make_plan
from tests.support.launcher import End, FakeLaunches, Script, calibration

CONVERSATION: tuple[tuple[str, dict[str, float]], ...] = (
    ("prepare", {}),
    ("reference", {}),
    ("check", {}),
    ("memory", {}),
    ("executed", {}),
    ("warm_up", {"limit_s": 0.1}),
    ("turn", {"round": 0, "slice_s": 0.01}),
    ("recheck", {}),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    with ForkServer(1, tmp_path_factory.mktemp("launch"), CodeVersion()) as server:
        yield server


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
    spec = calibration("noop", tmp_path)
    before, (refused, good) = server.runtime["pid"], (server.fork(spec, 1 << 70, 60), server.fork(spec, 0, 60))
    assert refused.ask("prepare") == []
    assert (refused.status, refused.message[:21]) == (ERROR, "start: OverflowError:")
    assert "OverflowError" in refused.log_tail()
    good.ask("prepare")
    good.finish()
    assert (good.status, server.deaths, server.runtime["pid"]) == (OK, 0, before)


def test_a_worker_is_stopped_between_its_turns_and_gone_at_its_end(server: ForkServer, tmp_path: Path) -> None:
    one = server.fork(calibration("noop", tmp_path), 0, 60)
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
    plug_in = str(Path(__file__).with_name("hostile.py"))
    count = tmp_path / "count"
    with ForkServer(1, tmp_path, CodeVersion(sources=(plug_in,))) as own:
        one = own.fork(calibration("counts_elsewhere", tmp_path), 0, 60)
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


def test_the_same_seed_gives_the_same_inputs_and_another_seed_others(server: ForkServer, tmp_path: Path) -> None:
    catalog, policy = load_catalog(), Policy(device="cpu", threads=1, mode="host")
    (group,) = make_plan(
        catalog, [Selection("attention", ("naive",), {"seq": "64"})], policy, detect_environment()
    ).groups
    errors = []
    for place, seed in enumerate((1, 1, 2)):
        reference = str(tmp_path / str(place))
        worker = server.fork(
            WorkerSpec("attention", "naive", group.cases[0].case.params, "cpu", "host", 1, seed, reference), 0, 60
        )
        worker.ask("prepare")
        errors += [sample.value for sample in worker.ask("check") if sample.metric == "rms_error"]
        worker.finish()
    assert errors[0] == errors[1] != errors[2]


def told(launcher: Launcher, spec: WorkerSpec, end: str) -> list[tuple[str, bool, set[str]]]:
    """Give a worker every order of a launch, and then its end; return its status and the metrics after each."""
    worker, found = launcher.fork(spec, 0, 60), []
    for order, arguments in CONVERSATION:
        metrics = {sample.metric for sample in worker.ask(order, **arguments)}
        found.append((worker.status, worker.alive, metrics))
    getattr(worker, end)()
    return [*found, (worker.status, worker.alive, set())]


@pytest.mark.parametrize("end", ["finish", "kill"])
def test_the_fake_worker_of_other_tests_does_as_a_real_one(server: ForkServer, tmp_path: Path, end: str) -> None:
    spec = calibration("noop", tmp_path)
    with FakeLaunches()(1, tmp_path, CodeVersion(), ALONE) as fake:
        real, faked = told(server, spec, end), told(fake, spec, end)
    assert [one[:2] for one in faked] == [one[:2] for one in real]
    assert all(one[2] <= other[2] for one, other in zip(faked, real, strict=True))
    assert faked[-1][:2] == (OK, False)


def test_a_fake_worker_that_fails_ends_as_a_real_one(server: ForkServer, tmp_path: Path) -> None:
    spec = calibration("noop", tmp_path)
    with FakeLaunches({"noop": Script(end=End("check", "error: never prepared"))})(
        1, tmp_path, CodeVersion(), ALONE
    ) as fake:
        for launcher in (server, fake):
            one = launcher.fork(spec, 0, 60)
            one.ask("check")
            before = one.status, bool(one.message), one.alive
            one.finish()
            one.kill()
            assert (one.status, bool(one.message), one.alive) == before == (ERROR, True, False)
