"""The Triton kernels' numerics without a GPU, forward and backward, in Triton's interpreter.

In a child process, because the interpreter is switched on when triton is imported, and for good.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from implementations.attention._flash_problem import Config, Problem
from implementations.attention._tuning import fastest

RESULTS = ("O", "log-sum-exp", "dQ", "dK", "dV")
TILES = [[64, 32, 4, 2], [32, 64, 4, 2], [64, 32, 4, 2]]


def problem(seq_q: int, seq_k: int, dtype: str, **other: int) -> dict[str, Any]:
    sizes = {"batch": 1, "heads": 1, "kv_heads": 1, "head_dim": 64, "v_dim": other.get("head_dim", 64)}
    return {**sizes, "seq_q": seq_q, "seq_k": seq_k, "dtype": dtype, **other}


POINTS = {
    "fp32": problem(65, 65, "fp32"),
    "fp16": problem(65, 65, "fp16"),
    "bf16": problem(65, 65, "bf16"),
    "fp32 causal": problem(65, 65, "fp32", high=0),
    "bf16 causal": problem(65, 65, "bf16", high=0),
    "fp16 causal, several tiles": problem(257, 257, "fp16", high=0),
    "fp32 causal, head_dim 128": problem(65, 65, "fp32", high=0, head_dim=128),
    "bf16 head_dim 128": problem(65, 65, "bf16", head_dim=128),
    "head_dim 16": problem(33, 65, "fp32", head_dim=16),
    "head_dim 256": problem(33, 65, "fp16", head_dim=256),
    "head_dim 192, v_dim 128": problem(33, 65, "bf16", high=0, head_dim=192, v_dim=128),
    "head_dim 48, v_dim 24": problem(33, 65, "fp32", head_dim=48, v_dim=24),
    "a whole tile": problem(64, 64, "fp32", high=0),
    "GQA": problem(65, 65, "fp32", high=0, heads=4, kv_heads=2, batch=2),
    "MQA": problem(65, 65, "fp16", heads=3, kv_heads=1),
    "decoding": problem(1, 130, "fp16", heads=4, kv_heads=1),
    "fewer queries, aligned at the end": problem(65, 130, "fp32", high=65),
    "fewer queries, aligned at the start": problem(65, 130, "fp32", high=0),
    "rows that see nothing": problem(130, 65, "fp32", high=-65),
    "window": problem(130, 130, "fp32", low=-20, high=0),
    "window to both sides": problem(100, 133, "fp32", low=-20, high=30),
    "window that rows leave": problem(200, 65, "fp16", low=-40, high=0),
}
CAUSAL, OPEN = problem(130, 130, "fp16", high=0), problem(130, 130, "fp16")
PAIR, MORE = {**OPEN, "heads": 2}, {**OPEN, "heads": 2, "kv_heads": 2}
# A change of a kernel's source, a point at which it must show, and in which result.
FAULTS = {
    "rescale of O dropped": ("_flash_forward", "sums * rescale[:, None]", "sums", OPEN, "O"),
    "rescale of l dropped": ("_flash_forward", "total * rescale", "total", OPEN, "log-sum-exp"),
    "scale missing": ("_flash_forward", "tl.exp2(scores * scale", "tl.exp2(scores", OPEN, "O"),
    "natural and binary logarithms mixed": ("_flash_forward", " * 0.6931471805599453", "", OPEN, "log-sum-exp"),
    "mask inverted": ("_flash_tiles", "keys - rows <= high", "keys - rows > high", CAUSAL, "O"),
    "mask off by one": ("_flash_tiles", "keys - rows <= high", "keys - rows <= high + 1", CAUSAL, "O"),
    "tail not masked": ("_flash_tiles", "(keys < seq_k)", "(keys < seq_k + 64)", OPEN, "O"),
    "heads share the wrong keys": ("_flash_forward", "head // group", "head * 0", MORE, "O"),
    "bfloat16 not widened": ("_flash_tiles", "if WIDEN:", "if False:", {**OPEN, "dtype": "bf16"}, "O"),
    "D left out of dQ": ("_flash_backward", "(d_weights - delta[:, None])", "d_weights", OPEN, "dQ"),
    "D left out of dK": ("_flash_backward", "(d_weights - delta[None, :])", "d_weights", OPEN, "dK"),
    "scale of dQ missing": ("_flash_backward", "d_q * scale", "d_q", OPEN, "dQ"),
    "scale of dK missing": ("_flash_backward", "d_k * scale", "d_k", OPEN, "dK"),
    "dV of hidden pairs": ("_flash_backward", "weights = tl.where(visible, weights, 0.0)", "pass", CAUSAL, "dV"),
    "one head of a group": ("_flash_backward", "tl.range(0, group)", "tl.range(0, 1)", PAIR, "dV"),
}  # fmt: skip
# Tiles that are nothing like the others.
SHAPES = ([[16, 16, 4, 1]] * 3, [[128, 64, 4, 1]] * 3, [[32, 128, 4, 1]] * 3)


def in_interpreter(jobs: list[Mapping[str, Any]]) -> list[dict[str, float]]:
    variables = {"TRITON_INTERPRET": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    script = str(Path(__file__).with_name("flash_numerics.py"))
    child = subprocess.run(
        [sys.executable, script],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        env=os.environ | variables,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    return [dict(zip(RESULTS, json.loads(line), strict=True)) for line in child.stdout.splitlines()]


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, float]]:
    """The errors of every result at each point and with each fault, over what they may be."""
    jobs = {name: {"problem": point, "configs": TILES, "fault": None} for name, point in POINTS.items()}
    jobs |= {
        f"tiles {number}": {"problem": POINTS["window"], "configs": tiles, "fault": None}
        for number, tiles in enumerate(SHAPES)
    }
    jobs |= {
        name: {"problem": point, "configs": TILES, "fault": [module, old, new]}
        for name, (module, old, new, point, _) in FAULTS.items()
    }
    return dict(zip(jobs, in_interpreter(list(jobs.values())), strict=True))


@pytest.mark.parametrize("name", POINTS)
def test_agrees_with_float64(found: dict[str, dict[str, float]], name: str) -> None:
    assert all(error <= 1 for error in found[name].values()), found[name]


@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_whatever_the_tiles(found: dict[str, dict[str, float]], number: int) -> None:
    assert all(error <= 1 for error in found[f"tiles {number}"].values()), found[f"tiles {number}"]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_where_it_is(found: dict[str, dict[str, float]], name: str) -> None:
    assert not found[name][FAULTS[name][-1]] <= 1, found[name]


def test_the_fastest_that_fits_is_chosen() -> None:
    from triton.runtime.errors import OutOfResources

    times = {Config(128, 64, 4, 3): 2e-3, Config(64, 64, 4, 3): 1e-3, Config(32, 32, 4, 2): 3e-3}
    large = Config(256, 256, 8, 4)

    def seconds(config: Any) -> float:
        if config == large:
            raise OutOfResources(300000, 232448, "shared memory")
        return times[config]

    best, known = fastest([large, *times], lambda config: config, seconds)  # type: ignore[arg-type, return-value]
    assert (best, known) == (Config(64, 64, 4, 3), times)
    with pytest.raises(OutOfResources):
        fastest([large], lambda config: config, seconds)  # type: ignore[arg-type, return-value]


def test_numbers_of_a_problem() -> None:
    arguments = Problem(1, 8, 2, 1, 300, 192, 128, "bf16", high=299).arguments(Config(64, 32, 4, 2))
    assert (arguments["group"], arguments["HEAD_TILE"], arguments["V_TILE"]) == (4, 256, 128)
    assert (arguments["LOW"], arguments["HIGH"], arguments["high"]) == (False, True, 299)
