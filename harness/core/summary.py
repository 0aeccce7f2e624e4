"""A run without its samples: what a history needs of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.environment import Environment
    from harness.core.measurement import Measurement
    from harness.core.suite import Policy


@dataclass(frozen=True)
class RunSummary:
    """When, where and of which commit a run was measured, and what came out."""

    run_id: str
    folder: Path
    started_at: str
    environment: Environment
    policy: Policy
    measurements: tuple[Measurement, ...]

    @property
    def commit(self) -> str:
        """The commit that was checked out; empty where there was none."""
        return self.environment.git_commit

    @property
    def dirty(self) -> bool:
        """Whether files differed from that commit."""
        return self.environment.git_dirty
