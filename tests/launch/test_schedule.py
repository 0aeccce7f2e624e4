"""The schedule of a run: who is told what, in which order, in which launch, and on which side."""

from __future__ import annotations

from collections import Counter

import pytest

from harness.core.case import Group, PlannedCase
from harness.core.trial import ERROR, INCORRECT, OK, SKIPPED, Launch, Trial
from harness.detect import count_usable_cpus
from harness.launch.controller.schedule import Progress
from tests.launch.schedules import (
    PAIR,
    UNEVEN,
    case,
    group,
    measured,
    statuses,
    trials,
    turns,
)
from tests.support.launcher import End, FakeLaunches, Script


def test_every_case_has_one_turn_a_round_in_an_order_that_varies() -> None:
    names, fake = ["a", "b", "c"], FakeLaunches()
    assert statuses(measured(fake, group(*names))) == {"a": [OK], "b": [OK], "c": [OK]}
    order = turns(fake)
    rounds = [tuple(order[i : i + 3]) for i in range(0, len(order), 3)]
    assert all(sorted(one) == names for one in rounds)
    assert len(set(rounds)) > 1
    numbers = [one.arguments["round"] for one in fake.orders if one.name == "turn"]
    assert numbers == [number for number in range(len(rounds)) for _ in names]


def test_the_seed_fixes_the_order_and_each_launch_and_group_has_another() -> None:
    def orders(seed: int) -> list[list[str]]:
        """Return the turns of each launch of each group."""
        fake = FakeLaunches()
        measured(fake, group("a", "b", "c"), group("a", "b", "c", n=8), seed=seed, launches=2)
        every = turns(fake)
        return [every[i : i + 60] for i in range(0, 240, 60)]

    first, again, other = (orders(seed) for seed in (5, 5, 6))
    assert first == again
    assert all(one != two for one, two in zip(first, other, strict=True))
    assert len({tuple(one) for one in first}) == 4


def test_cases_that_do_not_fit_side_by_side_run_one_after_the_other_and_say_so() -> None:
    fake = FakeLaunches()
    events = measured(fake, group("a", "b", interleaved=False))
    assert turns(fake) == ["a"] * 20 + ["b"] * 20
    last_of_a = max(i for i, (name, _) in enumerate(fake.given()) if name == "a")
    assert fake.given()[last_of_a + 1] == ("b", "prepare")
    for (trial,) in trials(events).values():
        timed = [sample for sample in trial.samples if sample.metric == "time"]
        assert timed
        assert all("not_interleaved" in sample.flags for sample in timed)


def test_cases_side_by_side_do_not_say_that_they_are_not() -> None:
    (trial,) = trials(measured(FakeLaunches(), group("a", "b")))["b"]
    assert {sample.flags for sample in trial.samples} == {""}


def test_a_precise_case_takes_no_more_turns_and_the_others_go_on_until_their_budget() -> None:
    fake = FakeLaunches({"even": Script(turn_s=0.25), "uneven": Script(UNEVEN, turn_s=0.25)})
    measured(fake, group("even", "uneven"), budget_s=10.0)
    assert Counter(turns(fake)) == {"even": 20, "uneven": 40}
    assert set(turns(fake)[40:]) == {"uneven"}


def test_the_budget_is_divided_among_the_launches_and_warming_up_takes_a_part_of_it() -> None:
    fake = FakeLaunches({"uneven": Script(UNEVEN, turn_s=0.25)})
    measured(fake, group("uneven"), budget_s=10.0, launches=2)
    assert Counter((one.launch, one.name) for one in fake.orders if one.name == "turn") == {
        (0, "turn"): 20,
        (1, "turn"): 20,
    }
    assert [one.arguments for one in fake.orders if one.name == "warm_up"] == [{"limit_s": 1.0}] * 2


@pytest.mark.parametrize(("launches", "rounds"), [(1, 5), (2, 3), (5, 1), (7, 1)])
def test_a_case_beyond_its_budget_has_five_rounds_all_the_same(launches: int, rounds: int) -> None:
    fake = FakeLaunches({"long": Script(turn_s=100.0)})
    measured(fake, group("long"), budget_s=1.0, launches=launches)
    assert Counter(one.launch for one in fake.orders if one.name == "turn") == dict.fromkeys(range(launches), rounds)


