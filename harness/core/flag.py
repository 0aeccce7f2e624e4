"""What a warning on a number means: one table of flags for the whole project."""

from __future__ import annotations

from enum import StrEnum


class Flag(StrEnum):
    """A warning on a number, by the name that files keep. A flagged number is kept and shown, never dropped.

    Attributes:
        help: what was seen.
        doubts: what it casts doubt on, and what to read instead where there is something.
        scaling: whether cores were not free, so that the time does not say how ranks scale.
    """

    help: str
    doubts: str
    scaling: bool

    def __new__(cls, name: str, help: str, doubts: str, scaling: bool = False) -> Flag:
        """Make the name the value, and keep the rest beside it."""
        flag = str.__new__(cls, name)
        flag._value_ = name
        flag.help, flag.doubts, flag.scaling = help, doubts, scaling
        return flag

    ONE_LAUNCH = "one_launch", "all samples come from one launch, so the spread between launches is unknown", "interval"
    ONE_SAMPLE = "one_sample", "there is a single sample", "interval"
    NOT_STEADY = "not_steady", "times still showed a trend when the time for warm-up was over", "time"
    NOT_INTERLEAVED = (
        "not_interleaved",
        "the cases of the group do not fit the memory together, and were measured one after the other",
        "ratio: drift of the machine does not cancel",
    )
    DRIFT = "drift", "times rose, or fell, by over 2 % from the first to the last third of every launch", "time"
    TWO_MODES = "two_modes", "samples form two clusters with a gap between them", "time: the median is one of the two"
    WAITING = "waiting", "the process waited for a core: CPU time is below 90 % of the time", "time", True
    CONTENDED = "contended", "other processes used over 10 % of the machine's cores", "time", True
    STOLEN = "stolen", "the hypervisor took over 10 % of the machine's cores", "time", True
    CONTENDED_RANKS = (
        "contended_ranks",
        "the ranks have more threads than there are cores",
        "time and efficiency: no measure of scaling",
        True,
    )
    SWAPPING = "swapping", "the machine moved pages to or from swap", "time"
    THROTTLED = "throttled", "the driver reduced the GPU's clocks, for heat or the hardware's protection", "time"
    POWER_CAPPED = "power_capped", "the GPU ran at its power limit", "time: as fast as the limit allows"
    SIDE_STREAM = (
        "side_stream",
        "the GPU was still busy after the last CUDA event: work ran on another stream",
        "time: it may miss work",
    )
    EXPOSED = (
        "exposed",
        "a step began on the GPU before the host had enqueued all of it: it waits for the GPU, or the host is slow",
        "time: launches of the host may be part of it",
    )
    CLOCKS_DISAGREE = "clocks_disagree", "CUDA events span more time than the host waited for them", "time"
    METERS_DISAGREE = "meters_disagree", "a second energy meter differs from the first by over 5 %", "energy"
    FEWER_ITEMS = (
        "fewer_items",
        "the work ended early, as a text does at its end token",
        "time: compare rates, which count what was made",
    )
    ABOVE_ROOF = (
        "above_roof",
        "the time is over 10 % shorter than the measured roofline allows",
        "time and % of roofline: work was left out, or the roofline is wrong",
    )
    NOT_AS_REQUESTED = (
        "not_as_requested",
        "no operator or kernel that ran has the name that the implementation declares",
        "implementation: something else was measured",
    )
    SETTINGS_CHANGED = (
        "settings_changed",
        "the step changed global settings of torch",
        "implementation: later steps ran under other settings than the first",
    )


def find_flag(name: str) -> Flag | None:
    """Return the flag of that name; None for one that a run of another version has and this one does not know."""
    return next((flag for flag in Flag if flag == name), None)


def explain_flag(name: str) -> str:
    """Return in one sentence what a flag of a run means, and what it casts doubt on."""
    flag = find_flag(name)
    return f"{flag.help}; casts doubt on the {flag.doubts}" if flag else "a flag of another version of Benchwright"
