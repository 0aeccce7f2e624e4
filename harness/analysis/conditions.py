"""The conditions of a run that its numbers depend on, beside the code: machine, software, policy, settings of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.core.run import Run

_POLICY = ("device", "mode", "threads", "seed")
_TORCH = (
    "torch_threads",
    "cpu_capability",
    "matmul_precision",
    "cuda_matmul_allow_tf32",
    "cudnn_allow_tf32",
    "deterministic",
    "default_dtype",
)


def find_differences(base: Run, new: Run) -> list[str]:
    """Return the conditions in which two runs differ, as ``name: base -> new``; empty where they can be compared.

    Where nothing ran there are none: no machine took part, and the compiler is what is compared.
    """
    if base.description.compiled and new.description.compiled:
        return []
    ours, theirs = _conditions(base), _conditions(new)
    apart = [f"{name}: {ours[name]} -> {theirs[name]}" for name in ours if ours[name] != theirs[name]]
    return base.environment.differences(new.environment) + apart


def _conditions(run: Run) -> dict[str, Any]:
    launches = run.description.launches
    runtime = launches[0].runtime if launches else {}
    return {name: getattr(run.policy, name) for name in _POLICY} | {name: runtime.get(name) for name in _TORCH}