def test_only_its_own_turns_are_taken_from_a_budget() -> None:
    fake = FakeLaunches({"long": Script(turn_s=100.0), "uneven": Script(UNEVEN, turn_s=0.25)})
    measured(fake, group("long", "uneven"), budget_s=10.0)
    assert Counter(turns(fake)) == {"long": 5, "uneven": 40}


def test_a_worker_is_told_its_case_and_the_policy() -> None:
    fake = FakeLaunches()
    measured(fake, group("a"), seed=3, threads=2, timeout_s=7.0)
    assert len(fake.workers) == 3
    for worker in fake.workers:
        spec = worker.spec
        assert (spec.workload, spec.implementation, spec.params) == ("work", "a", {"n": 4})
        assert (spec.device, spec.mode, spec.threads, spec.seed, spec.world_size) == ("cpu", "host", 2, 3, 1)
        assert worker.timeout_s == 7.0
    assert len({worker.spec.reference for worker in fake.workers}) == 1
    assert fake.opened[0].threads == 2


def test_the_memory_of_a_worker_is_limited_to_what_the_others_leave_and_at_least_to_what_it_needs() -> None:
    fake = FakeLaunches()
    huge = PlannedCase(case("huge"), memory=1 << 60)
    measured(fake, Group("work[n=4]", "small", (PlannedCase(case("small")), huge)))
    _reference, small, _, large, _ = fake.workers
    assert (small.memory_limit, large.memory_limit) == (1 << 30, 1 << 60)
    assert small.spec.implementation == "small"


def test_on_cuda_there_is_no_limit_of_memory() -> None:
    fake = FakeLaunches()
    measured(fake, group("a"), device="cuda:0", mode="cold")
    assert {worker.memory_limit for worker in fake.workers} == {0}


def test_ranks_share_the_threads_and_more_of_them_than_cores_are_flagged() -> None:
    fake, ranks = FakeLaunches(), count_usable_cpus() + 1
    found = trials(measured(fake, group("a", world_size=ranks), group("a", n=8), threads=2 * ranks))["a"]
    flags = [{sample.flags for sample in trial.samples if sample.metric == "time"} for trial in found]
    assert flags == [{"contended_ranks"}, {""}]
    asked = [(worker.spec.world_size, worker.spec.threads) for worker in fake.workers]
    # The reference is computed by one process with all the threads.
    assert asked == [(1, 2 * ranks), (ranks, 2), (ranks, 2), *[(1, 2 * ranks)] * 3]


def test_each_launch_is_one_launcher_for_each_side_and_is_kept() -> None:
    fake = FakeLaunches()
    events = measured(fake, group("a"), launches=3, sides=PAIR)
    assert [launcher.side for launcher in fake.opened] == [*PAIR] * 3
    kept = [(side, event.index, event.runtime) for side, event in events if isinstance(event, Launch)]
    assert kept == [(side, index, {"torch_threads": 1}) for index in range(3) for side in (0, 1)]


def test_a_case_that_is_skipped_is_a_row_on_each_side_and_has_no_worker() -> None:
    fake = FakeLaunches()
    skipped = PlannedCase(case("cuda"), skip="needs CUDA")
    planned = Group("work[n=4]", "a", (PlannedCase(case("a")), skipped))
    events = measured(fake, planned, launches=2, sides=PAIR)
    for side in (0, 1):
        assert statuses(events, side) == {"a": [OK, OK], "cuda": [SKIPPED]}
        assert trials(events, side)["cuda"][0].message == "needs CUDA"
    assert {worker.spec.implementation for worker in fake.workers} == {"a"}


def test_what_is_finished_is_not_repeated_and_a_launch_without_work_is_not_opened() -> None:
    planned = group("a", "b", "bad", "cuda")
    finished = [
        Trial(case("a"), 0),
        Trial(case("b"), 0),
        Trial(case("bad"), 0, ERROR),
        Trial(case("cuda"), 0, SKIPPED),
        Trial(case("a"), 1),
    ]
    fake = FakeLaunches()
    events = measured(fake, planned, launches=3, finished=[finished])
    assert [event.index for _, event in events if isinstance(event, Launch)] == [1, 2]
    assert {name: [one.launch for one in those] for name, those in trials(events).items()} == {"b": [1, 2], "a": [2]}
    assert fake.given("memory") == []  # that belongs to the first launch, which is over


