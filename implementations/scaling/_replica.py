"""Replicas of a model under DistributedDataParallel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from implementations.scaling._method import ScalingInputs


def replica(x: ScalingInputs, **settings: Any) -> torch.nn.parallel.DistributedDataParallel:
    """Return a rank's replica: gradients are views of the buckets that they are sent in."""
    return torch.nn.parallel.DistributedDataParallel(
        x.make_model(x.parameters), bucket_cap_mb=x.bucket / (1 << 20), gradient_as_bucket_view=True, **settings
    )
