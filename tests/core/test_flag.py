from __future__ import annotations

from harness.core.flag import Flag, flag_help, flag_of


def test_every_flag_says_what_was_seen_and_what_it_casts_doubt_on() -> None:
    for flag in Flag:
        assert flag.isidentifier()
        assert flag.help
        assert flag.doubts.partition(":")[0] in (
            *("time", "ratio", "interval", "energy", "implementation"),
            *("time and efficiency", "time and % of roofline"),
        )
        assert flag_help(flag.value) == f"{flag.help}; casts doubt on the {flag.doubts}"


def test_the_flags_that_had_no_explanation_have_one() -> None:
    assert "host waited" in flag_help("clocks_disagree")
    assert "second energy meter" in flag_help("meters_disagree")


def test_a_flag_that_is_not_known_is_said_not_to_be() -> None:
    assert flag_of("from_the_future") is None
    assert flag_help("from_the_future") == "a flag of another version of Benchwright"
    assert flag_of("drift") is Flag.DRIFT
