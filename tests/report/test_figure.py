"""What every figure shares: colours that all readers can tell apart, axes, and intervals."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from harness.report.figure import (
    COLOURS,
    DASHES,
    SYMBOLS,
    choose_looks,
    draw_error_bars,
    make_log_axis,
    make_ratio_axis,
)
from harness.report.study import build_study

# Machado, Oliveira and Fernandes 2009, table 1, severity 1: linear RGB as the three deficiencies see it.
DEFICIENCIES = {
    "none": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def linear(colour: str) -> np.ndarray:
    rgb = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear RGB under D65 (IEC 61966-2-1)."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(np.clip(to_xyz @ np.clip(rgb, 0, 1), 1e-6, None) / np.array([0.9505, 1.0, 1.089]))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eye", DEFICIENCIES)
def test_colours_are_told_apart_by_every_eye(eye: str) -> None:
    seen = [lab(DEFICIENCIES[eye] @ linear(colour)) for colour in COLOURS]
    nearest = min(float(np.linalg.norm(one - other)) for one, other in itertools.combinations(seen, 2))
    assert nearest > 18, f"two colours are {nearest:.1f} apart"


@pytest.mark.parametrize("background", ["#ffffff", "#14181f"])
def test_every_colour_stands_out_from_the_paper(background: str) -> None:
    def luminance(colour: str) -> float:
        return float(linear(colour) @ np.array([0.2126, 0.7152, 0.0722]))

    for colour in COLOURS:
        light, dark = sorted((luminance(colour), luminance(background)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 2.5, colour


def test_implementations_differ_in_symbol_and_dash_too_and_machines_in_dash(study_run) -> None:
    times = dict.fromkeys(("a", "b", "c"), (1e-3, 2e-3, 3e-3))
    alone = list(choose_looks(build_study([study_run(times)])).values())
    assert len({look.symbol for look in alone}) == len({look.dash for look in alone}) == 3
    both = choose_looks(build_study([study_run(times, cpu_model="X"), study_run(times, cpu_model="Y")]))
    assert both["a", "X"].colour == both["a", "Y"].colour
    assert both["a", "X"].dash != both["a", "Y"].dash


def test_a_look_is_given_once_and_what_was_skipped_takes_no_colour_from_what_ran(study_run) -> None:
    times: dict[str, str | tuple[float, ...]] = {"a": (1e-3, 2e-3, 3e-3)}
    times |= {f"skipped{number}": "skipped: needs CUDA" for number in range(len(COLOURS) - 1)}
    times |= dict.fromkeys(("i", "j"), (0.001, 0.002, 0.003))
    found = {name: look for (name, _), look in choose_looks(build_study([study_run(times)])).items()}
    assert [found[name].colour for name in ("a", "i", "j")] == list(COLOURS[:3])
    assert len({(look.colour, look.symbol) for look in found.values()}) == len(times) > len(COLOURS)


def test_symbols_and_dashes_repeat_only_after_all_were_used() -> None:
    assert len(set(SYMBOLS)) == len(SYMBOLS) == len(COLOURS)
    assert len(set(DASHES)) == len(DASHES)


def test_ticks_of_bytes_are_powers_of_two_and_of_seconds_powers_of_ten() -> None:
    assert make_log_axis("", [3e6, 5e9], "B")["ticktext"][0] == "2 MiB"
    assert make_log_axis("", [2e-3, 3.0], "s")["ticktext"] == ["1 ms", "10 ms", "100 ms", "1 s", "10 s"]
    assert make_log_axis("", [0.3, 3.0], "1")["ticktext"] == ["0.1", "0.2", "0.5", "1", "2", "5", "10", "20", "50"][:9]


def test_values_that_no_such_number_lies_between_have_even_ticks() -> None:
    assert make_log_axis("", [21.2 * 2**20, 30.4 * 2**20], "B")["ticktext"] == ["20 MiB", "24 MiB", "28 MiB", "32 MiB"]
    assert make_log_axis("", [2.1, 4.5], "s")["ticktext"] == ["2 s", "3 s", "4 s", "5 s"]
    assert make_log_axis("", [0.9, 1.1], "1")["ticktext"] == ["0.9", "1", "1.1"]
    assert make_log_axis("", [1.0, 1.0], "s")["ticktext"] == ["1 s", "2 s", "5 s"]


def test_an_interval_far_beyond_all_ratios_is_cut_and_others_are_not() -> None:
    near = pd.DataFrame({"median": [0.5, 2.0], "ci_low": [0.4, 1.5], "ci_high": [0.6, 2.5]})
    assert "range" not in make_ratio_axis("", near)
    far = pd.DataFrame({"median": [0.5, 2.0], "ci_low": [0.4, 1e-3], "ci_high": [0.6, 1e3]})
    axis = make_ratio_axis("", far)
    low, high = (10**end for end in axis["range"])
    assert (low, high) == (pytest.approx(0.5 / 4, rel=0.1), pytest.approx(2.0 * 4, rel=0.1))
    assert [text for text, tick in zip(axis["ticktext"], axis["tickvals"], strict=True) if low < tick < high] == [
        *("0.2", "0.5", "1", "2", "5"),
    ]


def test_an_interval_that_is_not_known_has_no_bar() -> None:
    values = pd.DataFrame({"median": [2.0, 3.0], "ci_low": [1.5, math.nan], "ci_high": [2.5, math.nan]})
    bars = draw_error_bars(values)
    assert (bars["array"], bars["arrayminus"]) == ([0.5, 0.0], [0.5, 0.0])
