"""Benchwright: what the author of a workload or an implementation needs, and nothing else."""

from harness.core.axis import Axis
from harness.core.workload import Check, Cost, Kernel, Params, Reference, Requires, Step, Workload, implementation

__all__ = ["Axis", "Check", "Cost", "Kernel", "Params", "Reference", "Requires", "Step", "Workload", "implementation"]
