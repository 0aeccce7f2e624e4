"""Benchwright: what the author of a workload or an implementation needs, and nothing else."""

from harness.core.axis import Axis
from harness.core.workload import Check, Cost, Params, Reference, Requires, Step, Workload, implementation

__all__ = ["Axis", "Check", "Cost", "Params", "Reference", "Requires", "Step", "Workload", "implementation"]
