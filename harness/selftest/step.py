"""The step that other tools time: built from the catalog, as a worker builds it, with its planted slowdown.

The first argument of a tool's script is JSON: ``workload``, ``implementation``, ``params``, ``threads``, ``seed``,
``sources`` and ``planted``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch

from harness.catalog import load_catalog
from harness.launch.worker.injected import slow_down

if TYPE_CHECKING:
    from harness.core.workload import Step


def build_step(text: str) -> Step:
    """Return the step that a specification describes."""
    spec = json.loads(text)
    torch.set_num_threads(spec["threads"])
    catalog = load_catalog(spec["sources"], lazily=False)
    generator = torch.Generator().manual_seed(spec["seed"])
    workload = catalog.workload(spec["workload"])
    inputs = workload.make_inputs(workload.params(spec["params"]), "cpu", generator)
    step = catalog.implementation(spec["workload"], spec["implementation"]).build(inputs)
    return slow_down(step, spec["planted"], "cpu") if spec["planted"] else step
