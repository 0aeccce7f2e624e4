from __future__ import annotations

from harness.core.flag import Flag, explain_flag, find_flag


def test_every_flag_says_what_was_seen_and_what_it_casts_doubt_on() -> None:
    for flag in Flag:
        assert flag.isidentifier()
        assert flag.help
        assert flag.doubts.partition(":")[0] in (
            *("time", "ratio", "interval", "energy", "implementation"),
            *("time and efficiency", "time and % of roofline"),
        )
        assert explain_flag(flag.value) == f"{flag.help}; casts doubt on the {flag.doubts}"


def test_the_flags_that_had_no_explanation_have_one() -> None:
    assert "host waited" in explain_flag("clocks_disagree")
    assert "second energy meter" in explain_flag("meters_disagree")


def test_a_flag_that_is_not_known_is_said_not_to_be() -> None:
    assert find_flag("from_the_future") is None
    assert explain_flag("from_the_future") == "a flag of another version of Benchwright"
    assert find_flag("drift") is Flag.DRIFT
