"""The cost of measuring: a step that does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import Step, implementation

if TYPE_CHECKING:
    from .workload import CalibrationInputs


@implementation("calibration")
def noop(inputs: CalibrationInputs) -> Step:
    """Do nothing: what is read is the loop's own cost and a call."""
    x = inputs.x
    return lambda: x
