from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.analysis.compare import compare_runs
from harness.analysis.decision import Decision, decide_gate
from harness.analysis.interval import Interval
from harness.analysis.verdict import Contrast, judge_comparisons
from harness.core.case import Case
from harness.core.rules import Acceptance, Limit, Rules
from harness.core.run import Run

Record = Callable[..., Run]
Draw = Callable[..., list[list[float]]]
ACCEPTED = Acceptance("work/base[*]", "it checks its input now", "c0ffee", up_to=0.08)


def decided(base: Run, new: Run, *accepted: Acceptance, lineage: tuple[str, ...] = ()) -> Decision:
    rules = replace(Rules(), accepted=accepted)
    return decide_gate(compare_runs(base, new, rules), rules, lineage)


@pytest.mark.parametrize(
    ("times", "code"),
    [
        ({"factor": 1.0}, 0),
        ({"factor": 0.9}, 0),
        ({"factor": 1.1}, 1),
        ({"spread": 0.1}, 3),
        ({"factor": 0.96, "spread": 0.06}, 0),
        ({"launches": 2}, 3),
    ],
)
def test_the_exit_code_tells_what_the_data_allow(
    record: Record, draw: Draw, times: dict[str, float], code: int
) -> None:
    launches, spread = int(times.get("launches", 5)), times.get("spread", 0.002)
    base = record({"base": draw(1, spread=spread, launches=launches)})
    new = record({"base": draw(2, times.get("factor", 1.0), spread=spread, launches=launches)})
    assert decided(base, new).code == code


def test_an_open_verdict_that_rules_a_slowdown_out_holds_nothing_up(record: Record, draw: Draw) -> None:
    base, new = record({"base": draw(1, spread=0.02)}), record({"base": draw(2, 0.993, spread=0.02)})
    report = compare_runs(base, new, Rules())
    assert [row.verdict for row in report.rows] == ["inconclusive"]
    assert decide_gate(report, Rules(), ()).code == 0


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ("ok", "crashed: died", 1),
        ("crashed: died", "crashed: died", 0),
        ("ok", "skipped: needs CUDA", 3),
        ("crashed: died", "ok", 0),
    ],
)
def test_failures_decide_too(record: Record, draw: Draw, before: str, after: str, code: int) -> None:
    sides = [
        record({"base": draw(1), "other": draw(seed) if status == "ok" else status})
        for seed, status in ((2, before), (3, after))
    ]
    assert decided(*sides).code == code


def test_a_number_that_is_none_is_undecided(record: Record, draw: Draw) -> None:
    sides = [record({"base": draw(1)}, extra={"max_abs_error": value}) for value in (1e-3, math.nan)]
    assert decided(*sides).code == 3


def test_another_machine_is_undecided(record: Record, draw: Draw) -> None:
    assert decided(record({"base": draw(1)}), record({"base": draw(1)}, cpu_model="Other")).code == 3


def test_a_change_accepted_on_purpose_passes_up_to_its_size_and_no_further(record: Record, draw: Draw) -> None:
    base = record({"base": draw(1)})
    within, beyond = record({"base": draw(2, 1.05)}), record({"base": draw(3, 1.2)})
    assert decided(base, within).code == 1
    decision = decided(base, within, ACCEPTED)
    assert (decision.code, [one.reason for _, one in decision.accepted]) == (0, ["it checks its input now"])
    assert decided(base, beyond, ACCEPTED).code == 1


def test_an_acceptance_ends_where_the_base_has_the_change_and_says_so(record: Record, draw: Draw) -> None:
    base, new = record({"base": draw(1)}), record({"base": draw(2, 1.05)})
    decision = decided(base, new, ACCEPTED, lineage=("beef", "c0ffee1234"))
    assert decision.code == 1
    assert decision.ended == ((ACCEPTED, "the base has the change already"),)


def test_an_acceptance_of_what_is_no_longer_worse_has_ended(record: Record, draw: Draw) -> None:
    decision = decided(record({"base": draw(1)}), record({"base": draw(2)}), ACCEPTED)
    assert (decision.code, decision.ended) == (0, ((ACCEPTED, "nothing is worse"),))


def test_a_gain_that_is_too_uncertain_among_many_cases_is_harmless_all_the_same() -> None:
    case, limit = Case("work", "base", ()), Limit(0.01, 0.0)
    gain = Contrast(case, "time", 1.0, 0.95, Interval(-0.05, 0.017, 10), limit, 5)
    others = [Contrast(case, "time", 1.0, 1.0, Interval(0.0, 0.02, 10), limit, 5)] * 20
    first, *rest = judge_comparisons([gain, *others], 0.05)
    assert (first.verdict, first.harmless, first.undecided) == ("inconclusive", True, False)
    assert all(row.undecided for row in rest)
