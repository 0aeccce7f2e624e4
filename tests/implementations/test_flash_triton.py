"""The Triton kernel without a GPU: its numerics in Triton's interpreter, its machine code from the compiler.

Each runs in a child process, because the interpreter is switched on when triton is imported, and for good.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from implementations.attention import _flash_forward

KERNEL = Path(_flash_forward.__file__)

# Reads [{kernel, params, warnings}] and prints the fault that the check finds in each, empty where there is none.
INTERPRET = """
import importlib.util, json, sys, warnings
import torch
from harness.launch.checking import compare
from implementations.attention.flash_triton import flash_triton
from implementations.attention.workload import workload

torch.set_num_threads(1)
for job in json.load(sys.stdin):
    warnings.simplefilter(job["warnings"])
    name = "implementations.attention._flash_forward"
    spec = importlib.util.spec_from_file_location(name, job["kernel"])
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    x = workload.make_inputs(workload.params(job["params"]), "cpu", torch.Generator().manual_seed(0))
    print(json.dumps(compare(flash_triton(x)(), workload.reference(x)).fault))
"""

# Reads [{capability, dtype, item, head_dim}] and prints what the compiler made of each.
COMPILE = """
import json, sys, warnings
warnings.simplefilter("error")
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from implementations.attention._flash_forward import flash_forward
from implementations.attention.flash_triton import config

for job in json.load(sys.stdin):
    rows, keys, warps, stages = config(job["item"], job["head_dim"])
    constants = {"HEAD_DIM": job["head_dim"], "ROWS": rows, "KEYS": keys, "CAUSAL": True, "WIDEN": False,
                 "PRECISION": "tf32x3"}
    tensors = ("q_ptr", "k_ptr", "v_ptr", "out_ptr")
    signature = dict.fromkeys(tensors, "*" + job["dtype"]) | {"seq": "i32", "scale": "fp32"}
    signature |= dict.fromkeys(constants, "constexpr")
    aligned = {(flash_forward.arg_names.index(name),): [["tt.divisibility", 16]] for name in tensors}
    made = triton.compile(
        ASTSource(flash_forward, signature, constants, aligned),
        target=GPUTarget("cuda", job["capability"], 32),
        options={"num_warps": warps, "num_stages": stages, "enable_fp_fusion": True},
    )
    ptx = made.asm["ptx"]
    print(json.dumps({"mma": ptx.count("mma.sync"), "wgmma": ptx.count("wgmma.mma_async"),
                      "shared": made.metadata.shared, "cubin": len(made.asm["cubin"])}))
"""


def in_child(script, jobs, **variables):
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    child = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        env=environment | variables,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    return [json.loads(line) for line in child.stdout.splitlines()]


def point(seq, causal, dtype, head_dim=64):
    return {"seq": seq, "batch": 1, "heads": 2, "head_dim": head_dim, "causal": causal, "dtype": dtype}


POINTS = [
    point(seq, causal, dtype)
    for dtype in ("fp32", "fp16", "bf16")
    for seq in (1, 64, 257, 300)
    for causal in (False, True)
] + [point(257, True, dtype, head_dim) for dtype in ("fp32", "bf16") for head_dim in (16, 32, 128, 256)]

# Faults in the kernel's source, each with a point at which it must show.
FAULTS = {
    "rescale of O dropped": ("sums * rescale[:, None]", "sums", point(257, False, "fp16")),
    "rescale of l dropped": ("total * rescale", "total", point(257, False, "fp16")),
    "mask inverted": ("keys[None, :] <= rows", "keys[None, :] > rows", point(257, True, "fp16")),
    "mask off by one": ("keys[None, :] <= rows", "keys[None, :] <= 1 + rows", point(257, True, "fp16")),
    "tail not masked": ("visible = keys[None, :] < seq", "visible = keys[None, :] >= 0", point(257, False, "fp16")),
    "scale missing": ("tl.exp2(scores * scale", "tl.exp2(scores", point(257, False, "fp16")),
    "bfloat16 not widened": ("if WIDEN:", "if False:", point(64, False, "bf16")),
}


@pytest.fixture(scope="module")
def faults_found(tmp_path_factory):
    """The check's verdict on each point and on each faulty kernel, from one child."""
    folder = tmp_path_factory.mktemp("kernels")
    jobs = [{"kernel": str(KERNEL), "params": params, "warnings": "error"} for params in POINTS]
    for number, (old, new, params) in enumerate(FAULTS.values()):
        source = KERNEL.read_text()
        assert old in source
        faulty = folder / f"faulty_{number}.py"
        faulty.write_text(source.replace(old, new))
        jobs.append({"kernel": str(faulty), "params": params, "warnings": "ignore"})
    found = in_child(INTERPRET, jobs, TRITON_INTERPRET="1", OPENBLAS_NUM_THREADS="1")
    assert len(found) == len(jobs)
    return found


@pytest.mark.parametrize("number", range(len(POINTS)), ids=["-".join(map(str, one.values())) for one in POINTS])
def test_agrees_with_the_reference(faults_found, number):
    assert faults_found[number] == ""


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=list(FAULTS))
def test_a_faulty_kernel_is_rejected(faults_found, number):
    assert faults_found[len(POINTS) + number]


def test_compiles_to_tensor_core_instructions(tmp_path):
    kinds = [("bf16", 2, 64), ("fp16", 2, 128), ("bf16", 2, 256), ("fp32", 4, 64)]
    jobs = [
        {"capability": capability, "dtype": dtype, "item": item, "head_dim": head_dim}
        for capability in (80, 90)
        for dtype, item, head_dim in kinds
    ]
    made = in_child(COMPILE, jobs, TRITON_CACHE_DIR=str(tmp_path))
    assert len(made) == len(jobs)
    for job, code in zip(jobs, made, strict=True):
        assert code["mma" if job["capability"] == 80 else "wgmma"] > 0, job
        assert code["cubin"] > 0, job
        assert code["shared"] <= (96 if job["capability"] == 80 else 128) << 10, job
