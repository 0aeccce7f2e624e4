"""Turns a selection into groups of cases, each with the reason why it will not run, or none."""

from __future__ import annotations

import itertools
import operator
import reprlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.core.case import Case, Group, PlannedCase, describe_point
from harness.core.errors import UsageError, make_unknown_error
from harness.core.metric import format_value, index_by_name
from harness.core.suite import Mode
from harness.detect import has_module, read_available_memory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.catalog import Catalog
    from harness.core.environment import Environment
    from harness.core.metric import Declared, Metric
    from harness.core.suite import Policy, Selection
    from harness.core.workload import Implementation, Params, Requires, Workload

# Leave this share of the free memory to everything that is not predicted.
_USABLE = 0.9
# What one more worker takes before it has done anything: its own pages of a forked interpreter with torch, or a CUDA
# context with the buffer that flushes L2.
_WORKER = {"cpu": 64 << 20, "cuda": 600 << 20}
# More bytes, or ranks, than any machine has.
_UNLIKELY = 1 << 62


@dataclass(frozen=True)
class Plan:
    """What a run will measure, and how; the policy names the device and the mode, and leaves nothing to choose.

    Attributes:
        metrics: those that its workloads declare.
    """

    groups: tuple[Group, ...]
    policy: Policy
    metrics: Declared = field(default_factory=dict)

    @property
    def runnable(self) -> int:
        """The number of cases that will run."""
        return sum(len(group.runnable) for group in self.groups)

    @property
    def estimate_s(self) -> float:
        """The measuring time at most: the budget of every case, without launches, checks and warm-up."""
        return self.runnable * self.policy.budget_s


def make_plan(
    catalog: Catalog, selections: Iterable[Selection], policy: Policy, environment: Environment, *, sides: int = 1
) -> Plan:
    """Resolve names and values, and find out for every case whether it can run here.

    Args:
        catalog: what there is.
        selections: what is wanted of it.
        policy: how it is to be measured.
        environment: the machine.
        sides: versions of each case that will take turns.

    Raises:
        UsageError: a name, a value or the device does not exist, or the mode does not fit the device.
    """
    policy = _resolved(policy, environment)
    groups: dict[str, Group] = {}
    metrics: dict[str, dict[str, Metric]] = {}
    for selection in selections:
        workload = catalog.workload(selection.workload)
        metrics[workload.name] = index_by_name(workload.metrics)
        wanted = choose_implementations(catalog, selection)
        for params in expand_points(workload, selection):
            group = _group(workload, wanted, params, policy, environment)
            known = groups.get(group.id)
            groups[group.id] = _merged(known, group) if known else group
    return fit_plan(Plan(tuple(groups.values()), policy, metrics), environment, sides)


def _resolved(policy: Policy, environment: Environment) -> Policy:
    """Replace every ``auto`` by what this machine makes of it."""
    kind, _, index = policy.device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (index and (kind != "cuda" or not index.isdecimal())):
        raise make_unknown_error("device", policy.device, ("auto", "cpu", "cuda", "cuda:0"))
    missing = explain_missing_cuda(environment)
    if kind == "auto":
        kind = "cpu" if missing else "cuda"
    if kind == "cuda" and missing:
        raise UsageError(f"--device {policy.device}: {missing}; did you mean 'cpu'?")
    count = len(environment.gpus)
    if kind == "cuda" and int(index or 0) >= count:
        there = "is 1 GPU" if count == 1 else f"are {count} GPUs"
        raise UsageError(f"--device {policy.device}: there {there}; did you mean 'cuda:0'?")
    if kind == "cpu" and policy.mode not in (Mode.AUTO, Mode.HOST):
        raise UsageError(f"--mode {policy.mode} needs a CUDA device; on the CPU the mode is 'host'")
    mode = (Mode.COLD if kind == "cuda" else Mode.HOST) if policy.mode == Mode.AUTO else policy.mode
    device = f"cuda:{int(index or 0)}" if kind == "cuda" else "cpu"
    return replace(policy, device=device, mode=mode, threads=policy.threads or environment.cpus_usable)


def explain_missing_cuda(environment: Environment) -> str:
    """Return why there is no CUDA here; empty where there is."""
    if not environment.gpus:
        return f"no CUDA device here ({environment.gpu_reason})"
    if not environment.torch_cuda:
        return "this build of torch has no CUDA"
    return ""


def describe_requirements(requires: Requires) -> str:
    """Write what an implementation requires, whether this machine has it or not: ``CUDA 8.0+, triton``."""
    cuda = "CUDA" + (f" {'.'.join(map(str, requires.capability))}+" if requires.capability else "")
    devices = {"cuda": cuda, "cpu": "CPU"}.get(requires.device or "", f"CPU or {cuda}")
    return ", ".join((devices, *requires.modules))


def find_unmet_requirement(requires: Requires, environment: Environment, device: str | None = None) -> str:
    """Return the first requirement that this machine does not meet; empty where all are met.

    Args:
        requires: what the implementation needs.
        environment: what the machine has.
        device: the device of the run; None asks about the machine as a whole.
    """
    kind, _, index = (device or requires.device or "cpu").partition(":")
    if requires.device == "cuda" and (missing := explain_missing_cuda(environment)):
        return f"needs CUDA: {missing}"
    if requires.device and requires.device != kind:
        return f"needs {requires.device}, and the run is on {kind}"
    if (
        requires.capability
        and kind == "cuda"
        and (gpu := environment.gpus[int(index or 0)]).capability < requires.capability
    ):
        needed, has = (".".join(map(str, pair)) for pair in (requires.capability, gpu.capability))
        return f"needs compute capability {needed}, and {gpu.name} has {has}"
    if absent := [name for name in requires.modules if not has_module(name)]:
        return f"needs the module{'s' if len(absent) > 1 else ''} {', '.join(absent)}"
    return ""


