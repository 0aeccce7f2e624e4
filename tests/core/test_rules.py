from __future__ import annotations

import tomllib

import pytest

from harness.core.case import Case
from harness.core.errors import UsageError
from harness.core.metric import METRICS, Metric
from harness.core.rules import Limit, Rules, apply_margin, parse_rules

TEXT = """
fdr = "10%"
margin = "3%"

[metric.time]
floor = 1e-5
[metric.peak_memory]
margin = "10%"
[workload.attention.peak_memory]
margin = "20%"

[[accept]]
case = "attention/naive[*]"
reason = "a check was added"
commit = "abc123"
up_to = "8%"
"""


def rules(text: str) -> Rules:
    return parse_rules("rules.toml", tomllib.loads(text))


def test_a_limit_comes_from_the_metric_then_the_file_then_the_workload() -> None:
    found = rules(TEXT)
    assert found.limit("other", METRICS["time"]) == Limit(0.03, 1e-5)
    assert found.limit("other", METRICS["peak_memory"]) == Limit(0.1, float(1 << 20))
    assert found.limit("attention", METRICS["peak_memory"]) == Limit(0.2, float(1 << 20))
    assert Rules().limit("other", METRICS["time"]) == Limit(0.01, 0.0)
    assert found.fdr == 0.1


def test_the_margin_of_the_command_line_is_for_what_is_timed_and_stands_above_the_file() -> None:
    found = apply_margin(rules(TEXT), "5%", None)
    assert found.limit("other", METRICS["time"]).margin == 0.05
    assert found.limit("other", METRICS["peak_memory"]).margin == 0.1


@pytest.mark.parametrize(
    ("base", "new", "exceeded"),
    [(1.0, 1.02, True), (1.0, 0.98, True), (1.0, 1.009, False), (0.01, 0.02, False), (0.0, 1.0, True)],
)
def test_a_change_matters_beyond_both_the_margin_and_the_floor(base: float, new: float, exceeded: bool) -> None:
    assert Limit(0.01, 0.015).exceeded(base, new) is exceeded


def test_an_accepted_change_names_its_cases_with_stars_and_brackets_as_they_are() -> None:
    (one,) = rules(TEXT).accepted
    assert one.covers("attention/naive[seq=8]", "time")
    assert not one.covers("attention/naive2[seq=8]", "time")
    assert not one.covers("attention/naive[seq=8]", "peak_memory")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("margni = '1%'", "unknown key 'margni'; did you mean 'margin'?"),
        ("margin = 'much'", "rules.toml: margin: expected a percentage"),
        ("[metric.tiem]\nmargin='1%'", "unknown metric 'tiem'; did you mean 'time'?"),
        ("[metric.time]\nflor=1", "unknown key 'flor'; did you mean 'floor'?"),
        ("[metric.time]\nfloor='1 ms'", "time.floor: expected a number of at least 0 in the metric's unit"),
        ("[metric]\ntime=1", "time must be a table"),
        ("[[accept]]\ncase='a'", "an [[accept]] needs reason, commit"),
        ("accept='all'", "accept must be written as [[accept]] tables"),
    ],
)
def test_what_no_rule_has_is_named_with_the_nearest(text: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        rules(text)
    assert message in str(error.value)


ACCEPT = "[[accept]]\ncase='*'\nreason='r'\ncommit='c'\nmetric='tmie'"


@pytest.mark.parametrize(("text", "metric"), [("[workload.w]\ntiem={}", "tiem"), (ACCEPT, "tmie")])
def test_a_rule_of_a_metric_that_its_workload_does_not_have_is_refused_with_the_nearest(text: str, metric: str) -> None:
    cases, found = [Case("w", "base", ())], rules(text)
    with pytest.raises(UsageError, match=f"rules.toml: unknown metric of w '{metric}'; did you mean 'time'?"):
        found.check(cases, {})
    found.check(cases, {"w": {metric: Metric(metric, "1", "lower", "of its own")}})
    found.check([], {})
