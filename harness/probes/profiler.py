"""torch's profiler, without the second that it takes to import a compiler of which it wants to know one setting."""

from __future__ import annotations

import torch


def open_profiler(
    device: str = "cpu", *, profile_memory: bool = False, record_shapes: bool = False
) -> torch.autograd.profiler.profile:
    """Return what records the operators of a block, and the kernels of a CUDA device.

    ``torch.profiler.profile`` is made of it, and imports torch's compiler whenever it starts: in each worker anew.
    """
    return torch.autograd.profiler.profile(
        use_device="cuda" if device.startswith("cuda") else None,
        use_kineto=True,
        profile_memory=profile_memory,
        record_shapes=record_shapes,
    )