def choose_implementations(catalog: Catalog, selection: Selection) -> list[Implementation]:
    """Return the implementations of a selection, or raise UsageError for a name that there is not."""
    if selection.implementations:
        return [catalog.implementation(selection.workload, name) for name in dict.fromkeys(selection.implementations)]
    return list(catalog.implementations.get(selection.workload, {}).values())


def expand_points(workload: Workload, selection: Selection) -> Iterable[Params]:
    """Yield every point of a selection's sweep, or raise UsageError for an axis or a value that there is not."""
    axes = {axis.name: axis for axis in workload.axes}
    for name in selection.axes:
        if name not in axes:
            raise make_unknown_error(f"axis of {workload.name}", name, axes)
    values = [axis.values(selection.axes.get(axis.name, axis.default)) for axis in workload.axes]
    for combination in itertools.product(*values):
        yield dict(zip(axes, combination, strict=True))


def _group(
    workload: Workload, wanted: list[Implementation], params: Params, policy: Policy, environment: Environment
) -> Group:
    """Plan every implementation at a point; one that makes no question is a reason to skip them all."""
    try:
        params, fault = workload.settle(params), ""
    except ValueError as error:
        fault = str(error)
    cases = [
        PlannedCase(Case(workload.name, one.name, workload.point(params)), skip=fault)
        if fault
        else _planned(workload, one, params, policy, environment)
        for one in wanted
    ]
    cases.sort(key=lambda planned: planned.case.implementation != workload.baseline)
    return Group(f"{workload.name}[{describe_point(workload.point(params))}]", workload.baseline, tuple(cases))


def _planned(
    workload: Workload, one: Implementation, params: Params, policy: Policy, environment: Environment
) -> PlannedCase:
    """Ask an implementation's requirements about a point; what they raise is a reason to skip it."""
    case, memory, ranks = Case(workload.name, one.name, workload.point(params)), None, 1
    device, name = policy.device, f"{workload.name}/{one.name}"
    try:
        cost = workload.cost(params)
        carried_out = one.hardware_flops(params) if one.hardware_flops else 0.0
        if one.requires.world_size:
            ranks = _whole("ranks", f"world_size= of {name}", one.requires.world_size(params), least=1)
        skip = find_unmet_requirement(one.requires, environment, device) or _too_few(
            policy.on_a_host(ranks), device, environment
        )
        if one.requires.unsupported and not skip:
            skip = one.requires.unsupported(params, device.partition(":")[0]) or ""
            if not isinstance(skip, str):
                raise UsageError(f"unsupported= of {name} returned {reprlib.repr(skip)}; a reason in words is needed")
        if one.requires.memory:
            inputs = _whole("bytes", f"input_bytes= of {workload.name}", workload.input_bytes(params))
            memory = ranks * inputs + _whole("bytes", f"memory= of {name}", one.requires.memory(params))
    except UsageError as error:
        return PlannedCase(case, skip=f"what it requires cannot be told: {error}")
    except Exception as error:
        return PlannedCase(case, skip=f"what it requires cannot be told: {type(error).__name__}: {error}")
    return PlannedCase(case, cost, memory, skip, hardware_flops=carried_out, dtype=one.dtype, world_size=ranks)


def _whole(unit: str, declaration: str, value: object, least: int = 0) -> int:
    """Return a declared number of bytes or of ranks, or raise UsageError if it is not a whole number within limits."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = -1
    if not least <= number < _UNLIKELY:
        raise UsageError(f"{declaration} returned {reprlib.repr(value)}; a whole number of {unit} is needed")
    return number


def _too_few(ranks: int, device: str, environment: Environment) -> str:
    """Return why a host has not so many GPUs, one for each rank from the run's on; empty where it has."""
    kind, _, index = device.partition(":")
    there = len(environment.gpus) - int(index or 0)
    return f"needs {ranks} GPUs from {device} on, and there are {there}" if kind == "cuda" and there < ranks else ""


def _merged(first: Group, second: Group) -> Group:
    """Join two selections of the same question, each case once."""
    known = {planned.case for planned in first.cases}
    return replace(first, cases=first.cases + tuple(p for p in second.cases if p.case not in known))


def _free_memory(device: str, environment: Environment) -> int:
    if device == "cpu":
        return read_available_memory()
    return environment.gpus[int(device.partition(":")[2])].memory_free


def fit_plan(plan: Plan, environment: Environment, sides: int) -> Plan:
    """Return the plan for so many versions of each case that take turns: what fits the memory, and how."""
    return replace(plan, groups=tuple(_fitted(group, plan.policy.device, environment, sides) for group in plan.groups))


def _fitted(group: Group, device: str, environment: Environment, sides: int) -> Group:
    """Skip cases that cannot fit even alone, and take turns only where all others fit side by side."""
    free = _free_memory(device, environment)
    worker = _WORKER[device.partition(":")[0]]
    cases = tuple(
        replace(planned, skip=_too_large(planned.memory, free // sides)) if not planned.skip else planned
        for planned in group.cases
    )
    group = replace(group, cases=cases)
    together = sides * sum((planned.memory or 0) + worker * planned.world_size for planned in group.runnable)
    return replace(group, interleaved=together <= free * _USABLE)


def _too_large(memory: int | None, free: int) -> str:
    if memory is None or memory <= free * _USABLE:
        return ""
    return f"needs {format_value(memory, 'B')} of memory, and {format_value(free * _USABLE, 'B')} can be used"
