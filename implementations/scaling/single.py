"""Training in one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import implementation
from implementations.scaling._method import Method, requires, training

if TYPE_CHECKING:
    from harness import Step
    from implementations.scaling._method import ScalingInputs


@implementation("scaling", requires=requires(ranks=False))
def single(x: ScalingInputs) -> Step:
    """One process with all threads, on the joint batch: what ranks are held against."""
    return training(x, lambda x: Method.of(x, x.make_model(x.parameters)), shared=False)
