"""How a worker is told what to do: one order after another, and a status for whatever goes wrong.

Orders and replies are lines of JSON on a socket. An order names a pass; the reply has the samples taken, or the
status and message of what went wrong.
"""

from __future__ import annotations

import atexit
import json
import os
import time
import traceback
from dataclasses import astuple
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from harness.core.metric import metric_of
from harness.core.trial import ERROR, INCORRECT, OK, OOM, SKIPPED, Sample
from harness.launch.gang import Gang
from harness.launch.peer import RankError
from harness.launch.worker import MissingError, Worker, WrongError

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory")


def serve(connection: socket.socket, spec: Mapping[str, Any], guests: Sequence[socket.socket] = ()) -> NoReturn:
    """Carry out orders until whoever gives them closes the connection; never returns to the caller's code.

    A rank that does not lead ends at its first fault, so that no other rank waits for it.

    Args:
        connection: to whoever gives the orders.
        spec: what the worker has to know.
        guests: connections to its ranks on other hosts.
    """
    gang = Gang(spec, connection, guests, serve)
    own = os.getpid()
    worker = Worker(spec, gang)
    with connection.makefile("rw", encoding="utf-8") as line:
        for order in line:
            reply = gang.carry_out(json.loads(order), partial(_carry_out, worker))
            if os.getpid() != own:
                os._exit(0)  # a child that the implementation forked and let run on
            line.write(json.dumps(reply) + "\n")
            line.flush()
            if gang.rank and reply["status"] != OK:
                os._exit(1)
    gang.end()
    atexit._run_exitfuncs()
    os._exit(0)


def _carry_out(worker: Worker, order: Mapping[str, Any]) -> dict[str, Any]:
    name = order["pass"]
    arguments = {key: value for key, value in order.items() if key != "pass"}
    try:
        samples = getattr(worker, name)(**arguments)
        if name != "sample":  # which the leader takes apart, and keeps under names of metrics
            for metric in {sample.metric for sample in samples} - worker.reported:
                metric_of(metric)  # a name that an instrument mistypes is a fault, and not a new metric
    except MissingError as error:
        return _reply(SKIPPED, str(error))
    except WrongError as error:
        return _reply(INCORRECT, str(error), error.samples)
    except RankError as error:
        return _reply(error.status, f"{name}: {error}")
    except BaseException as error:
        traceback.print_exc()
        return _reply(*_fault(name, error))
    return _reply(OK, "", samples) | {"steady": worker.steady, **worker.observed}


def _reply(status: str, message: str, samples: list[Sample] | None = None) -> dict[str, Any]:
    return {
        "status": status,
        "at": time.monotonic(),
        "message": message.encode(errors="replace").decode(),
        "samples": [astuple(one) for one in samples or []],
    }


def _fault(name: str, error: BaseException) -> tuple[str, str]:
    """Classify what an implementation raised, in one line that names the pass."""
    text = " ".join(str(error).split())
    if isinstance(error, SystemExit):
        return ERROR, f"{name}: called sys.exit({error.code!r})"
    if isinstance(error, MemoryError) or any(phrase in text.lower() for phrase in _OUT_OF_MEMORY):
        return OOM, f"{name}: {text or 'out of memory'}"[:500]
    return ERROR, f"{name}: {type(error).__name__}: {text}"[:500]
