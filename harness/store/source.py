"""One run among many that are read together: what it says of itself, and where its rows are."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from harness.core.case import Case, case_from_json
from harness.core.environment import Environment, environment_from_json
from harness.core.errors import UsageError
from harness.core.run import COMPLETE
from harness.core.suite import Policy
from harness.store.layout import JOURNAL, RUN, VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.trial import Trial


@dataclass(frozen=True)
class Source:
    """A run that can be read.

    Attributes:
        folder: as the user would name it; of a merged run, the folder that it was merged from.
        home: where its rows are on this machine: a run folder, or a merged folder.
        run: the content of ``run.json``.
        trials: those of the journal, where there is one; None where the tables are to be believed.
    """

    folder: str
    home: Path
    run: dict[str, Any]
    run_id: str
    started_at: str
    state: str
    fingerprint: str
    environment: Environment
    policy: Policy
    cases: tuple[Case, ...]
    merged: bool = False
    trials: tuple[Trial, ...] | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.state == COMPLETE

    @property
    def slowed(self) -> bool:
        """Whether it was made slower on purpose, to see whether that is found."""
        return bool((self.run.get("revision") or {}).get("planted"))

    @property
    def device(self) -> str:
        """What the cases ran on: the name of the GPU, or of the processor."""
        if not self.policy.device.startswith("cuda"):
            return str(self.environment.cpu_model or self.policy.device)
        number = self.policy.device.partition(":")[2] or "0"
        names = {str(index): gpu.name for index, gpu in enumerate(self.environment.gpus)}
        return names.get(number, self.policy.device)


def read_source(folder: str, home: Path) -> Source:
    """Read what a run folder says of itself, and its journal where there is one.

    Args:
        folder: its name for the user.
        home: where it lies.

    Raises:
        UsageError: it is no run of a version that is known; one line, with the folder's name.
    """
    try:
        text = (home / RUN).read_bytes()
        if (home / JOURNAL).exists():
            return _from_journal(folder, home, text)
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}") from None
    return parse_source(folder, home, text)


def parse_source(
    folder: str, home: Path, text: str | bytes, *, merged: bool = False, trials: tuple[Trial, ...] | None = None
) -> Source:
    """Make a source of the content of ``run.json``.

    Raises:
        UsageError: it is of a newer version, or of no form that is known.
    """
    try:
        run = json.loads(text)
        if (version := run["schema_version"]) > VERSION:
            raise UsageError(f"{folder} was written by a newer version (schema {version}, not {VERSION})")
        machine = run["environment"]
        environment, policy = environment_from_json(machine), _policy(run["policy"])
        cases = dict.fromkeys(case_from_json(item["case"]) for group in run["plan"] for item in group["cases"])
        return Source(
            folder=folder,
            home=home,
            run=run,
            run_id=str(run["run_id"]),
            started_at=str(run["started_at"]),
            state=str(run["state"]),
            fingerprint=str(machine["fingerprint"]),
            environment=environment,
            policy=policy,
            cases=tuple(cases),
            merged=merged,
            trials=trials,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UsageError(f"{folder} holds no run in a form that is known") from None


def _policy(data: dict[str, Any]) -> Policy:
    """Rebuild a policy, with text where text belongs and numbers elsewhere: runs are told apart and sorted by it."""
    policy = Policy(**data)
    for field in fields(Policy):
        kind = str if isinstance(field.default, str) else int | float
        if not isinstance(getattr(policy, field.name), kind):
            raise TypeError(field.name)
    return policy


def _from_journal(folder: str, home: Path, text: bytes) -> Source:
    """Believe the journal of a run that has not come to its end; the launches and rests stand there alone."""
    from harness.store.read import read_run  # needs pyarrow, which most places do not

    parse_source(folder, home, text)
    try:
        found = read_run(home)
        return parse_source(folder, home, json.dumps(found.meta), trials=found.trials)
    except UsageError as error:
        raise UsageError(str(error).replace(str(home), folder)) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"{folder}: its journal holds no trials in a form that is known") from None
