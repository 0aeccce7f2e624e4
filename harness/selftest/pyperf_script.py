"""Times the step with pyperf; the arguments after the specification are pyperf's own."""

from __future__ import annotations

from typing import Any

import pyperf

from harness.selftest.step import built


def _pass_on(command: list[str], arguments: Any) -> None:
    command.extend(["--step", arguments.step])


if __name__ == "__main__":
    runner = pyperf.Runner(values=5, add_cmdline_args=_pass_on)
    runner.argparser.add_argument("--step")
    runner.bench_func("step", built(runner.parse_args().step))
