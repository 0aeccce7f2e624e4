"""What a number means: one table of metrics for the whole project, and how values are written for people."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from harness.core.errors import UsageError, make_unknown_error

Direction = Literal["lower", "higher"]


@dataclass(frozen=True)
class Metric:
    """A kind of number: what it is called, its unit, and how two values of it are compared.

    Attributes:
        name: by which it is stored, and by which options and rules name it.
        unit: in storage (SI); ``1`` for a plain number.
        better: which direction is better; None where neither is, so that it is never compared.
        help: what it is, in a few words.
        margin: the relative change below which two values count as equivalent.
        floor: the absolute change, in the unit, below which they do.
        exact: whether the same code gives the same number each time, so that a comparison needs no interval.
        curve: whether its values are points in order, which have no median.
        label: by which tables and figures call it; the name, with spaces, where left out.

    Raises:
        UsageError: ``better`` is no direction.
    """

    name: str
    unit: str
    better: Direction | None
    help: str
    margin: float = 0.01
    floor: float = 0.0
    exact: bool = False
    curve: bool = False
    label: str = ""

    def __post_init__(self) -> None:
        if self.better not in (None, *get_args(Direction)):
            raise UsageError(f"metric '{self.name}': better is {self.better!r}; write 'lower', 'higher' or None")
        if not self.label:
            object.__setattr__(self, "label", self.name.replace("_", " "))


# The metrics that workloads declare, by workload and name.
Declared = Mapping[str, Mapping[str, Metric]]


# Margin, floor, exact: page rounding and slack move a peak by up to a megabyte, the order of additions moves an error.
_MEMORY = (0.02, float(1 << 20), True)
_ERROR = (0.25, 1e-12, True)
# Another order of additions in the first step is another path by the last one.
_LOSS = (0.01, 0.01, True)
_COUNT = (0.0, 0.0, True)
# Timed once a launch, so that there is no interval: only a change that no load explains is one.
_ONCE = (2.0, 1.0, True)

_METRICS = (
    Metric("time", "s", "lower", "time of one step: device events on CUDA, wall clock elsewhere"),
    Metric("cpu_time", "s", "lower", "CPU time of one step over all threads of all ranks", 0.05, label="CPU time"),
    Metric("rank_time", "s", None, "time of one step on each rank, one after the other; the slowest is the time"),
    Metric("forward_time", "s", None, "time of one step before its backward pass, under a profiler"),
    Metric("backward_time", "s", None, "time of one step in its backward pass, under a profiler"),
    Metric("optimizer_time", "s", None, "time of one step in its update, under a profiler"),
    Metric("communication_time", "s", None, "time of one step while ranks communicate, under a profiler"),
    Metric("exposed_communication_time", "s", None, "the part of the communication time in which nothing is computed"),
    Metric("overlap_share", "1", "higher", "share of the communication during which something is computed"),
    Metric("bytes_sent", "B", "lower", "what a rank sends in one step, as a ring would", *_COUNT),
    Metric("start_skew", "s", None, "time from the first rank's start of a sample to the last rank's"),
    Metric("host_time", "s", "lower", "time that the host spends in the call of one step on CUDA"),
    Metric("first_call", "s", "lower", "set-up and first step in a process whose compilers have no cache", *_ONCE),
    Metric("first_call_cached", "s", "lower", "the same, where an earlier launch has filled the caches", *_ONCE),
    Metric("flops_per_s", "FLOP/s", "higher", "operations that the workload counts, over the time", label="throughput"),
    Metric(
        "hardware_flops_per_s", "FLOP/s", None, "operations carried out, over the time", label="hardware throughput"
    ),
    Metric("roof_share", "1", "higher", "least time that the roofline allows, over the time", label="% of roofline"),
    Metric("items_per_s", "1/s", "higher", "sequences, images or tokens of a step over the time", label="items/s"),
    Metric("efficiency", "1", "higher", "throughput of ranks over one process's, for each processor they use more"),
    Metric("bytes_per_s", "B/s", "higher", "least memory traffic of the workload over the time", label="traffic"),
    Metric("algorithm_bandwidth", "B/s", "higher", "size of what ranks exchange over the time"),
    Metric("bus_bandwidth", "B/s", "higher", "what must cross each rank's link over the time"),
    Metric("peak_memory", "B", "lower", "peak resident host memory of set-up and steps, above the inputs", *_MEMORY),
    Metric("peak_allocated", "B", "lower", "peak of the host allocator over one step", *_MEMORY),
    Metric("device_peak_allocated", "B", "lower", "peak of the CUDA caching allocator's live blocks", *_MEMORY),
    Metric("device_peak_reserved", "B", "lower", "peak of what the CUDA caching allocator holds", *_MEMORY),
    Metric("device_used_delta", "B", "lower", "growth of the device's used memory, context included", *_MEMORY),
    Metric("max_abs_error", "1", "lower", "largest error against float64", *_ERROR, label="largest error"),
    Metric("rms_error", "1", "lower", "root-mean-square error against float64", *_ERROR, label="RMS error"),
    Metric("grad_max_abs_error", "1", "lower", "largest error of a gradient", *_ERROR, label="largest gradient error"),
    Metric("loss_error", "1", "lower", "relative error of the loss of one step against the float64 one", *_ERROR),
    Metric(
        "gradient_error",
        "1",
        "lower",
        "distance of the gradients from float64's",
        *_ERROR,
        label="relative gradient error",
    ),
    Metric("gradient_cosine", "1", None, "cosine of the gradients with the float64 ones"),
    Metric("vanished_gradients", "1", "lower", "share of the gradients that are zero and should not be", *_ERROR),
    Metric("loss", "1", "lower", "loss that some steps of training come to, mean over seeds", *_LOSS),
    Metric("loss_low", "1", None, "loss that the best seed comes to", label="lowest loss"),
    Metric("loss_high", "1", None, "loss that the worst seed comes to", label="highest loss"),
    Metric("loss_curve", "1", None, "loss of each step of training, mean over seeds", curve=True),
    Metric("loss_curve_low", "1", None, "loss of the best seed at each step", curve=True),
    Metric("loss_curve_high", "1", None, "loss of the worst seed at each step", curve=True),
    Metric("skipped_steps", "1", "lower", "updates left out for an overflow, mean over seeds", 0.25, 1.0, True),
    Metric("final_scale", "1", None, "factor on the loss after some steps of training"),
    Metric("weight_memory", "B", "lower", "parameters, with masters in another dtype", *_MEMORY),
    Metric("gradient_memory", "B", "lower", "gradients of parameters and masters", *_MEMORY),
    Metric("optimizer_memory", "B", "lower", "what the optimiser keeps of each parameter", *_MEMORY),
    Metric("activation_memory", "B", "lower", "what a forward pass keeps for the backward pass", *_MEMORY),
    Metric("tokens_per_step", "1", "higher", "tokens that a forward pass adds to a text", label="tokens/pass"),
    Metric("guesses_per_step", "1", None, "draft tokens that a forward pass accepts", label="accepted/pass"),
    Metric("guesses_verified", "1", None, "draft tokens that a forward pass verifies", label="drafted/pass"),
    Metric("acceptance", "1", None, "share of forward passes that accept the draft token at each position", curve=True),
    Metric("made_share", "1", None, "items made over those that were asked for", label="completed fraction"),
    Metric("draft_share", "1", "lower", "share of the time after the first token that drafting takes", 0.25, 0.02),
    Metric("step_overhead", "1", "lower", "time of a pass, drafts included, over one without", 0.1, label="cost/pass"),
    Metric("lossless", "1", None, "1 where what is made is distributed as the model has it, 0 where it is not"),
    Metric("draft_parameters", "1", None, "parameters that a method has learnt for drafting"),
    Metric("training_flops", "FLOP", None, "operations of products that the draft parameters were trained with"),
    Metric("units_behind", "1", None, "units in the last place that a token is behind the likeliest"),
    Metric("time_to_first_token", "s", "lower", "time until the first token of each text of a batch", 0.1),
    Metric("energy_gross", "J", "lower", "energy of a step, idle power included (gross)", 0.02, label="energy"),
    Metric("energy_net", "J", "lower", "energy of a step, less that of the idle device", 0.02, label="net energy"),
    Metric("power_mean", "W", None, "mean power while the step is looped", label="mean power"),
    Metric("power_idle", "W", None, "power of the idle device, before and after the run", label="idle power"),
    Metric("flops_per_joule", "FLOP/J", "higher", "operations of the workload over the energy", label="operations/J"),
    Metric("energy_per_item", "J", "lower", "energy over sequences, images or tokens", 0.02, label="energy/item"),
    Metric("registers", "1", "lower", "registers of one thread of a kernel", *_COUNT),
    Metric("spill_stores", "B", "lower", "what a thread of a kernel writes for want of registers", *_COUNT),
    Metric("spill_loads", "B", "lower", "what a thread of a kernel reads back of its spills", *_COUNT),
    Metric("shared_memory", "B", "lower", "shared memory of one program, static and dynamic", *_COUNT),
    Metric("occupancy", "1", "higher", "share of the resident warps that a kernel can fill", *_COUNT),
    Metric("instructions", "1", "lower", "instructions in the machine code of a kernel", *_COUNT),
    Metric(
        "tensor_core_share",
        "1",
        "higher",
        "share of the instructions that are the matrix units'",
        *_COUNT,
        label="tensor cores",
    ),
    Metric("compile_time", "s", None, "time that the compiler took for one kernel, once and from nothing"),
    Metric("sm_clock", "Hz", None, "clock of the GPU's multiprocessors after a turn", label="GPU clock"),
    Metric("memory_clock", "Hz", None, "clock of the GPU's memory after a turn", label="GPU memory clock"),
    Metric("temperature", "degC", None, "temperature of the GPU after a turn", label="GPU temperature"),
    Metric("power", "W", None, "power of the GPU at the end of a turn, as its sensor says", label="GPU power"),
    Metric("throttle_reasons", "1", None, "why the driver holds the GPU's clocks down after a turn, a bit mask"),
    Metric("preemptions", "1", None, "involuntary context switches of the worker in a turn"),
    Metric("swapped_pages", "1", None, "pages that the machine moved to or from swap in a turn"),
    Metric("steal_share", "1", None, "share of the CPU time in a turn", label="CPU taken by the hypervisor"),
    Metric("others_share", "1", None, "share of the CPU time in a turn", label="CPU used by others"),
)
METRICS = {metric.name: metric for metric in _METRICS}

PRIMARY = "time"
# Work over time, and all that follows from another metric: what is said of that is said of them.
RATES = (
    *("flops_per_s", "hardware_flops_per_s", "bytes_per_s", "items_per_s"),
    *("algorithm_bandwidth", "bus_bandwidth"),
)
DERIVED = (*RATES, "roof_share", "efficiency", "flops_per_joule", "energy_per_item", "energy_net")

_SI = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"))
# Whole numbers below this are counts, and written with all their digits.
_COUNTED = 1e9
_BINARY = ((1 << 40, "Ti"), (1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki"), (1, ""))


def find_metric(name: str) -> Metric:
    """Return the metric of that name.

    Raises:
        UsageError: the harness has no such metric; the message has the nearest.
    """
    if name not in METRICS:
        raise make_unknown_error("metric", name, METRICS)
    return METRICS[name]


def find_recorded_metric(name: str, declared: Mapping[str, Metric]) -> Metric:
    """Return the metric of a recorded value: as its workload declared it, the harness's, or else a plain number."""
    return declared.get(name) or METRICS.get(name) or Metric(name, "1", None, "reported by the check", exact=True)


