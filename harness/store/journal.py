"""Reads the journal of a run that has not come to its end: its launches, rests and trials, as they came."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.core.errors import UsageError
from harness.core.trial import Launch, Rest, Trial, read_trial
from harness.store.layout import JOURNAL

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.run_description import RunDescription


def read_journal(folder: Path, description: RunDescription, name: str = "") -> tuple[RunDescription, tuple[Trial, ...]]:
    """Return what a run says of itself, with its launches and rests so far, and its trials.

    Args:
        folder: where the run lies.
        description: the content of its ``run.json``.
        name: what the user calls it; its path where left out.

    Raises:
        UsageError: the journal cannot be read, or has a whole line that is none of the three.
    """
    launches, rests, trials = list[Launch](), list[Rest](), list[Trial]()
    path = f"{name or folder}/{JOURNAL}"
    try:
        lines = (folder / JOURNAL).read_text().splitlines()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    for number, line in enumerate(lines, 1):
        try:
            event = json.loads(line)
        except ValueError:
            continue  # torn, as the process that wrote it was killed; or empty
        try:
            if "trial" in event:
                trials.append(read_trial(event["trial"]))
            elif "rest" in event:
                rests.append(Rest(**event["rest"]))
            else:
                launches.append(Launch(**event["launch"]))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise UsageError(f"{path}:{number} is not a launch, a rest or a trial") from None
    return replace(description, launches=tuple(launches), rests=tuple(rests)), tuple(trials)
