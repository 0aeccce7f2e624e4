"""How much of the machine's measured roof a case reaches, and which roof it is (Williams, Waterman, Patterson 2009)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.analysis.pairing import compute_round_medians
from harness.core.ceilings import Ceilings
from harness.core.flag import Flag
from harness.core.measurement import Measurement
from harness.core.metric import PRIMARY, format_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.core.case import PlannedCase
    from harness.core.run import Run
    from harness.core.trial import Trial

SHARE = "roof_share"
# A roof is measured too: only what lies clearly above it is a sign of work that was not done.
_ABOVE = 1.1


def compute_roofline_share(planned: PlannedCase, time: Measurement, ceilings: Ceilings | None) -> Measurement | None:
    """Return the least time that the roofs allow, over the time; None where no roof is known for the case.

    The work is what the workload declares: its operations in the dtype of the case, and its least memory traffic.
    """
    roofs = dict(_roofs(planned, ceilings)) if ceilings else {}
    if not roofs:
        return None
    binding = max(roofs, key=lambda name: roofs[name])
    share = roofs[binding] / time.median
    ends = roofs[binding] / time.ci_high, roofs[binding] / time.ci_low
    flags = (Flag.ABOVE_ROOF,) if share > _ABOVE else ()
    return Measurement(time.case, SHARE, time.n, time.launches, share, *ends, flags, f"bound by {binding}")


def find_ceilings(run: Run, measured_at: str) -> Ceilings:
    """Return the roofs that a run of matrix products and passes through memory found.

    What has operations to count is a roof of its dtype; what has bytes alone, of the memory; and what has neither tells
    the cost of a call. Each is the best round of the best case: what others take of the machine lowers no roof.
    """
    flops: dict[str, float] = {}
    through_memory, calls = 0.0, list[float]()
    for planned in (planned for group in run.groups for planned in group.cases):
        trials = [trial for trial in run.trials if trial.case == planned.case]
        best_s, cost = _best(trials, PRIMARY), planned.cost
        if best_s is None:
            continue
        if cost.flops:
            dtype = planned.product_dtype
            flops[dtype] = max(flops.get(dtype, 0.0), cost.flops / best_s)
        elif cost.bytes:
            through_memory = max(through_memory, cost.bytes / best_s)
        else:
            calls.append(_best(trials, "host_time") or best_s)
    return Ceilings(flops, through_memory, min(calls, default=math.nan), measured_at)


def _best(trials: Iterable[Trial], metric: str) -> float | None:
    return min((v for rounds in compute_round_medians(trials, metric).values() for v in rounds.values()), default=None)


def _roofs(planned: PlannedCase, ceilings: Ceilings) -> Iterable[tuple[str, float]]:
    """Yield each roof that the case has work for, with the least time that it allows."""
    dtype = planned.product_dtype
    peak, through_memory = ceilings.flops_per_s.get(dtype, math.nan), ceilings.bytes_per_s
    if planned.cost.flops and peak > 0:
        yield f"compute: {format_value(peak, 'FLOP/s')} {dtype}", planned.cost.flops / peak
        if planned.cost.bytes and through_memory > 0:
            yield f"memory: {format_value(through_memory, 'B/s')}", planned.cost.bytes / through_memory
