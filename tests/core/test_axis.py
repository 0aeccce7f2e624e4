from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import Axis
from harness.core.axis import parse_count, parse_duration, parse_percent
from harness.core.errors import UsageError

SEQ = Axis.integer("seq", "4k", "length")
DTYPE = Axis.choice("dtype", ("fp32", "fp16", "bf16"), "bf16", "precision")


@pytest.mark.parametrize(
    ("text", "value"),
    [("8k", 8192), ("1_024", 1024), ("64MiB", 64 << 20), ("64m", 64 << 20), ("1.5k", 1536), ("2e3", 2000), ("7", 7)],
)
def test_counts_are_read_with_binary_suffixes(text: str, value: int) -> None:
    assert parse_count(text) == value


@pytest.mark.parametrize("text", ["0", "-1", "8kk", "k", "", "1.5", "nan", "inf", "1e-3", "8 k"])
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="whole number"):
        parse_count(text)


@given(st.integers(min_value=1, max_value=10**15))
def test_any_count_survives_being_written_out(value: int) -> None:
    assert parse_count(str(value)) == value
    assert parse_count(f"{value:_}") == value


@pytest.mark.parametrize(
    ("text", "seconds"), [("500us", 5e-4), ("10ms", 0.01), ("30s", 30.0), ("5m", 300.0), ("1h", 3600.0), ("2", 2.0)]
)
def test_durations_are_kept_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


def test_zero_is_no_duration() -> None:
    with pytest.raises(ValueError, match="above zero"):
        parse_duration("0s")


def test_percentages_are_kept_as_fractions() -> None:
    assert parse_percent("2%") == parse_percent("2") == 0.02


def test_a_sweep_keeps_its_order_and_drops_repetitions() -> None:
    assert SEQ.values("1k, 2k,1024,4k") == (1024, 2048, 4096)


@pytest.mark.parametrize("text", ["1k,,2k", "1k,", ""])
def test_a_sweep_with_an_empty_part_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match="--seq"):
        SEQ.values(text)


def test_a_wrong_choice_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown value 'bf61'; did you mean 'bf16'\?"):
        DTYPE.values("bf61")


@pytest.mark.parametrize(("text", "value"), [("true", True), ("OFF", False), ("1", True), ("no", False)])
def test_booleans(text: str, value: bool) -> None:
    assert Axis.boolean("causal", False, "mask").values(text) == (value,)