def index_by_name(metrics: Iterable[Metric]) -> dict[str, Metric]:
    """Return metrics by their names."""
    return {metric.name: metric for metric in metrics}


def write_declared(declared: Declared) -> dict[str, list[dict[str, Any]]]:
    """Return declared metrics as JSON-ready data."""
    return {workload: [asdict(metric) for metric in metrics.values()] for workload, metrics in declared.items()}


def read_declared(data: Mapping[str, Iterable[Mapping[str, Any]]]) -> Declared:
    """Rebuild declared metrics from :func:`declared_to_json`."""
    return {workload: index_by_name(Metric(**metric) for metric in metrics) for workload, metrics in data.items()}


def format_value(value: float, unit: str) -> str:
    """Write a value with a prefix that suits it: ``1.23 ms``, ``17.0 MiB``, ``182 GFLOP/s``, ``3.1e-07``."""
    if not math.isfinite(value):
        return str(value)
    if unit == "1":
        return f"{value:.0f}" if value.is_integer() and abs(value) < _COUNTED else f"{value:.2g}"
    scales = _BINARY if unit == "B" else _SI
    size = abs(value)
    factor, prefix = next(((f, p) for f, p in scales if size >= f * 0.9995), scales[-1] if size else (1.0, ""))
    return f"{format_number(value / factor)} {prefix}{unit}"


def format_number(value: float) -> str:
    """Write a number with three significant digits: ``0.980``, ``12.3``, ``4110``, and ``2.1e-05`` where it is tiny."""
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    if abs(value) < 0.001:
        return f"{value:.1e}"
    rounded = float(f"{value:.3g}")
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(rounded))))}f}"
