"""Gangs of real ranks through the real command: what is reported of them, and how they end."""

from __future__ import annotations

import os

import psutil
import pytest

from harness.core.run import Run
from harness.core.trial import CRASHED, ERROR, INCORRECT, OK, TIMEOUT, Trial
from harness.store.read import read_run
from tests.support.command import bench

PLUG_IN = '''
from __future__ import annotations
import os
import signal
import stat
import time
import torch
from harness import Axis, Check, Metric, Reference, Requires, Workload, implementation

def examine(output, truth):
    rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
    return Check({"agreed": 3.0 - rank, "strayed": float(rank)})

axes = (Axis.integer("n", 3, "Rows."),)
work = Workload("work", "Sum.", axes, lambda p, d, g: torch.rand(p["n"], generator=g), lambda x: Reference(3 * x),
                "alone", examine=examine, metrics=(Metric("agreed", "1", "higher", "ranks that agree"),))
ranks = Requires(world_size=lambda params: 3)

taken = []

class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no words")

def summed(x):
    y = x.clone()
    torch.distributed.all_reduce(y)
    return y

def only(rank, act):
    """Return a step that sums, before which one rank acts from its third call on."""
    calls = 0
    def make(x):
        def step():
            nonlocal calls
            calls += 1
            if calls > 2 and torch.distributed.get_rank() == rank:
                act()
            return summed(x)
        return step
    return make

@implementation("work")
def alone(x):
    """One process."""
    return lambda: 3 * x

@implementation("work", requires=ranks)
def a_sums(x):
    """Sum."""
    return lambda: summed(x)

@implementation("work", requires=ranks)
def b_is_killed(x):
    """Sum, with a rank that dies."""
    return only(1, lambda: os.kill(os.getpid(), signal.SIGKILL))(x)

@implementation("work", requires=ranks)
def c_raises(x):
    """Sum, with a rank that fails."""
    def fail():
        raise ValueError("not today")
    return only(2, fail)(x)

@implementation("work", requires=ranks)
def d_hangs(x):
    """Sum, with a rank that never comes."""
    return only(1, lambda: time.sleep(3600))(x)

@implementation("work", requires=ranks)
def e_wrong_on_one(x):
    """Sum, and one rank has something else."""
    return lambda: summed(x) + (torch.distributed.get_rank() == 2)

@implementation("work", requires=ranks)
def g_goes_on(x):
    """Sum, after which one rank has more to do the first time."""
    def step():
        time.sleep(0.02)
        y = summed(x)
        if torch.distributed.get_rank() == 1 and not taken:
            time.sleep(0.15)
        taken.append(y)
        return y
    return step

@implementation("work", requires=ranks)
def h_raises_unspeakable(x):
    """Sum, with a rank whose error cannot be written."""
    def fail():
        raise Unspeakable
    return only(2, fail)(x)

@implementation("work", requires=ranks)
def i_answers_itself(x):
    """Sum, with a rank that writes to the leader."""
    def write():
        for name in os.listdir("/proc/self/fd"):
            if os.path.exists("/proc/self/fd/" + name) and stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                os.write(int(name), b"[]\\n")
    return only(1, write)(x)

@implementation("work", requires=ranks)
def j_loses_count(x):
    """Sum, with a leader that has waited for a rank that dies."""
    def wait():
        os.waitpid(-1, 0)
    def die():
        os._exit(3)
    first, second = only(0, wait)(x), only(1, die)(x)
    return lambda: first() if torch.distributed.get_rank() == 0 else second()

@implementation("work", requires=ranks)
def k_kills_its_parent(x):
    """Sum, with a rank that kills what forked it: the leader, or its host's fork server."""
    return only(1, lambda: os.kill(os.getppid(), signal.SIGKILL))(x)

@implementation("work", requires=ranks)
def f_lags(x):
    """Sleep, one rank longer, and wait for nobody."""
    def step():
        time.sleep(0.05 if torch.distributed.get_rank() == 1 else 0.001)
        return 3 * x
    return step
'''


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run all of them one after the other, and see that nothing is left."""
    place = tmp_path_factory.mktemp("gang")
    (place / "mine.py").write_text(PLUG_IN)
    options = ("--load", "mine.py", "--launches", "1", "--budget", "0.2s", "--timeout", "6s", "--threads", "2")
    done = bench("run", "work", *options, cwd=place)
    assert done.returncode == 1, done.stderr
    assert [one for one in psutil.process_iter() if carries(one, str(place))] == []
    (folder,) = (place / "results").iterdir()
    return read_run(folder)


def carries(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get("TMPDIR") == mark
    except psutil.Error:
        return False


def trial(run: Run, name: str) -> Trial:
    (found,) = [one for one in run.trials if one.case.implementation == name]
    return found


def values(trial: Trial, metric: str) -> list[float]:
    return [sample.value for sample in trial.samples if sample.metric == metric]


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("a_sums", OK, ""),
        ("b_is_killed", CRASHED, "rank 1 died of SIGKILL"),
        ("c_raises", ERROR, "rank 2: "),
        ("c_raises", ERROR, "ValueError: not today"),
        ("d_hangs", TIMEOUT, "no answer within the 6 s"),
        ("e_wrong_on_one", INCORRECT, "rank 2: max_abs_error 1 exceeds 0"),
        ("f_lags", OK, ""),
        ("g_goes_on", OK, ""),
        ("h_raises_unspeakable", ERROR, "Unspeakable, whose text raises RuntimeError"),
        ("i_answers_itself", ERROR, "rank 1: something other than the worker's reply"),
        ("j_loses_count", CRASHED, "rank 1 ended"),
        ("k_kills_its_parent", CRASHED, "died of SIGKILL"),
    ],
)
def test_the_end_of_a_rank_is_the_end_of_its_case_and_of_no_other(run: Run, name: str, status: str, words: str) -> None:
    found = trial(run, name)
    assert (found.status, words in found.message) == (status, True), found.message


def test_the_slowest_rank_is_what_counts_and_each_is_kept(run: Run) -> None:
    found = trial(run, "f_lags")
    times, ranks = values(found, "time"), values(found, "rank_time")
    assert min(times) > 0.049
    assert len(ranks) == 3 * len(times)
    for index, slowest in enumerate(times):
        leader, laggard, last = ranks[3 * index : 3 * index + 3]
        assert slowest == laggard > max(leader, last)
    assert len(values(found, "start_skew")) == len(times)


def test_more_ranks_than_cores_are_flagged(run: Run) -> None:
    cores = len(os.sched_getaffinity(0))
    (flags,) = {sample.flags for sample in trial(run, "f_lags").samples if sample.metric == "time"}
    assert ("contended_ranks" in flags) == (cores < 3)
    assert not any("contended_ranks" in sample.flags for sample in trial(run, "alone").samples)


def test_of_a_metric_of_the_workload_the_worst_of_all_ranks_counts(run: Run) -> None:
    found = trial(run, "a_sums")
    assert (values(found, "agreed"), values(found, "strayed")) == ([1.0], [2.0])
