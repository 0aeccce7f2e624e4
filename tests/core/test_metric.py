from __future__ import annotations

import pytest

from harness.core.metric import METRICS, format_value


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
