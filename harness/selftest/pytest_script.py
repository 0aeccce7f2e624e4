"""Times the step with pytest-benchmark; the specification comes in the variable ``BENCHWRIGHT_STEP``."""

from __future__ import annotations

import os
from typing import Any

from harness.selftest.step import build_step


def test_step(benchmark: Any) -> None:
    """Time it."""
    benchmark(build_step(os.environ["BENCHWRIGHT_STEP"]))