def test_each_side_lacks_what_it_lacks() -> None:
    fake = FakeLaunches()
    finished = [[Trial(case("a"), 0)], []]
    events = measured(fake, group("a", "b"), sides=PAIR, finished=finished)
    assert [sorted(trials(events, side)) for side in (0, 1)] == [["b"], ["a", "b"]]


def test_a_run_that_lacks_nothing_opens_nothing() -> None:
    fake = FakeLaunches()
    assert measured(fake, group("a"), finished=[[Trial(case("a"), 0)]]) == []
    assert fake.opened == []


def test_a_case_that_was_given_more_launches_has_them_alone() -> None:
    fake = FakeLaunches()
    longer = PlannedCase(case("b"), launches=4)
    planned = Group("work[n=4]", "a", (PlannedCase(case("a")), longer))
    events = measured(fake, planned, launches=2)
    assert {name: [one.launch for one in those] for name, those in trials(events).items()} == {
        "a": [0, 1],
        "b": [0, 1, 2, 3],
    }


def test_the_sides_of_a_case_take_turns_in_the_same_rounds_and_each_has_its_own_rows() -> None:
    fake = FakeLaunches({"a base": Script((1e-3,)), "a new": Script((3e-3,))})
    events = measured(fake, group("a", "b"), sides=PAIR)
    order = turns(fake)
    every = ["a base", "a new", "b base", "b new"]
    assert all(sorted(order[i : i + 4]) == every for i in range(0, len(order), 4))
    assert [trials(events, side)["a"][0].samples[-2].value for side in (0, 1)] == [1e-3, 3e-3]


def test_sides_of_a_case_take_turns_also_where_the_cases_do_not() -> None:
    fake = FakeLaunches()
    measured(fake, group("a", "b", interleaved=False), sides=PAIR)
    order = turns(fake)
    assert [sorted(order[i : i + 2]) for i in range(0, len(order), 2)] == (
        [["a base", "a new"]] * 20 + [["b base", "b new"]] * 20
    )


def test_a_failure_on_one_side_is_none_of_the_other() -> None:
    fake = FakeLaunches({"a new": Script(end=End("check", "incorrect: wrong"))})
    events = measured(fake, group("a", "b"), sides=PAIR, launches=2)
    assert statuses(events, 0) == {"a": [OK, OK], "b": [OK, OK]}
    assert statuses(events, 1) == {"a": [INCORRECT], "b": [OK, OK]}


def test_a_side_without_a_reference_leaves_the_other_alone() -> None:
    fake = FakeLaunches({"a base": Script(end=End("prepare", "skipped: not in this revision"))})
    events = measured(fake, group("a", "b"), sides=PAIR)
    assert statuses(events, 0) == {"a": [SKIPPED], "b": [SKIPPED]}
    assert statuses(events, 1) == {"a": [OK], "b": [OK]}


def test_progress_names_the_case_its_side_and_launch_and_the_share_only_grows() -> None:
    told: list[Progress] = []
    scripts = {"a": Script(UNEVEN, turn_s=0.25), "b new": Script(end=End("check", "error: no"))}
    measured(FakeLaunches(scripts), group("a", "b"), group("c", n=8), told=told, launches=2, sides=PAIR, budget_s=10.0)
    shares = [one.share for one in told]
    assert shares == sorted(shares)
    assert (shares[0], 0.5 < shares[-1] <= 1) == (0, True)
    assert {one.case for one in told if one.doing == "turn"} == {
        "work/a[n=4] base",
        "work/a[n=4] new",
        "work/b[n=4] base",
        "work/c[n=8] base",
        "work/c[n=8] new",
    }
    assert [one.case for one in told if one.doing == "reference"] == ["work[n=4]"] * 2 + ["work[n=8]"] * 2
    assert {(one.launch, one.launches) for one in told} == {(0, 2), (1, 2)}
    halfway = [one.share for one in told if (one.launch, one.case) == (0, "work/c[n=8] new")]
    assert halfway[0] >= 0.25
