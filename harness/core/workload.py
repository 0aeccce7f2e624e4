"""What is computed (a workload) and how (an implementation): the types that contributors fill in."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from harness.core.axis import Axis, Scalar
from harness.core.errors import UsageError, make_unknown_error
from harness.core.metric import METRICS, Metric

Params = Mapping[str, Scalar]
Step = Callable[[], Any]
Builder = TypeVar("Builder", bound=Callable[[Any], Step])
Count = Callable[[Params], float]
Kernels = Callable[[Params], "Sequence[Kernel]"]

MARK = "__benchwright__"


@dataclass(frozen=True)
class Cost:
    """The work that one step asks for, whoever does it.

    Attributes:
        flops: floating-point operations; zero where none are counted.
        bytes: the least traffic to main memory: each input read once, each output written once.
        items: what is worked on, such as sequences, images or tokens; zero where a step is not of so many.
        message_bytes: size of what ranks exchange, as each has it; zero where a step is no exchange.
        bus_bytes: what of it must cross each rank's link, in the direction that carries more, whatever the algorithm.
    """

    flops: float = 0.0
    bytes: float = 0.0
    items: float = 0.0
    message_bytes: float = 0.0
    bus_bytes: float = 0.0


@dataclass(frozen=True)
class Reference:
    """The right answer for one set of inputs, and how far from it an answer may lie.

    Attributes:
        value: a tensor, or a sequence or mapping of tensors, in float64 where values are rounded; or, for an output of
            several kinds, a mapping of references by name, in the order in which the output has them. The errors
            of the kind ``grad`` are then ``grad_max_abs_error``; those of a kind without a name have the plain names.
        dtype: the dtype that the output must have, e.g. ``torch.bfloat16``; None accepts any.
        max_abs_error: the largest error that any element may have; or, for a mapping of tensors, one for each of them.
        optional: whether an output may end before this kind.
    """

    value: Any
    dtype: Any = None
    max_abs_error: float | Mapping[str, float] = 0.0
    optional: bool = False


@dataclass(frozen=True)
class Check:
    """What a check found.

    Attributes:
        errors: the errors, and what else it measured, by the names of metrics: the harness's or the workload's own
            (:attr:`Workload.metrics`); another name becomes a plain number, and is said to. A sequence of values is a
            curve.
        fault: in words; empty where there is none.
    """

    errors: Mapping[str, float | Sequence[float]]
    fault: str = ""


@dataclass(frozen=True)
class Published:
    """What others measured: a figure to stand beside one's own, never to be taken for it.

    Attributes:
        figure: with its unit.
        setting: device, dtype, shapes: what it was measured of.
        source: where it is published.
    """

    figure: str
    setting: str
    source: str


@dataclass(frozen=True)
class Training:
    """What some implementations of a workload have learnt before they can run.

    Attributes:
        methods: what can be trained.
        train: ``(method, model, seed, budget_s, resume, tell) -> path`` of what was learnt; ``resume`` goes on from
            what there is, ``tell`` is told the share that is over, and what of. Raises ValueError or OSError where a
            model cannot be had, or nothing is there to go on from.
        model: what is trained for where nothing is said.
    """

    methods: tuple[str, ...]
    train: Callable[[str, str, int, float, bool, Callable[[float, str], None]], Any]
    model: str


@dataclass(frozen=True)
class Workload:
    """What is computed.

    Attributes:
        name: a lower-case identifier.
        help: one sentence.
        axes: the dimensions of the question.
        make_inputs: ``(params, device, generator) -> inputs``; every random tensor comes from the generator (a
            CPU ``torch.Generator``), so that a seed fixes the inputs on any device.
        reference: ``inputs -> Reference``.
        baseline: the implementation that ratios are taken to.
        cost: ``params -> Cost``.
        input_bytes: ``params -> int``, the memory that the inputs take.
        check: ``(output, Reference) -> Check``; None compares tensors element by element.
        examine: ``(output, Reference) -> Check``, what one output cannot show: done with an output of its own, once a
            run and before anything is timed, in a process that is not timed.
        settle: ``params -> params``, one spelling for each question, so that two ways to ask it are one case; raises
            ValueError with the reason where a point makes no question.
        published: what others measured, to be read beside one's own figures.
        training: how implementations learn, where some do.
        metrics: what its check and its examination measure that the harness has no metric for. Each has a column, and
            one with a better direction is compared, by its margin.

    Raises:
        UsageError: a metric has no valid name, has a name that the harness uses, or is declared twice.
    """

    name: str
    help: str
    axes: tuple[Axis, ...]
    make_inputs: Callable[[Params, str, Any], Any]
    reference: Callable[[Any], Reference]
    baseline: str
    cost: Callable[[Params], Cost] = lambda params: Cost()
    input_bytes: Callable[[Params], int] = lambda params: 0
    check: Callable[[Any, Reference], Check] | None = None
    examine: Callable[[Any, Reference], Check] | None = None
    settle: Callable[[Params], Params] = lambda params: params
    published: tuple[Published, ...] = ()
    training: Training | None = None
    metrics: tuple[Metric, ...] = ()

    def __post_init__(self) -> None:
        names = [metric.name for metric in self.metrics]
        for name in names:
            if not name.isidentifier():
                raise UsageError(f"workload '{self.name}': metric '{name}' needs a name such as 'tokens_kept'")
            if name in METRICS:
                raise UsageError(f"workload '{self.name}': metric '{name}' is the harness's own; choose another name")
            if names.count(name) > 1:
                raise UsageError(f"workload '{self.name}': metric '{name}' is declared twice")

    def point(self, params: Params) -> tuple[tuple[str, Scalar], ...]:
        """Return what names a case: its values in the order of the axes, less those that are implied."""
        named = (axis for axis in self.axes if not axis.implied or params[axis.name] != axis.parse(axis.default))
        return tuple((axis.name, params[axis.name]) for axis in named)

    def params(self, point: Params) -> Params:
        """Return the value of every axis, given what names a case.

        Raises:
            UsageError: it names an axis that the workload does not have.
        """
        axes = [axis.name for axis in self.axes]
        if foreign := [name for name in point if name not in axes]:
            raise make_unknown_error(f"axis of {self.name}", foreign[0], axes)
        return {axis.name: axis.parse(axis.default) for axis in self.axes if axis.implied} | dict(point)


@dataclass(frozen=True)
class Requires:
    """When an implementation can run.

    Attributes:
        device: ``"cuda"`` or ``"cpu"``; None runs on either.
        capability: the least CUDA compute capability, e.g. ``(8, 0)``.
        modules: importable modules that it needs.
        memory: ``params -> bytes`` beyond the inputs at the peak of a step, of all ranks together, so that a case
            that cannot fit is skipped and not attempted.
        world_size: ``params -> ranks``, the processes that take a step together under ``torch.distributed``, which is
            set up when the implementation is; None is one process, without.
        unsupported: ``(params, device kind) -> reason``; an empty reason means that the point is supported.
    """

    device: str | None = None
    capability: tuple[int, int] | None = None
    modules: tuple[str, ...] = ()
    memory: Callable[[Params], int] | None = None
    world_size: Callable[[Params], int] | None = None
    unsupported: Callable[[Params, str], str] | None = None


@dataclass(frozen=True)
class Kernel:
    """A Triton kernel as a step would launch it, so that its machine code can be made where there is no device.

    Attributes:
        function: what ``triton.jit`` returned.
        arguments: by name, the type of each pointer (``"*bf16"``) and the value of everything else. As in a launch,
            a whole number that is 1 or a multiple of 16 is compiled as such, and tensors are taken to be aligned.
        options: those of the launch: ``num_warps``, ``num_stages`` ...
        label: what tells this configuration from others of the function: ``"128x64"``.
    """

    function: Any
    arguments: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""


@dataclass(frozen=True)
class Mark:
    """What the decorator leaves on a function for the catalog to find."""

    workload: str
    name: str
    requires: Requires
    executes: str
    hardware_flops: Count | None = None
    kernels: Kernels | None = None
    dtype: str = ""


@dataclass(frozen=True)
class Implementation:
    """How a workload is computed: ``build(inputs)`` sets up, and the step it returns is what is timed."""

    workload: str
    name: str
    help: str
    requires: Requires
    build: Callable[[Any], Step]
    source: str
    executes: str = ""
    hardware_flops: Count | None = None
    kernels: Kernels | None = None
    dtype: str = ""


def implementation(
    workload: str,
    *,
    name: str = "",
    requires: Requires | None = None,
    executes: str = "",
    hardware_flops: Count | None = None,
    kernels: Kernels | None = None,
    dtype: str = "",
) -> Callable[[Builder], Builder]:
    """Mark a function as an implementation of a workload, and return it unchanged.

    The function takes the workload's inputs, does its set-up, and returns a callable without arguments: the
    timed step. The first line of its docstring is its help.

    Args:
        workload: the workload's name.
        name: the implementation's name; the function's own by default.
        requires: when it can run.
        executes: a regular expression that the name of an operator or kernel of each step must contain, so that a
            request which was not honoured is flagged; empty where any will do.
        hardware_flops: ``params -> operations`` that a step carries out, where they are other than the workload's cost:
            what it computes once more, or computes and throws away (Chowdhery et al. 2022, appendix B, tells the
            hardware's FLOPs from the model's).
        kernels: ``params -> kernels``, one for each configuration that a step may launch at that point. It is called
            by ``bench inspect`` alone, and may import triton.
        dtype: of its products, where that is the implementation's choice and no axis: which roof it is held against.

    Raises:
        UsageError: the object cannot carry a mark (a lambda or a builtin), or carries one already.
    """

    def mark(build: Builder) -> Builder:
        own = name or getattr(build, "__name__", "")
        if not own.isidentifier() or not inspect.isfunction(build):
            raise UsageError(f"{build!r} cannot be an implementation: expected a named function")
        if MARK in build.__dict__:
            raise UsageError(f"{own} is marked as an implementation twice")
        build.__dict__[MARK] = Mark(workload, own, requires or Requires(), executes, hardware_flops, kernels, dtype)
        return build

    return mark
