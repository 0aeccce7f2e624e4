"""A run as it stands on disk: what was asked for, where it was measured, and what came out so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.core.case import most_launches
from harness.core.ceilings import Ceilings
from harness.core.metric import declared_from_json
from harness.core.trial import Rest

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.case import Group
    from harness.core.environment import Environment
    from harness.core.metric import Declared
    from harness.core.suite import Policy
    from harness.core.trial import Trial

RUNNING, INTERRUPTED, COMPLETE = "running", "interrupted", "complete"


@dataclass(frozen=True)
class Context:
    """What numbers of a run are read against, beside its trials.

    Attributes:
        rests: the power at rest, of which net energy is net.
        ceilings: the roofs that a share of the roof is a share of; None where they were not measured.
        policy: how it was measured; None where that is not known.
        metrics: those that its workloads declare.
    """

    rests: tuple[Rest, ...] = ()
    ceilings: Ceilings | None = None
    policy: Policy | None = None
    metrics: Declared = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A run folder, read.

    Attributes:
        meta: the content of ``run.json``, with the launches so far.
        trials: every trial that ended, in order.
    """

    folder: Path
    meta: dict[str, Any]
    groups: tuple[Group, ...]
    policy: Policy
    environment: Environment
    trials: tuple[Trial, ...]

    @property
    def id(self) -> str:
        """The run's name."""
        return str(self.meta["run_id"])

    @property
    def context(self) -> Context:
        """What its numbers are read against."""
        ceilings = self.meta.get("ceilings")
        rests = tuple(Rest(**rest) for rest in self.meta.get("rests", ()))
        return Context(rests, Ceilings(**ceilings) if ceilings else None, self.policy, self.metrics)

    @property
    def metrics(self) -> Declared:
        """The metrics that its workloads declare; none of a run that is older than such declarations."""
        return declared_from_json(self.meta.get("metrics", {}))

    @property
    def launches(self) -> int:
        """The launches of the case that has the most."""
        return most_launches(self.groups, self.policy.launches)

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return bool(self.meta["state"] == COMPLETE)


def took_turns(base: Run, new: Run) -> bool:
    """Return whether two runs are sides of one, whose workers took turns in the same rounds."""
    name = base.meta.get("revision", {}).get("together")
    return name is not None and name == new.meta.get("revision", {}).get("together")
