from __future__ import annotations

import tomllib

import pytest

from harness.core.errors import UsageError
from harness.core.suite import Policy, Suite, apply_settings, parse_suite


def suite(text: str) -> Suite:
    return parse_suite("mine", tomllib.loads(text))


def test_a_suite_selects_cases_under_a_policy() -> None:
    found = suite(
        'help = "h"\n[policy]\nlaunches = 5\nprecision = "2%"\nbudget = "1m"\n'
        '[[select]]\nworkload = "attention"\nimplementations = ["naive"]\n'
        'axes = { seq = ["1k", 2048], causal = true }\n'
    )
    assert (found.policy.launches, found.policy.precision, found.policy.budget_s) == (5, 0.02, 60.0)
    assert found.selections[0].implementations == ("naive",)
    assert found.selections[0].axes == {"seq": "1k,2048", "causal": "true"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[select]]\nworkload = "a"\n[policies]\n', "unknown key 'policies'; did you mean 'policy'"),
        ('[[select]]\nworkload = "a"\naxis = {}\n', "unknown key 'axis'; did you mean 'axes'"),
        ('[[select]]\nworkload = "a"\n[policy]\nlaunch = 2\n', "unknown setting 'launch'; did you mean 'launches'"),
        ('[[select]]\nworkload = "a"\n[policy]\nlaunches = 0\n', "launches 0"),
        ("[[select]]\n", "needs workload"),
        ('select = "attention"\n', r"\[\[select\]\] tables"),
        ('[[select]]\nworkload = "a"\nimplementations = "naive"\n', "a list of names"),
        ('[[select]]\nworkload = "a"\naxes = "seq"\n', "a table"),
        ('help = "nothing"\n', "selects nothing"),
    ],
)
def test_a_suite_that_says_something_unknown_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        suite(text)
    assert "\n" not in str(caught.value)


def test_the_command_line_goes_over_the_suite_and_silence_changes_nothing() -> None:
    policy = apply_settings(Policy(launches=5, seed=7), {"launches": "2", "seed": None})
    assert (policy.launches, policy.seed) == (2, 7)


@pytest.mark.parametrize("setting", [{"budget": "soon"}, {"threads": "0"}, {"mode": "warm"}, {"seed": "-1"}])
def test_a_setting_that_cannot_be_read_names_itself(setting: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=f"--{next(iter(setting))}"):
        apply_settings(Policy(), setting)
