"""Times the step with ``torch.utils.benchmark.Timer`` until a moment (seconds of the epoch), and prints the times."""

from __future__ import annotations

import json
import sys
import time

from torch.utils.benchmark import Timer

from harness.selftest.step import build_step

if __name__ == "__main__":
    timer = Timer("step()", globals={"step": build_step(sys.argv[1])})
    left = float(sys.argv[2]) - time.time()
    print(json.dumps(timer.blocked_autorange(min_run_time=max(left, 0.2)).times))
