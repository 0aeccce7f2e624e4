"""A run as it stands on disk: what it says of itself, and what came out so far."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.core.case import count_launches

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.core.case import Group
    from harness.core.ceilings import Ceilings
    from harness.core.environment import Environment
    from harness.core.measurement import Measurement
    from harness.core.metric import Declared
    from harness.core.run_description import RunDescription
    from harness.core.suite import Policy
    from harness.core.trial import Rest, Trial


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
        description: what it says of itself, with the launches so far.
        trials: every trial that ended, in order.
    """

    folder: Path
    description: RunDescription
    trials: tuple[Trial, ...]

    @property
    def id(self) -> str:
        """The run's name."""
        return self.description.id

    @property
    def groups(self) -> tuple[Group, ...]:
        """The plan."""
        return self.description.groups

    @property
    def policy(self) -> Policy:
        """How it is measured."""
        return self.description.policy

    @property
    def environment(self) -> Environment:
        """Where it was measured."""
        return self.description.environment

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.description.complete

    @property
    def context(self) -> Context:
        """What its numbers are read against."""
        return Context(self.description.rests, self.description.ceilings, self.policy, self.metrics)

    @property
    def metrics(self) -> Declared:
        """The metrics that its workloads declare; none of a run that is older than such declarations."""
        return self.description.metrics or {}

    @property
    def launches(self) -> int:
        """The launches of the case that has the most."""
        return count_launches(self.groups, self.policy.launches)

    def with_groups(self, groups: Sequence[Group]) -> Run:
        """Return the run with some of its groups, and the trials of their cases."""
        cases = {planned.case for group in groups for planned in group.cases}
        trials = tuple(trial for trial in self.trials if trial.case in cases)
        return replace(self, description=replace(self.description, groups=tuple(groups)), trials=trials)


@dataclass(frozen=True)
class MeasuredRun:
    """A complete run without its samples: what a history needs of it."""

    folder: Path
    description: RunDescription
    measurements: tuple[Measurement, ...]


def were_interleaved(base: Run, new: Run) -> bool:
    """Return whether two runs are variants of one, whose workers took turns in the same rounds."""
    ours, theirs = base.description.variant, new.description.variant
    return ours is not None and theirs is not None and ours.run_set == theirs.run_set
