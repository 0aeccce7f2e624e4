from __future__ import annotations

import json
import re
from typing import Any

import pytest

from harness.core.errors import UsageError
from harness.core.metric import (
    METRICS,
    Metric,
    find_metric,
    find_recorded_metric,
    format_value,
    index_by_name,
    read_declared,
    write_declared,
)
from harness.core.workload import Reference, Workload


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.00123456, "s", "1.23 ms"),
        (4.2e-8, "s", "42.0 ns"),
        (3.659, "s", "3.66 s"),
        (0.9999, "s", "1.00 s"),
        (17 << 20, "B", "17.0 MiB"),
        (4112 << 20, "B", "4.02 GiB"),
        (512, "B", "512 B"),
        (1.82e11, "FLOP/s", "182 GFLOP/s"),
        (3.1e-7, "1", "3.1e-07"),
        (0.0, "s", "0 s"),
        (float("nan"), "s", "nan"),
    ],
)
def test_values_are_written_for_people(value: float, unit: str, text: str) -> None:
    assert format_value(value, unit) == text


def test_every_metric_is_keyed_by_its_own_name_and_has_a_unit_and_a_direction() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.unit
        assert metric.better in ("lower", "higher", None)


def test_a_mistyped_name_is_an_error_with_the_nearest_and_no_new_metric() -> None:
    with pytest.raises(UsageError, match=re.escape("unknown metric 'tmie'; did you mean 'time'?")):
        find_metric("tmie")
    assert find_metric("time") is METRICS["time"]


def test_a_recorded_value_of_a_metric_that_nobody_declared_is_a_plain_number() -> None:
    found = find_recorded_metric("wrong_elements", {})
    assert (found.unit, found.better, found.exact, found.label) == ("1", None, True, "wrong elements")
    declared = {"wrong_elements": Metric("wrong_elements", "B", "lower", "wrong")}
    assert find_recorded_metric("wrong_elements", declared) is declared["wrong_elements"]


def test_no_two_metrics_are_called_the_same() -> None:
    labels = [metric.label for metric in METRICS.values()]
    assert sorted(labels) == sorted(set(labels))
    assert all(label.isprintable() and label for label in labels)


def test_declared_metrics_are_read_back_as_they_were_written() -> None:
    declared = {"work": index_by_name([Metric("kept", "B", "higher", "what is kept", 0.1, 2.0, label="kept bytes")])}
    assert read_declared(json.loads(json.dumps(write_declared(declared)))) == declared


def declare(metrics: Any) -> Workload:
    declared = tuple(Metric(name, "1", better, "x") for name, better in metrics)
    return Workload("work", "w", (), lambda p, d, g: None, Reference, "base", metrics=declared)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ([("time", None)], "metric 'time' is the harness's own; choose another name"),
        ([("kept", None), ("kept", None)], "metric 'kept' is declared twice"),
        ([("a b", None)], "metric 'a b' needs a name such as 'tokens_kept'"),
        ([("kept", "more")], "metric 'kept': better is 'more'; write 'lower', 'higher' or None"),
    ],
)
def test_a_workload_refuses_metrics_that_could_be_taken_for_others(metrics: Any, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        declare(metrics)
