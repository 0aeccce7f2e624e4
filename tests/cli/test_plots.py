"""Plots of text: what is where, whether it fits, and whether it is said what they leave out."""

from __future__ import annotations

import math

import pytest

from harness.terminal.plots import BLOCKS, Bar, draw_bar_chart, draw_histogram, draw_scaling, draw_sparkline


def bar(name: str, value: float, reach: float = math.nan) -> Bar:
    return Bar(name, value, value / reach, value * reach, f"{1e3 * value:g} ms")


def drawn(line: str) -> str:
    """Return what is between the name of a bar and its number."""
    return line.split("  ", 1)[1].rsplit("  ", 1)[0]


def test_bars_begin_at_zero_and_are_as_long_as_their_times() -> None:
    title, one, two, axis = draw_bar_chart([bar("one", 1e-3), bar("two", 2e-3)], "s", 80).plain.splitlines()
    assert title == "time with its interval"
    assert two.index("●") - len("one  ") == pytest.approx(2 * (one.index("●") - len("one  ")), abs=1)
    assert drawn(one).rstrip().strip("█") == "●"
    assert axis.split() == ["0", "2.00", "ms"]
    assert (one.endswith("  1 ms"), two.endswith("  2 ms")) == (True, True)


def test_an_interval_is_drawn_about_its_time_on_the_scale_of_all() -> None:
    _, one, two, _ = draw_bar_chart([bar("one", 1e-3, 1.5), bar("two", 2e-3, 1.1)], "s", 80).plain.splitlines()
    assert one.index("├") < one.index("●") < one.index("┤")
    assert one.index("┤") < two.index("├")  # 1.5 ms and 1.8 ms
    assert two.index("┤") - two.index("├") < one.index("┤") - one.index("├")


def test_times_that_are_far_apart_have_a_log_scale_which_is_said() -> None:
    values = [bar("a", 1e-6), bar("b", 1e-4), bar("c", 1e-2)]
    title, *lines, axis = draw_bar_chart(values, "s", 80).plain.splitlines()
    assert title.endswith("log scale: the longest is 10000 times the shortest")
    first, second, third = (line.index("●") for line in lines)
    assert second - first == pytest.approx(third - second, abs=1)
    assert "█" not in "".join(lines)  # a bar would begin somewhere, and there is no zero
    assert axis.split() == ["1.00", "us", "10.0", "ms"]
    assert "log" not in draw_bar_chart(values[:1], "s", 80).plain


def test_an_interval_without_end_does_not_press_the_others_together() -> None:
    wide = Bar("wide", 1e-3, 0.0, math.inf, "1 ms")
    _, one, other, _ = draw_bar_chart([wide, bar("other", 1e-3, 1.2)], "s", 80).plain.splitlines()
    assert "●" in one
    assert other.index("┤") - other.index("├") > 8
    _, one, other, _ = draw_bar_chart([bar("wide", 1e-3, 1e6), bar("other", 1e-3, 1.2)], "s", 80).plain.splitlines()
    assert drawn(one).endswith(">")
    assert other.index("┤") - other.index("├") > 8


@pytest.mark.parametrize("width", [40, 80, 110])
def test_every_line_fits_the_width_whatever_the_names(width: int) -> None:
    names = ["a", "an implementation with a name as long as a sentence", "名前" * 30]  # the last are two cells each
    chart = draw_bar_chart([bar(name, 1e-3, 1.1) for name in names], "s", width)
    lines = {name: [1e-3] * 30 for name in names}
    for text in (chart, draw_scaling("n", range(1, 31), lines, "s", width)):
        assert all(line.cell_len <= width for line in text.split("\n"))
    assert "an implem" in chart.plain
    assert "…" in chart.plain
    assert all(line.cell_len <= 80 for line in draw_histogram("name", [[1e-3, 1.1e-3] * 20], "s", 80).split("\n"))


def test_a_histogram_shows_where_rounds_are_and_the_median_of_each_launch() -> None:
    low, high = [1.0e-3] * 9, [2.0e-3] * 3
    strip, marks = draw_histogram("name", [low, low, high], "s", 80).plain.splitlines()
    start = strip.index("█")
    assert strip.startswith("name   1.00 ms █")
    assert strip[start:].split(" 2.00 ms")[0].strip(" ") == "█" + " " * 38 + "▂"
    assert strip.endswith("21 rounds")
    assert (marks[start], marks[start + 39]) == ("2", "▲")


def test_a_round_far_out_is_counted_and_does_not_hide_the_others() -> None:
    usual = [1e-3 * (1 + number / 1000) for number in range(30)]
    strip, marks = draw_histogram("name", [[*usual, 5.0], [9.0]], "s", 80).plain.splitlines()
    assert "1.03 ms" in strip
    assert strip.endswith("32 rounds, 2 beyond")
    assert sum(mark in BLOCKS for mark in strip) > 20
    assert marks.endswith(">")


@pytest.mark.parametrize("launches", [[[1e-3]], [[1e-3, 1e-3], [1e-3]], [[1e-3] * 10]])
def test_rounds_that_are_all_alike_are_one_block(launches: list[list[float]]) -> None:
    strip, marks = draw_histogram("name", launches, "s", 80).plain.splitlines()
    assert [mark for mark in strip if mark in BLOCKS] == ["█"]
    assert marks.strip() in ("▲", "2")


def test_scaling_names_the_power_of_each_line_and_draws_them_on_one_scale() -> None:
    points = [256, 512, 1024]
    lines = {
        "linear": [1e-6 * point for point in points],
        "square": [1e-8 * point**2 for point in points],
        "broken": [math.nan, 1e-3, math.nan],
    }
    head, linear, square, broken = draw_scaling("seq", points, lines, "s", 80).plain.splitlines()
    assert head.split() == ["256", "512", "1024"]
    assert linear.split() == ["linear", "256", "us", "512", "us", "1.02", "ms", "▁▂▄", "seq^1.00"]
    assert square.split()[-2:] == ["▃▅█", "seq^2.00"]
    assert broken.split() == ["broken", "-", "1.00", "ms", "-", "▄"]


def test_scaling_leaves_out_columns_that_do_not_fit_and_keeps_both_ends() -> None:
    points = [2**power for power in range(20)]
    head, line = draw_scaling("n", points, {"a": [1e-6 * point for point in points]}, "s", 80).plain.splitlines()
    assert (head.split()[0], head.split()[-1]) == ("1", "524288")
    assert 4 < len(head.split()) < 20
    assert sum(mark in BLOCKS for mark in line) == 20


def test_a_trend_is_no_mountain_of_noise() -> None:
    assert draw_sparkline([1.0, 1.001, 0.999], 10) == "▅▅▄"
    assert draw_sparkline([1.0, 2.0], 10) == "▁█"
    assert len(draw_sparkline(list(range(1, 100)), 12)) == 12
