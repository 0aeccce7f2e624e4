"""The Triton implementation without a GPU: its answers in Triton's interpreter, its machine code from the compiler.

Each runs in a child process, because the interpreter is switched on when triton is imported, and for good. The kernels
themselves are tried in test_flash_kernels.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

# Reads points and prints the fault that the workload's check finds in each, empty where there is none.
INTERPRET = """
import json, sys
import torch
from harness.launch.worker.checking import compare_output
from implementations.attention.flash_triton import flash_triton
from implementations.attention.workload import workload

torch.set_num_threads(1)
for params in json.load(sys.stdin):
    x = workload.make_inputs(workload.params(params), "cpu", torch.Generator().manual_seed(0))
    step = flash_triton(x)
    step()
    same = compare_output(step(), workload.reference(x)).fault
    other = workload.make_inputs(workload.params(params), "cpu", torch.Generator().manual_seed(1))
    for name in ("q", "k", "v"):
        getattr(x, name).copy_(getattr(other, name))
    print(json.dumps([same, compare_output(step(), workload.reference(x)).fault]))
"""

# Reads [{arch, dtype, head_dim}] and prints, for the static choice of each kernel, what the compiler made of it.
COMPILE = """
import json, sys
from harness.inspect.compiler import compile_kernel
from implementations.attention._flash_backward import backward_kernels
from implementations.attention._flash_forward import forward_kernels
from implementations.attention._flash_problem import FORWARD, KEYS, ROWS, Problem, space

for job in json.load(sys.stdin):
    sizes = (1, 8, 8, 4096, 4096, job["head_dim"], job["head_dim"])
    problem = Problem(*sizes, job["dtype"], high=0)
    static = [space(table, problem)[:1] for table in (FORWARD, KEYS, ROWS)]
    _, *backward = backward_kernels(problem, *static[1:])
    for kernel in forward_kernels(problem, static[0]) + backward:
        print(json.dumps({**job, "kernel": kernel.function.__name__, **compile_kernel(kernel, job["arch"])}))
"""


def in_child(script: str, jobs: list[Any], **variables: str) -> list[Any]:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        env=environment | variables,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    return [json.loads(line) for line in child.stdout.splitlines()]


SMALL: dict[str, Any] = {"seq": 65, "batch": 1, "heads": 2, "head_dim": 64, "causal": False, "dtype": "fp32"}
# What the point is of, which kernels alone are not tried at: the pass, and the masks of the workload.
POINTS = [
    SMALL | {"causal": True},
    SMALL | {"seq": 1},
    SMALL | {"dtype": "bf16", "seq": 64},
    SMALL | {"dtype": "fp16", "seq": 257, "causal": True},
    SMALL | {"pass": "backward", "causal": True},
    SMALL | {"pass": "forward_backward", "dtype": "bf16", "heads": 4, "kv_heads": 2, "seq": 66},
    SMALL | {"pass": "backward", "seq_q": 33, "causal": "bottom_right", "window": 20, "v_dim": 32},
    SMALL | {"pass": "backward", "seq_q": 90, "causal": "top_left"},
    SMALL | {"pass": "forward_backward", "seq_q": 90, "causal": "bottom_right"},
    SMALL | {"seq_q": 1, "kv_heads": 1},
    SMALL | {"window": 7},
]


def test_agrees_with_the_reference_also_on_inputs_that_were_written_over() -> None:
    faults = in_child(INTERPRET, POINTS, TRITON_INTERPRET="1", OPENBLAS_NUM_THREADS="1")
    assert faults == [["", ""]] * len(POINTS)


def test_static_choices_use_tensor_cores_and_spill_nothing(tmp_path: Path) -> None:
    jobs = [{"arch": arch, "dtype": "bf16", "head_dim": width} for arch, width in (("sm_80", 128), ("sm_90", 64))]
    variables = {"TRITON_CACHE_DIR": str(tmp_path), "TRITON_DUMP_PTXAS_LOG": "1"}
    made = in_child(COMPILE, jobs, **variables)
    assert len(made) == 3 * len(jobs)
    for one in made:
        unit = {"sm_80": "HMMA", "sm_90": "HGMMA"}[one["arch"]]
        metrics = one["metrics"]
        assert unit in dict(pair.split(" ") for pair in one["instructions"].split(", ")), one
        assert metrics["spill_stores"] == metrics["spill_loads"] == 0, one
        assert metrics["shared_memory"] <= (99 if one["arch"] == "sm_80" else 227) << 10, one
        assert metrics["occupancy"] > 0, one
