"""Times the step with pyperf; the arguments after the specification are pyperf's own."""

from __future__ import annotations

from typing import Any

import pyperf


def _pass_on(command: list[str], arguments: Any) -> None:
    command.extend(["--step", arguments.step])


def _step(text: str, *, is_timed: bool) -> Any:
    """Return the step; the process that only starts those that time it does without torch."""
    if not is_timed:
        return lambda: None
    from harness.selftest.step import build_step

    return build_step(text)


if __name__ == "__main__":
    runner = pyperf.Runner(values=5, add_cmdline_args=_pass_on)
    runner.argparser.add_argument("--step")
    arguments = runner.parse_args()
    runner.bench_func("step", _step(arguments.step, is_timed=arguments.worker))
