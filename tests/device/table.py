"""The steps of the device check, in the order in which they run."""

from __future__ import annotations

from typing import NamedTuple

# What a call may take, from the start of run.sh on.
CALL_S = 340


class Step(NamedTuple):
    """One step.

    Attributes:
        call: 1 or 2.
        limit_s: when it is killed.
        run: ``module:function`` in this folder; the function takes a Report.
        expected: the figures that it should come to, for the table of results.
        file: where its figures are kept.
        cuda: whether it says nothing without a CUDA device.
    """

    name: str
    call: int
    limit_s: int
    run: str
    expected: str
    file: str = "figures.json"
    cuda: bool = False


STEPS = (
    Step("machine", 1, 14, "machine:software",
         "torch 2.11+, Triton 3.6+, pandas 3+, gcc; H100: 132 SMs, L2 50 MB; H200: 132, 60 MB"),
    Step("doctor", 1, 8, "machine:doctor",
         "no check fails; bench list names the GPU"),
    Step("nvml", 1, 12, "machine:driver",
         "each read under 1 ms; the energy counter ticks every 20 to 100 ms", cuda=True),
    Step("clock", 1, 26, "clocks:agree",
         "10:1 within 1 %; modes within 3 % of do_bench; copy 2.6 to 3.1 TB/s; nothing under 3 us", "clock.json", True),
    Step("flush", 1, 8, "clocks:flush",
         "no step is slower after a clean flush than after a dirty one; flat from 2 L2 on", "clock.json", True),
    Step("waits", 1, 8, "clocks:waits",
         "flags exposed and side_stream; wall under 3 times the steps", "clock.json", True),
    Step("calibration", 1, 26, "runs:calibration",
         "all ok; os_threads 1; twins' ratio holds 1; slower 2 % +-1"),
    Step("modes", 1, 22, "runs:modes",
         "all ok in hot, graph and host; slower 2 % +-1 in each", cuda=True),
    Step("memory", 1, 9, "runs:memory",
         "allocated 64 MiB and 1 GiB exactly; reserved within 2 MiB", "memory.json"),
    Step("forward", 1, 38, "runs:forward",
         "all ok, none not_as_requested; flash_triton's first call 12 s"),
    Step("backward", 1, 50, "runs:backward",
         "all ok, none not_as_requested; flash_triton's first call 32 s"),
    Step("compiled", 1, 32, "runs:compiled",
         "naive_compiled and flex_attention ok in both passes"),
    Step("dtypes", 1, 14, "kernels:dtypes",
         "tf32, fp32 and fp16 within their bounds; tf32 rounds (2^-11) and does not cut (2^-10)"),
    Step("graph", 1, 20, "runs:graph",
         "ok, or an error in one clear line", cuda=True),
    Step("hostile", 1, 40, "runs:hostile",
         "timeout, error, error, oom, incorrect, incorrect, incorrect, error; then a good case ok"),
    Step("grid_forward", 2, 62, "kernels:grid_forward",
         "flash_triton over sdpa_flash at 16k: 0.95 (d 128), 0.85 (d 64); cold within 3 % of do_bench"),
    Step("grid_backward", 2, 38, "kernels:grid_backward",
         "TFLOP/s at 16k: sdpa_flash 220 to 260, sdpa_cudnn 330 to 430, flash_triton 130 to 190"),
    Step("path", 2, 48, "runs:path",
         "intervals of times under 1 %; 500 to 700 W; no meters_disagree"),
    Step("energy", 2, 24, "energy:known_load",
         "three ways within 3 %; idle 65 to 130 W", cuda=True),
    Step("roofs", 2, 24, "kernels:roofs",
         "TFLOP/s: bf16, fp16 700 to 800, tf32 350 to 450, fp32, fp64 50 to 62; 2.7 to 3.1 TB/s; a launch 3 to 5 us"),
    Step("precision", 2, 44, "runs:precision",
         "all ok but perhaps fp16_pure; bf16_amp at base 2 to 4 times as fast as fp32_highest"),
    Step("decoding", 2, 26, "runs:decoding",
         "all ok; 3 to 6 ms a pass"),
    Step("gate", 2, 40, "runs:gate",
         "the twin is not red, the slowed one is"),
    Step("readme", 2, 18, "runs:readme",
         "all ok, and a report without an error"),
)  # fmt: skip
# The end of each call, for which time is kept back.
BUNDLE = Step("bundle", 0, 8, "runs:bundle", "runs.zip under 16 MiB")


def steps_of(call: int) -> tuple[Step, ...]:
    """Return the steps of a call, without the bundle at its end."""
    return tuple(step for step in STEPS if step.call == call)
