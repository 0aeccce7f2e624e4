"""Runs over two hosts: two agents that meet on loopback, each with ranks of its own."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import subprocess
import threading
import time
from pathlib import Path

import psutil
import pytest
import torch.distributed

from harness.core.errors import HarnessError
from harness.core.run import Run
from harness.core.trial import CRASHED, ERROR, OK, TIMEOUT
from harness.launch.node import rendezvous
from harness.launch.worker.rank_handle import RankHandle
from harness.store.read import read_run
from tests.launch.test_gang import PLUG_IN, carries, trial, values
from tests.support import command

HERE = socket.gethostname()
# Implementations by their point: a fork server that dies on the second host takes its ranks of the whole group along.
CHOSEN = {
    3: ["alone", "a_sums", "b_is_killed", "c_raises", "d_hangs", "f_lags", "h_raises_unspeakable"],
    4: ["k_kills_its_parent"],
    5: ["g_goes_on"],
}


def start(place: Path, name: str, *options: str, what: str = "work") -> subprocess.Popen[str]:
    """Start the command of one host."""
    return command.start("run", what, "--load", "mine.py", "--results", name, *options, cwd=place)


def meeting_place() -> tuple[str, ...]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return "--nnodes", "2", "--rdzv", f"127.0.0.1:{free.getsockname()[1]}"


def first_to_say(processes: list[subprocess.Popen[str]], words: str) -> psutil.Process:
    """Return the process that says something first; its standard output is read no further."""
    outputs = {process.stdout: process for process in processes}
    ready, _, _ = select.select(list(outputs), [], [], 60)
    assert words in ready[0].readline()
    return psutil.Process(outputs[ready[0]].pid)


def wait_until_it_listens(pid: int) -> None:
    """Wait until a process listens."""
    end = time.monotonic() + 60
    while not any(one.status == psutil.CONN_LISTEN for one in psutil.Process(pid).net_connections()):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hosts")
    # Of three ranks the last is on the second host, and is the one to act.
    (folder / "mine.py").write_text(PLUG_IN.replace("only(1, ", "only(2, "))
    tables = (
        f'[[select]]\nworkload = "work"\nimplementations = {json.dumps(names)}\naxes.n = "{point}"\n'
        for point, names in CHOSEN.items()
    )
    (folder / "chosen.toml").write_text("\n".join(tables))
    return folder


@pytest.fixture(scope="module")
def run(place: Path) -> Run:
    """Run all of them, and see that nothing is left on either host."""
    options = ("--launches", "1", "--budget", "0.2s", "--timeout", "6s", "--threads", "2")
    options += meeting_place()
    processes = [start(place, name, *options, what="chosen.toml") for name in ("one", "two")]
    said = [process.communicate(timeout=180) for process in processes]
    assert [process.returncode for process in processes] == [1, 1], said
    assert any(f"host 2 of 2 has ranks of the run that {HERE} keeps" in out for out, _ in said)
    assert [one for one in psutil.process_iter() if carries(one, str(place))] == []
    (folder,) = [*place.glob("one/*"), *place.glob("two/*")]
    return read_run(folder)


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("a_sums", OK, ""),
        ("b_is_killed", CRASHED, f"rank 2 on {HERE}: the connection to it ended"),
        ("c_raises", ERROR, f"rank 2 on {HERE}: "),
        ("c_raises", ERROR, "ValueError: not today"),
        ("d_hangs", TIMEOUT, "no answer within the 6 s"),
        ("f_lags", OK, ""),
        ("h_raises_unspeakable", ERROR, "Unspeakable, whose text raises RuntimeError"),
        ("k_kills_its_parent", CRASHED, f"rank 2 on {HERE}: the connection to it ended"),
        ("g_goes_on", OK, ""),
    ],
)
def test_ranks_on_another_host_are_rows_like_any(run: Run, name: str, status: str, words: str) -> None:
    found = trial(run, name)
    assert (found.status, words in found.message) == (status, True), found.message


def test_the_hosts_and_the_times_of_their_ranks_are_kept(run: Run) -> None:
    assert run.environment.hosts == (HERE, HERE)
    found = trial(run, "f_lags")
    assert len(values(found, "rank_time")) == 3 * len(values(found, "time"))


def test_a_host_that_goes_away_ends_the_run_with_a_word(place: Path) -> None:
    options = ("--impl", "alone,a_sums", "--launches", "9", "--budget", "9s", *meeting_place())
    processes = [start(place, "gone", *options)]
    wait_until_it_listens(processes[0].pid)  # else the host that goes may be the one that serves it
    processes.append(start(place, "gone", *options))
    guest = first_to_say(processes, "host 2 of 2")
    for one in (guest, *guest.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            one.kill()
    said = [process.communicate(timeout=60) for process in processes]
    assert any(f"the host {HERE} is gone" in errors for _, errors in said), said


def test_a_host_that_goes_away_before_it_greets_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True)
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "3"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", store.port)):
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(rendezvous, "_GREETING_S", 0.2)
    with pytest.raises(HarnessError, match="of 3 hosts that met, 2 said nothing more"):
        rendezvous.join_hosts((), print)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--nnodes", "2"), "name the place where the hosts meet with --rdzv HOST:PORT"),
        (("--rdzv", "here:1"), "say how many hosts meet there with --nnodes"),
        (("--nnodes", "2", "--rdzv", "here"), "expected HOST:PORT"),
        (("--nnodes", "two", "--rdzv", "here:1"), "--nnodes two: expected a whole number"),
        (("--nnodes", "2", "--rdzv", "here:1", "--against", "main"), "--against takes one host"),
    ],
)
def test_hosts_that_cannot_meet_are_told_so(place: Path, options: tuple[str, ...], words: str) -> None:
    process = start(place, "none", *options)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, words in errors, len(errors.splitlines())) == (2, True, 1), errors


def test_how_far_another_clock_is_ahead_is_found() -> None:
    ours, theirs = socket.socketpair()

    def answer() -> None:
        with theirs.makefile("rw") as line:
            for _ in line:
                line.write(json.dumps({"status": OK, "at": time.monotonic() + 1000}) + "\n")
                line.flush()

    thread = threading.Thread(target=answer)
    thread.start()
    peer = RankHandle(1, ours, host="there")
    peer.compare_clocks()
    ours.shutdown(socket.SHUT_RDWR)
    thread.join()
    ours.close()
    theirs.close()
    assert abs(peer.ahead_s - 1000) <= peer.delay_s / 2 < 0.1
