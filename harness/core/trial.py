"""What was observed: samples, the trials that hold them, and the launches that trials belong to."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, astuple, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from harness.core.case import Case, read_case

if TYPE_CHECKING:
    from collections.abc import Iterable


class Status(StrEnum):
    """How a case ended in a launch."""

    OK = "ok"
    SKIPPED = "skipped"
    INCORRECT = "incorrect"
    OOM = "oom"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    ERROR = "error"


OK, SKIPPED, INCORRECT = Status.OK, Status.SKIPPED, Status.INCORRECT
OOM, TIMEOUT, CRASHED, ERROR = Status.OOM, Status.TIMEOUT, Status.CRASHED, Status.ERROR
# The message of a skipped trial begins so where the revision was imported and has no case of that name.
ABSENT = "no such case in this revision"


@dataclass(frozen=True)
class Sample:
    """One raw observation, in SI units.

    Attributes:
        round: the turn within the launch, from 0; -1 for what is observed outside rounds.
        index: the position within the turn.
        flags: names of :class:`harness.core.flag.Flag`, separated by commas.
        uncertainty: half width of what the instrument states for the value, in its unit; 0 where it states none.
        provenance: how the value was come by, where that is not the clock's or the allocator's: ``measured: ...``,
            ``integrated: ...``, or ``unavailable: ...`` with the reason, and NaN for a value.
    """

    metric: str
    value: float
    round: int = -1
    index: int = 0
    flags: str = ""
    uncertainty: float = 0.0
    provenance: str = ""


@dataclass
class Trial:
    """A case in one launch: its status, and every sample taken until it ended.

    Attributes:
        executed: the operators and kernels that a step ran, the longest first, separated by commas; once a run. Of a
            kernel that was compiled and not run, its instructions with their number, the most frequent first.
    """

    case: Case
    launch: int
    status: Status = OK
    message: str = ""
    started_at: str = ""
    duration_s: float = 0.0
    log: str = ""
    samples: list[Sample] = field(default_factory=list)
    executed: str = ""

    @property
    def failed(self) -> bool:
        """Whether the exit code must tell of it."""
        return self.status not in (OK, SKIPPED)


@dataclass(frozen=True)
class Launch:
    """One fork server: a fresh interpreter, and the settings of torch that it found itself with."""

    index: int
    started_at: str
    runtime: dict[str, Any]


@dataclass(frozen=True)
class Rest:
    """The power that the device drew while nothing ran, in watts, with its half width and provenance as in Sample."""

    moment: str
    watts: float
    uncertainty: float
    provenance: str


def group_trials(trials: Iterable[Trial]) -> defaultdict[Case, list[Trial]]:
    """Return trials by their case, each case's in the order in which they ended."""
    found = defaultdict[Case, list[Trial]](list)
    for trial in trials:
        found[trial.case].append(trial)
    return found


def format_utc_now() -> str:
    """Return the time as it is kept with trials and runs: UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def write_trial(trial: Trial) -> dict[str, Any]:
    """Return the trial as JSON-ready data; samples are rows of values in the order of their fields."""
    return {**vars(trial), "case": asdict(trial.case), "samples": [write_sample(sample) for sample in trial.samples]}


def write_sample(sample: Sample) -> tuple[Any, ...]:
    """Return the values of a sample in the order of its fields, without the last two where they are empty."""
    row = astuple(sample)
    return row if sample.provenance else row[:-2]


def read_trial(data: dict[str, Any]) -> Trial:
    """Rebuild a trial from :func:`trial_to_json`."""
    samples = [Sample(*row) for row in data["samples"]]
    rebuilt = {"case": read_case(data["case"]), "status": Status(data["status"]), "samples": samples}
    return Trial(**{**data, **rebuilt})
