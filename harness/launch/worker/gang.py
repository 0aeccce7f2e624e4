"""A gang: the processes of one case, as ranks of torch.distributed.

The worker that holds the case is rank 0, the leader. It forks its peers before it has done anything else, but for those
on other hosts, which are forked there. Each peer takes its orders as any worker does, from the leader in place of the
parent. All ranks carry out an order together.
Only passes that time or loop the step are led: there the leader decides, sample by sample, what comes next.
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from harness.core.metric import PRIMARY, find_recorded_metric
from harness.core.trial import ERROR, OK, Sample
from harness.launch.forked import fork_to
from harness.launch.processes import die_with_parent
from harness.launch.protocol import Reply
from harness.launch.worker.rank_handle import RankError, RankHandle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.core.flag import Flag
    from harness.core.metric import Metric
    from harness.core.workload import Step
    from harness.probes import Clock

    Serve = Callable[[socket.socket, Mapping[str, Any], Sequence[socket.socket], Callable[[], None]], None]

_LED = ("warm_up", "turn", "energy")
# From when a sample is ordered to when all ranks start it: a peer wakes up and reads its order in a tenth of that.
_LEAD_S = 1e-3
# Sleep until so long before the start, and spin from there.
_SPIN_S = 2e-4
# What peers may take to tell of a fault that the leader has seen the consequences of.
_GRACE_S = 1.0


class Gang:
    """The peers of a leader; none in a worker that is alone, or is itself a peer.

    Args:
        spec: the worker's, with ``world_size``, ``rank`` (0 where it is left out), and where ranks meet: ``store``, a
            URL, and ``interface``, a network interface; ``elsewhere`` has the rank and the host of each of ``guests``.
        connection: the leader's to the parent, which its peers must not hold open.
        guests: connections to ranks on other hosts.
        serve: what a peer does.

    Attributes:
        metrics: those that the workload declares, once the worker has looked it up.
    """

    def __init__(
        self, spec: Mapping[str, Any], connection: socket.socket, guests: Sequence[socket.socket], serve: Serve
    ) -> None:
        self.size, self.rank = spec.get("world_size", 1), spec.get("rank", 0)
        self.metrics: Mapping[str, Metric] = {}
        self._store = spec.get("store") or f"file://{spec['reference']}.{os.getpid()}.store"
        self._interface = spec.get("interface") or "lo"
        elsewhere = zip(spec.get("elsewhere", ()), guests, strict=True)
        self._peers = [RankHandle(rank, guest, host=host) for (rank, host), guest in elsewhere]
        if self.rank == 0:
            away = {peer.rank for peer in self._peers}
            self._peers += [
                self._fork(spec, rank, connection, serve) for rank in range(1, self.size) if rank not in away
            ]
            self._peers.sort(key=lambda peer: peer.rank)
        for guest in (peer for peer in self._peers if not peer.pid):
            guest.compare_clocks()

    def join(self, device: str) -> None:
        """Set torch.distributed up between the ranks: gloo on the CPU, NCCL on CUDA."""
        if self.size == 1:
            return
        import torch.distributed as dist

        # Ranks of one machine need no network, and those of several the one over which the hosts have met.
        for backend in ("GLOO", "NCCL"):
            os.environ.setdefault(f"{backend}_SOCKET_IFNAME", self._interface)
        backend = "gloo" if device == "cpu" else "nccl"
        dist.init_process_group(backend, init_method=self._store, rank=self.rank, world_size=self.size)

    def leave(self) -> None:
        """Take torch.distributed down; an order of all ranks."""
        if self.size > 1:
            import torch.distributed as dist

            dist.destroy_process_group()

    def carry_out(self, order: Mapping[str, Any], own: Callable[[Mapping[str, Any]], Reply]) -> Reply:
        """Have all ranks carry out an order, and return the leader's reply, or the first fault of any.

        A value is the worst that any rank has: the most memory, the largest error, the slowest first call.
        """
        if not self._peers or order["pass"] in _LED:
            return own(order)
        try:
            self.tell(order)
            reply = own(order)
            others = self.replies(reply)
        except RankError as error:
            return Reply(error.status, f"{order['pass']}: {error}")
        return _joined(reply, others, self.metrics)

    @property
    def processes(self) -> list[int]:
        """The peers on this host."""
        return [peer.pid for peer in self._peers if peer.pid]

    @property
    def lead_s(self) -> float:
        """From when a sample is ordered to when all ranks start it."""
        return _LEAD_S + max(peer.delay_s for peer in self._peers)

    def tell(self, order: Mapping[str, Any]) -> None:
        """Send an order to all peers; a moment in it is by the clock of each."""
        for peer in self._peers:
            peer.tell({**order, "at": order["at"] + peer.ahead_s} if "at" in order else order)

    def replies(self, own: Reply) -> list[Reply]:
        """Return what all peers reply.

        Args:
            own: the leader's reply, whose fault may follow from another rank's.

        Raises:
            RankError: a peer died, or had a fault before the leader had one.
        """
        deadline = float("inf") if own.status == OK else time.monotonic() + _GRACE_S
        replies = [(peer, reply) for peer in self._peers if (reply := peer.reply(deadline))]
        faults = [(peer, reply) for peer, reply in replies if reply.status != OK]
        if faults:
            peer, first = min(faults, key=lambda fault: fault[1].at)
            if own.status == OK or first.at <= own.at:
                raise RankError(first.status, f"{peer.name}: {first.message}")
        return [reply for _, reply in replies]

    def clock(self, clock: Clock) -> Clock:
        """Return the clock of the gang as a whole; that of the worker where it is alone."""
        return GangClock(clock, self) if self._peers else clock

    def rank_times(self, clock: Clock, round: int, count: int) -> list[Sample]:
        """Return the times of each rank in the last samples of a clock; none of a worker that is alone."""
        return clock.ranks(round, count) if isinstance(clock, GangClock) else []

    def together(self, step: Step) -> Step:
        """Return a step that all ranks take; a worker's own where it is alone."""
        if not self._peers:
            return step

        def joint() -> None:
            self.tell({"pass": "sample", "block": 1, "at": 0.0})
            _shared(self, step)

        return joint

    def end(self) -> None:
        """Let the peers end in order, and wait for them."""
        for peer in self._peers:
            peer.connection.close()
        for peer in self._peers:
            peer.wait()

    def _fork(self, spec: Mapping[str, Any], rank: int, connection: socket.socket, serve: Serve) -> RankHandle:
        ours, theirs = socket.socketpair()
        open_here = (connection, ours, *(peer.connection for peer in self._peers))

        def become() -> None:
            for one in open_here:
                one.close()
            # Should the leader be killed before this call, the parent finds the peer among its descendants.
            die_with_parent()

        pid = fork_to(partial(serve, theirs, specialize_spec({**spec, "store": self._store}, rank, rank), (), become))
        theirs.close()
        return RankHandle(rank, ours, pid)


