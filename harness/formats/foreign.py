"""What a file of another tool says, and the checks on the way: a file is only believed as far as its types hold.

A reader raises ValueError with the reason; whoever opened the file names it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from harness.analysis.pairing import compute_round_medians
from harness.core.environment import Environment
from harness.core.text import clean_text
from harness.core.trial import ERROR, Trial

if TYPE_CHECKING:
    from harness.core.axis import Scalar
    from harness.core.case import Case
    from harness.core.trial import Sample

UNKNOWN = Environment(
    host="",
    kernel="",
    cpu_model="",
    cpus_online=0,
    cpus_usable=0,
    governor="",
    memory_total=0,
    memory_available=0,
    container="",
    load_1min=0.0,
    python="",
    benchwright="",
    packages={},
    torch_cuda="",
    driver="",
    gpus=(),
    gpu_reason="",
    git_commit="",
    git_dirty=False,
)


@dataclass(frozen=True)
class ForeignFile:
    """One file: an invocation of another tool, which is a launch here.

    Attributes:
        trials: one for each case, in the order of the file; their launch is set by who knows it.
        started_at: in the form of this project; empty where it is not known.
        note: what the user should know of the file's values; empty where there is nothing.
    """

    tool: str
    environment: Environment
    trials: tuple[Trial, ...]
    started_at: str = ""
    threads: int = 1
    note: str = ""


def make_timed_trial(case: Case, samples: list[Sample]) -> Trial:
    """Return the trial of a case that was timed; a time of zero is a failure, for nothing can be said of it."""
    trial = Trial(case, 0, samples=samples)
    if any(not value > 0 for rounds in compute_round_medians([trial]).values() for value in rounds.values()):
        return Trial(case, 0, ERROR, "its time is 0 s: the clock was too coarse for it")
    return trial


def read_objects(value: Any, what: str) -> list[dict[str, Any]]:
    """Return a list of JSON objects, of which there must be one at least."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError(f"{what} is not a list of objects")
    if not value:
        raise ValueError(f"{what} is empty")
    return value


def read_fields(value: Any) -> dict[str, Any]:
    """Return a JSON object, or an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def read_seconds(value: Any, what: str, unit: float = 1.0) -> float:
    """Return a time in seconds, which must be a finite number of at least zero."""
    found = read_number(value) * unit
    if not (math.isfinite(found) and found >= 0):
        raise ValueError(f"{what} is not a time: {clean_text(str(value))[:40]}")
    return found


def read_number(value: Any) -> float:
    """Return a number, or NaN in place of anything else."""
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return math.inf


def read_count(value: Any) -> int:
    """Return a whole number of at least zero, or 0 in place of anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31 else 0


def read_line(value: Any) -> str:
    """Return text on one line that can be printed, or nothing in place of anything else."""
    return clean_text(value) if isinstance(value, str) else ""


def make_slug(value: str) -> str:
    """Return a name of letters, digits and underscores; empty where nothing is left."""
    return re.sub(r"\W+", "_", value).strip("_")


def read_scalar(value: Any) -> Scalar:
    """Return a parameter as it is where it is one value, else as text."""
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return clean_text(str(value))


def read_moment(value: Any) -> str:
    """Return a time as this project writes it; empty where it cannot be read."""
    try:
        read = datetime.fromisoformat(read_line(value).replace("/", "-", 2)).astimezone(UTC)
    except (ValueError, OverflowError):
        return ""
    return read.isoformat(timespec="milliseconds")
