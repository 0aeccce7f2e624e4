"""A gang: the processes of one case, as ranks of torch.distributed.

The worker that holds the case is rank 0, the leader. It forks its peers before it has done anything else, and each peer
takes its orders as any worker does, from the leader in place of the parent. All ranks carry out an order together.
Only passes that time or loop the step are led: there the leader decides, sample by sample, what comes next.
"""

from __future__ import annotations

import json
import os
import select
import socket
import time
from typing import TYPE_CHECKING, Any, NoReturn

from harness.core.metric import PRIMARY, metric_of
from harness.core.trial import CRASHED, OK, Sample
from harness.launch.orphans import cause_of_end, die_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.core.workload import Step
    from harness.probes import Clock

    Reply = dict[str, Any]
    Serve = Callable[[socket.socket, Mapping[str, Any]], NoReturn]

_LED = ("warm_up", "turn", "energy")
# From when a sample is ordered to when all ranks start it: a peer wakes up and reads its order in a tenth of that.
_LEAD_S = 1e-3
# Sleep until so long before the start, and spin from there.
_SPIN_S = 2e-4
# What peers may take to tell of a fault that the leader has seen the consequences of.
_GRACE_S = 1.0


class RankError(Exception):
    """A fault of a rank other than the leader, with its status."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


class Gang:
    """The peers of a leader; none in a worker that is alone, or is itself a peer."""

    def __init__(self, spec: Mapping[str, Any], connection: socket.socket, serve: Serve) -> None:
        self.size, self.rank = spec.get("world_size", 1), spec.get("rank", 0)
        self._store = spec.get("store") or f"{spec['reference']}.{os.getpid()}.store"
        self._peers: list[_Peer] = []
        if self.rank == 0:
            for rank in range(1, self.size):
                self._peers.append(self._fork(spec, rank, connection, serve))

    def join(self, device: str) -> None:
        """Set torch.distributed up between the ranks: gloo on the CPU, NCCL on CUDA."""
        if self.size == 1:
            return
        import torch.distributed as dist

        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # the ranks share a machine, whatever its network
        backend, place = "gloo" if device == "cpu" else "nccl", f"file://{self._store}"
        dist.init_process_group(backend, init_method=place, rank=self.rank, world_size=self.size)

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
            return {"status": error.status, "message": f"{order['pass']}: {error}", "samples": []}
        return _joined(reply, others)

    def tell(self, order: Mapping[str, Any]) -> None:
        """Send an order to all peers."""
        for peer in self._peers:
            peer.tell(order)

    def replies(self, own: Reply) -> list[Reply]:
        """Return what all peers reply.

        Args:
            own: the leader's reply, whose fault may follow from another rank's.

        Raises:
            RankError: a peer died, or had a fault before the leader had one.
        """
        deadline = float("inf") if own["status"] == OK else time.monotonic() + _GRACE_S
        replies = [reply for peer in self._peers if (reply := peer.reply(deadline))]
        faults = [reply for reply in replies if reply["status"] != OK]
        first = min((*faults, own) if own["status"] != OK else faults, key=lambda reply: reply["at"], default=own)
        if first is not own:
            raise RankError(first["status"], f"rank {first['rank']}: {first['message']}")
        return replies

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
            os.waitpid(peer.pid, 0)

    def _fork(self, spec: Mapping[str, Any], rank: int, connection: socket.socket, serve: Serve) -> _Peer:
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            for one in (connection, ours, *(peer.connection for peer in self._peers)):
                one.close()
            self._become_peer(spec, rank, theirs, serve)
        theirs.close()
        return _Peer(rank, pid, ours)

    def _become_peer(self, spec: Mapping[str, Any], rank: int, leader: socket.socket, serve: Serve) -> NoReturn:
        # Should the leader be killed before this call, the parent finds the peer among its descendants.
        die_with_parent()
        kind, _, index = spec["device"].partition(":")
        device = f"{kind}:{int(index) + rank}" if index else kind
        serve(leader, {**spec, "rank": rank, "device": device, "store": self._store})


class GangClock:
    """A clock under which all ranks start a sample together, each times its own, and the slowest counts."""

    def __init__(self, clock: Clock, gang: Gang) -> None:
        self.least_s, self.largest_block = clock.least_s, clock.largest_block
        self._clock, self._gang = clock, gang
        self._rank_times: list[list[float]] = []

    def sample(self, step: Step, block: int) -> tuple[dict[str, float], str]:
        """Run ``block`` steps on every rank; CPU time is that of all ranks."""
        at = time.perf_counter() + _LEAD_S
        self._gang.tell({"pass": "sample", "block": block, "at": at})
        (own, flags), others = _shared(self._gang, lambda: sample_at(self._clock, step, block, at))
        ranks = [own, *({name: value for name, value, *_ in reply["samples"]} for reply in others)]
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


class _Peer:
    """A rank as its leader sees it."""

    def __init__(self, rank: int, pid: int, connection: socket.socket) -> None:
        self.rank, self.pid, self.connection = rank, pid, connection
        self._buffer = b""

    def tell(self, order: Mapping[str, Any]) -> None:
        try:
            self.connection.sendall(json.dumps(order).encode() + b"\n")
        except OSError:
            self._raise_end()

    def reply(self, deadline: float) -> Reply | None:
        """Return the reply to the last order, None at the deadline; raise RankError where the rank has died."""
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if not select.select([self.connection], [], [], None if left == float("inf") else max(0.0, left))[0]:
                return None
            data = self.connection.recv(1 << 20)
            if not data:
                self._raise_end()
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return {**json.loads(line), "rank": self.rank}

    def _raise_end(self) -> NoReturn:
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        raise RankError(CRASHED, f"rank {self.rank} {cause_of_end(code)}")


def sample_at(clock: Clock, step: Step, block: int, at: float) -> tuple[dict[str, float], str]:
    """Time steps from a moment of ``time.perf_counter`` on, and add how late they were started."""
    time.sleep(max(0.0, at - time.perf_counter() - _SPIN_S))
    while (now := time.perf_counter()) < at:
        pass
    values, flags = clock.sample(step, block)
    return {**values, "start_delay": now - at}, flags


def _shared(gang: Gang, own: Callable[[], Any]) -> tuple[Any, list[Reply]]:
    """Do the leader's part and gather the others'; of several faults the first is raised."""
    try:
        done = own()
    except Exception:
        gang.replies({"status": "error", "at": time.monotonic()})
        raise
    return done, gang.replies({"status": OK})


def _joined(own: Reply, others: list[Reply]) -> Reply:
    values: dict[tuple[str, int], list[float]] = {}
    for reply in (own, *others):
        for name, value, _, index, *_ in reply["samples"]:
            values.setdefault((name, index), []).append(value)
    samples = [
        (name, _worst(name)(values[name, index]), round, index, *rest)
        for name, _, round, index, *rest in own["samples"]
    ]
    flags = dict.fromkeys(flag for reply in (own, *others) for flag in reply.get("flags", ()))
    return {**own, "samples": samples} | ({"flags": list(flags)} if flags else {})


def _worst(metric: str) -> Callable[[list[float]], float]:
    return min if metric_of(metric).better == "higher" else max