class GangClock:
    """A clock under which all ranks start a sample together, each times its own, and the slowest counts."""

    def __init__(self, clock: Clock, gang: Gang) -> None:
        self.least_s, self.largest_block = clock.least_s, clock.largest_block
        self._clock, self._gang = clock, gang
        self._rank_times: list[list[float]] = []

    def sample(self, step: Step, block: int) -> tuple[dict[str, float], tuple[Flag, ...]]:
        """Run ``block`` steps on every rank; CPU time is that of all ranks."""
        at = time.monotonic() + self._gang.lead_s
        self._gang.tell({"pass": "sample", "block": block, "at": at})
        (own, flags), others = _shared(self._gang, lambda: sample_at(self._clock, step, block, at))
        ranks = [own, *({one.metric: one.value for one in reply.samples} for reply in others)]
        self._rank_times.append([rank[PRIMARY] for rank in ranks])
        delays = [rank.pop("start_delay") for rank in ranks]
        joint = {PRIMARY: max(self._rank_times[-1]), "start_skew": max(delays) - min(delays)}
        if "cpu_time" in own:
            joint["cpu_time"] = sum(rank["cpu_time"] for rank in ranks)
        return own | joint, flags

    def ranks(self, round: int, count: int) -> list[Sample]:
        """Return the times of each rank in the last ``count`` samples, those of a sample one after the other."""
        times = [time for ranks in self._rank_times[-count:] for time in ranks]
        self._rank_times.clear()
        return [Sample("rank_time", value, round, index) for index, value in enumerate(times)]


def specialize_spec(spec: Mapping[str, Any], rank: int, place: int) -> dict[str, Any]:
    """Return what a rank is to do, on the GPU of its place among those of its host."""
    kind, _, index = spec["device"].partition(":")
    device = f"{kind}:{int(index) + place}" if index else kind
    return {**spec, "rank": rank, "device": device, "elsewhere": ()}


def sample_at(clock: Clock, step: Step, block: int, at: float) -> tuple[dict[str, float], tuple[Flag, ...]]:
    """Time steps from a moment of ``time.monotonic`` on, and add how late they were started."""
    time.sleep(max(0.0, at - time.monotonic() - _SPIN_S))
    while (now := time.monotonic()) < at:
        pass
    values, flags = clock.sample(step, block)
    return {**values, "start_delay": now - at}, flags


def _shared(gang: Gang, own: Callable[[], Any]) -> tuple[Any, list[Reply]]:
    """Do the leader's part and gather the others'; of several faults the first is raised."""
    try:
        done = own()
    except Exception:
        gang.replies(Reply(ERROR))
        raise
    return done, gang.replies(Reply())


def _joined(own: Reply, others: list[Reply], declared: Mapping[str, Metric]) -> Reply:
    values: dict[tuple[str, int], list[float]] = {}
    for one in (sample for reply in (own, *others) for sample in reply.samples):
        values.setdefault((one.metric, one.index), []).append(one.value)
    samples = [
        replace(one, value=_worst(find_recorded_metric(one.metric, declared))(values[one.metric, one.index]))
        for one in own.samples
    ]
    flags = dict.fromkeys(flag for reply in (own, *others) for flag in reply.flags)
    return replace(own, samples=samples, flags=list(flags))


def _worst(metric: Metric) -> Callable[[list[float]], float]:
    return min if metric.better == "higher" else max
