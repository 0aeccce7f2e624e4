"""What a worker does with its case, a method for each pass that the parent can order."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from harness.catalog import load_catalog
from harness.core.errors import UsageError
from harness.core.flag import Flag
from harness.core.metric import PRIMARY, index_by_name
from harness.core.trial import ABSENT, Sample
from harness.launch.worker.checking import compare_output, walk_tensors
from harness.launch.worker.energy import measure_step
from harness.launch.worker.gang import sample_at
from harness.launch.worker.injected import slow_down
from harness.probes.cuda_events import CudaClock
from harness.probes.device_memory import measure_device_peaks
from harness.probes.executed import read_settings, record_executed, shorten_names
from harness.probes.host_memory import measure_peak_allocated, measure_peak_resident
from harness.probes.machine import TurnMonitor
from harness.probes.meter import MeterError
from harness.probes.open_meter import open_device
from harness.probes.phases import has_phases, measure_phases
from harness.probes.wallclock import WallClock
from harness.sampler import Pace, take_turn, warm_up_step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.core.workload import Check, Implementation, Params, Reference, Step, Workload
    from harness.launch.worker.gang import Gang
    from harness.probes import Clock
    from harness.probes.nvml import Device


class CaseWorker:
    """One case in a process of its own.

    Args:
        spec: ``workload``, ``implementation``, ``params``, ``device``, ``mode``, ``threads``, ``seed``,
            ``sources``, ``planted``, ``revision`` (whether the content is another revision's, which may lack the case)
            and ``reference`` (the path of the reference files without ``.<draw>``).
        gang: the ranks that it is one of.
    """

    def __init__(self, spec: Mapping[str, Any], gang: Gang) -> None:
        self._spec = spec
        self._gang = gang
        self._threads_before: set[int] = set()
        self._inputs: Any = None
        self._step: Step = lambda: None
        self._settings = read_settings()
        self._gpu: Device | None = None
        # What the parent keeps beside samples.
        self.observed: dict[str, Any] = {}
        # What the workload's own check reports, which may be no metric of the harness.
        self.reported: set[str] = set()
        self._pace = Pace(1, 0.0, steady=True)

    def answer(self) -> list[Sample]:
        """Do nothing; the leader learns by that how far the clock of another host is from its own."""
        return []

    def prepare(self) -> list[Sample]:
        """Set torch up and look the workload up; the first order of every worker."""
        torch.set_num_threads(self._spec["threads"])
        # Each case of a run has caches of its own, which are gone with the run: what compiling takes does not hang on
        # what this machine compiled before.
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = self._compiled
        os.environ["TRITON_CACHE_DIR"] = os.path.join(self._compiled, "triton")
        if self._on_cuda:
            torch.cuda.set_device(self._spec["device"])
            with contextlib.suppress(MeterError):
                self._gpu = open_device(self._spec["device"])
        self._catalog = load_catalog(self._spec["sources"], lazily=False)
        self._look_up(lambda: self._params)
        self._gang.metrics = index_by_name(self._workload.metrics)
        self._gang.join(self._spec["device"])
        clock = CudaClock(self._spec["device"], self._spec["mode"]) if self._on_cuda else WallClock()
        self._clock: Clock = self._gang.clock(clock)
        self._threads_before = {thread.ident or 0 for thread in threading.enumerate()}
        return []

    def reference(self) -> list[Sample]:
        """Compute the right answers for both draws of the inputs, and leave them in files."""
        for draw in (0, 1):
            answer = self._workload.reference(self._make_inputs(draw))
            path = f"{self._spec['reference']}.{draw}"
            os.makedirs(os.path.dirname(path), exist_ok=True)  # should an implementation have removed it
            torch.save(answer, f"{path}.{os.getpid()}")
            os.replace(f"{path}.{os.getpid()}", path)
        return []

    def check(self) -> list[Sample]:
        """Set the case up, run it once, and compare with the reference. Nothing is timed unless this passes."""
        self._look_up(lambda: self._implementation)
        self._inputs = self._make_inputs(0)
        metric = "first_call_cached" if os.path.exists(self._compiled) else "first_call"
        os.makedirs(self._compiled, exist_ok=True)
        started = time.perf_counter()
        self._step = self._build(self._inputs)
        output = self._step()
        if self._on_cuda:
            torch.cuda.synchronize(self._spec["device"])
        samples = [Sample(metric, time.perf_counter() - started), *self._compare(output, draw=0)]
        if share := self._spec["planted"]:
            self._step = slow_down(self._step, share, self._spec["device"])
        return samples

    def memory(self) -> list[Sample]:
        """Measure the peak over set-up and a step, above the inputs."""
        inputs = self._make_inputs(0)

        def region() -> None:
            self._build(inputs)()

        peaks = (
            measure_peak_resident(region, 0.0) if self._gang.size > 1 else measure_peak_resident(region)
        )  # ranks meet in a region
        peaks |= measure_device_peaks(self._spec["device"], region) if self._on_cuda else measure_peak_allocated(region)
        return [Sample(metric, value) for metric, value in peaks.items()]

    def examine(self) -> list[Sample]:
        """Carry out the workload's longer examination of an output, where it has one."""
        if not self._workload.examine:
            return []
        return self._judged(self._workload.examine, self._build(self._make_inputs(0))(), draw=0)

    def executed(self) -> list[Sample]:
        """Find out what a step runs, whether that is what the implementation says, and where its time goes."""
        step = self._build(self._make_inputs(0))
        step()
        names = record_executed(step, self._spec["device"])
        wanted = self._implementation.executes
        if wanted and not any(re.search(wanted, name) for name in names):
            self.observed["flags"] = [Flag.NOT_AS_REQUESTED]
        self.observed["executed"] = shorten_names(names)
        if self._on_cuda or not has_phases(names):
            return []
        return [Sample(metric, value) for metric, value in measure_phases(step, self._gang.size).items()]

    def warm_up(self, limit_s: float) -> list[Sample]:
        """Run until the times settle, and choose the block."""
        gc.collect()
        gc.freeze()
        self._pace = warm_up_step(self._clock, self._step, limit_s)
        return []

    def turn(self, round: int, slice_s: float) -> list[Sample]:
        """Take the samples of one round, and note what else the machine did meanwhile."""
        machine = TurnMonitor(self._gang.processes)
        machine.start()
        samples = take_turn(self._clock, self._step, self._pace, round, slice_s)
        samples += self._gang.rank_times(self._clock, round, sum(one.metric == PRIMARY for one in samples))
        observed = machine.stop() | (self._gpu.state() if self._gpu else {})
        return samples + [Sample(metric, value, round) for metric, value in observed.items()]

    def sample(self, block: int, at: float) -> list[Sample]:
        """Take one sample of a rank that does not lead, from a moment of ``time.monotonic`` on."""
        gc.disable()
        values, _ = sample_at(self._clock, self._step, block, at)
        gc.enable()
        return [Sample(metric, value) for metric, value in values.items()]

    def energy(self, tick: tuple[float, float] | None, wanted: float) -> list[Sample]:
        """Loop the step under the device's meter; nothing is timed meanwhile."""
        step = self._gang.together(self._step)
        return measure_step(self._spec["device"], step, self._pace.step_s, self._spec["seed"], tick, wanted)

    def recheck(self) -> list[Sample]:
        """Compare once more, on other inputs written over the first.

        Catches outputs that are cached, work that was moved out of the step, and steps that change their inputs.
        """
        for ours, original in zip(walk_tensors(self._inputs), walk_tensors(self._make_inputs(0)), strict=True):
            if not torch.equal(ours, original):
                raise WrongError("after timing: the step changed its inputs")
        with torch.no_grad():
            for ours, other in zip(walk_tensors(self._inputs), walk_tensors(self._make_inputs(1)), strict=True):
                ours.copy_(other)
        self._compare(self._step(), draw=1, when="after timing, on changed inputs: ")
        if read_settings() != self._settings:
            self.observed["flags"] = [Flag.SETTINGS_CHANGED]
        return []

    def finish(self) -> list[Sample]:
        """Report threads that the implementation started and left; those of torch and tqdm may stay."""
        left = [
            thread.name
            for thread in threading.enumerate()
            if thread.ident not in self._threads_before and not _is_foreign(thread)
        ]
        self._gang.leave()
        if left:
            raise RuntimeError(f"left {len(left)} thread{'s' if len(left) > 1 else ''} running: {', '.join(left)}")
        return []

    @property
    def steady(self) -> bool:
        """Whether times had settled when warming up ended."""
        return self._pace.steady

    @property
    def _on_cuda(self) -> bool:
        return bool(self._spec["device"].startswith("cuda"))

    @property
    def _compiled(self) -> str:
        return f"{self._spec['reference']}.{self._spec['implementation']}.compiled"

    @property
    def _workload(self) -> Workload:
        return self._catalog.workload(self._spec["workload"])

    @property
    def _implementation(self) -> Implementation:
        return self._catalog.implementation(self._spec["workload"], self._spec["implementation"])

    @property
    def _params(self) -> Params:
        return self._workload.params(self._spec["params"])

    def _look_up(self, wanted: Callable[[], object]) -> None:
        """Find a part of the case, which another revision may lack."""
        try:
            wanted()
        except UsageError as error:
            if not self._spec["revision"]:
                raise
            if lines := self._catalog.not_imported:  # the case may be in there
                reason = "this revision does not import (is there something to build, with --setup?)"
                raise ImportError(f"{reason}: {'; '.join(lines)}") from None
            raise MissingError(f"{ABSENT}: {error}") from None

    def _make_inputs(self, draw: int) -> Any:
        generator = torch.Generator().manual_seed(2 * self._spec["seed"] + draw)
        return self._workload.make_inputs(self._params, self._spec["device"], generator)

    def _build(self, inputs: Any) -> Step:
        step = self._implementation.build(inputs)
        if not callable(step):
            raise TypeError(f"the set-up returned {type(step).__name__}, and not a step to call")
        return step

    def _compare(self, output: Any, draw: int, when: str = "") -> list[Sample]:
        return self._judged(self._workload.check or compare_output, output, draw, when)

    def _judged(self, judge: Callable[[Any, Reference], Check], output: Any, draw: int, when: str = "") -> list[Sample]:
        if not os.path.exists(path := f"{self._spec['reference']}.{draw}"):
            self.reference()  # it lies on the host of the leader
        check = judge(output, torch.load(path, weights_only=False))
        if strange := [metric for metric in check.errors if not isinstance(metric, str)]:
            raise TypeError(f"the check calls a metric {strange[0]!r}, which is not text")
        self.reported.update(check.errors)
        samples = [
            Sample(metric, float(value), index=index)
            for metric, found in check.errors.items()
            for index, value in enumerate(found if isinstance(found, Sequence) else [found])
        ]
        if check.fault:
            raise WrongError(when + check.fault, samples)
        return samples


class MissingError(Exception):
    """A case that the revision does not have."""


class WrongError(Exception):
    """An output that the check rejects, with the errors measured."""

    def __init__(self, fault: str, samples: list[Sample] | None = None) -> None:
        super().__init__(fault)
        self.samples = samples or []


def _is_foreign(thread: threading.Thread) -> bool:
    """Whether a library started the thread: torch, tqdm (with a progress bar), or C++ (then Python made a dummy)."""
    target = getattr(thread, "_target", None)
    home = str(getattr(target, "__module__", "") or type(thread).__module__)
    return home.startswith(("torch.", "tqdm.")) or isinstance(thread, threading._DummyThread)
