"""How a worker is told what to do: one order after another, and a status for whatever goes wrong.

Orders and replies are lines of JSON on a socket. An order names a pass; the reply has the samples taken, or the
status and message of what went wrong.
"""

from __future__ import annotations

import atexit
import json
import os
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from harness.core.metric import find_metric
from harness.core.trial import ERROR, INCORRECT, OK, OOM, SKIPPED, Status
from harness.launch import log
from harness.launch.protocol import Reply, write_reply
from harness.launch.worker.case_worker import CaseWorker, MissingError, WrongError
from harness.launch.worker.gang import Gang
from harness.launch.worker.rank_handle import RankError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory")


def serve_orders(
    connection: socket.socket,
    spec: Mapping[str, Any],
    guests: Sequence[socket.socket] = (),
    become: Callable[[], None] = lambda: None,
) -> None:
    """Carry out orders until whoever gives them closes the connection; the process then has nothing more to do.

    A rank that does not lead ends at its first fault, so that no other rank waits for it.

    Args:
        connection: to whoever gives the orders.
        spec: what the worker has to know.
        guests: connections to its ranks on other hosts.
        become: makes a worker of the process; what it raises is the reply to the first order.
    """
    own = os.getpid()
    gang: Gang | None = None
    answer: Callable[[Mapping[str, Any]], Reply]
    try:
        become()
        gang = Gang(spec, connection, guests, serve_orders)
        answer = partial(gang.carry_out, own=partial(_carry_out, CaseWorker(spec, gang)))
    except BaseException as error:
        answer = partial(_refuse, _failure("start", error))
    with connection.makefile("rw", encoding="utf-8") as line:
        for order in map(json.loads, line):
            reply = answer(order)
            if os.getpid() != own:
                os._exit(0)  # a child that the implementation forked and let run on
            line.write(write_reply(replace(reply, number=order.get("number", 0))))
            line.flush()
            if spec.get("rank") and reply.status != OK:
                os._exit(1)
    if gang:
        gang.end()
    atexit._run_exitfuncs()


def _refuse(fault: Reply, order: Mapping[str, Any]) -> Reply:
    return fault


def _carry_out(worker: CaseWorker, order: Mapping[str, Any]) -> Reply:
    name = order["pass"]
    arguments = {key: value for key, value in order.items() if key not in ("pass", "number")}
    try:
        samples = getattr(worker, name)(**arguments)
        if name != "sample":  # which the leader takes apart, and keeps under names of metrics
            for metric in {sample.metric for sample in samples} - worker.reported:
                find_metric(metric)  # a name that an instrument mistypes is a fault, and not a new metric
    except BaseException as error:
        return _failure(name, error)
    return Reply(samples=samples, steady=worker.steady, **worker.observed)


def _failure(name: str, error: BaseException) -> Reply:
    """Classify what was raised, most often by an implementation, in one line that names the pass."""
    if isinstance(error, MissingError):
        return Reply(SKIPPED, str(error))
    if isinstance(error, WrongError):
        return Reply(INCORRECT, str(error), error.samples)
    if isinstance(error, RankError):
        return Reply(error.status, f"{name}: {error}")
    log.write_traceback()
    try:
        status, text = _classified(error)
    except BaseException as another:
        status, text = ERROR, f"{type(error).__name__}, whose text raises {type(another).__name__}"
    return Reply(status, f"{name}: {text}"[:500])


def _classified(error: BaseException) -> tuple[Status, str]:
    text = " ".join(str(error).split())
    if isinstance(error, SystemExit):
        return ERROR, f"called sys.exit({error.code!r})"
    if isinstance(error, MemoryError) or any(phrase in text.lower() for phrase in _OUT_OF_MEMORY):
        return OOM, text or "out of memory"
    return ERROR, f"{type(error).__name__}: {text}"
