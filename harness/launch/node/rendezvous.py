"""Hosts that run one command each find each other through torchrun's elastic agent."""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import sys
from typing import TYPE_CHECKING

from harness.core.errors import EXIT_INTERRUPTED, EXIT_OK, HarnessError
from harness.launch.controller.hosts import Guest, Hosts, accept_greeting, greet_host
from harness.launch.node.rank_host import serve_ranks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# What the agent tells its process. Workers must not see it: their ranks are others.
_TOLD = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_PREFIXES = ("TORCHELASTIC_", "GROUP_", "LOCAL_", "ROLE_", "TORCH_NCCL_ASYNC")
_KEY = "benchwright"
_GREETING_S = 300.0  # hosts that have met import torch, and then greet


def in_agent() -> bool:
    """Whether this process was started by an agent."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def run_under_agent(hosts: int, rendezvous: str, command: Sequence[str]) -> int:
    """Run a command of this program on this host under an agent, and return its exit code.

    Args:
        hosts: that take part; the command starts once all are there.
        rendezvous: HOST:PORT, where the agents of all hosts meet; one of them serves it.
        command: a program in Python, and its arguments.

    Raises:
        HarnessError: the hosts do not meet.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # what fails is said by the run itself
    config = LaunchConfig(
        min_nodes=hosts,
        max_nodes=hosts,
        nproc_per_node=1,
        run_id=_KEY,
        rdzv_backend="c10d",
        rdzv_endpoint=rendezvous,
        max_restarts=0,  # a run that began again would measure twice what it reports once
        local_addr=_own_address(rendezvous),
    )
    try:
        elastic_launch(config, sys.executable)(*command)
    except ChildFailedError as error:
        return int(error.get_first_failure()[1].exitcode)
    except SignalException:
        return EXIT_INTERRUPTED
    except Exception as error:
        raise HarnessError(f"the hosts do not meet at {rendezvous}: {type(error).__name__}: {error}") from None
    return EXIT_OK


def join_hosts(sources: tuple[str, ...], say: Callable[[str], None]) -> Hosts | int:
    """Return the hosts of a run on the first of them; on any other serve ranks, and return the run's exit code.

    Args:
        sources: files of the user's own that the catalog is loaded with.
        say: told, on any other, where the run is.

    Raises:
        HarnessError: the first host is gone before its address is known, or another before it has greeted.
    """
    import torch.distributed

    index, count, address, port = (os.environ[name] for name in _TOLD)
    for name in [name for name in os.environ if name in _TOLD or name.startswith(_PREFIXES)]:
        del os.environ[name]
    store = torch.distributed.TCPStore(address, int(port), is_master=False)  # type: ignore[attr-defined]
    if index != "0":
        known = json.loads(store.get(_KEY))
        place = (known["address"], known["port"])
        hello = {"token": known["token"], "host": socket.gethostname(), "index": int(index)}
        connection = greet_host(place, hello)
        say(f"host {int(index) + 1} of {count} has ranks of the run that {known['host']} keeps and prints")
        return serve_ranks(connection, place, known["token"], sources)
    token, listener = secrets.token_hex(), socket.create_server((address, 0))
    here = {"host": socket.gethostname(), "address": address, "port": listener.getsockname()[1], "token": token}
    store.set(_KEY, json.dumps(here))
    found: dict[int, Guest] = {}
    listener.settimeout(_GREETING_S)
    try:
        while len(found) < int(count) - 1:
            connection, hello = accept_greeting(listener)
            if hello.get("token") == token:
                found[hello["index"]] = Guest(hello["host"], connection)
    except TimeoutError:
        listener.close()
        raise HarnessError(f"of {count} hosts that met, {int(count) - 1 - len(found)} said nothing more") from None
    listener.settimeout(None)
    return Hosts([found[index] for index in sorted(found)], listener, token)


def _own_address(rendezvous: str) -> str:
    """Return the address by which this host reaches another."""
    host, _, port = rendezvous.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, int(port)))
        except (OSError, ValueError) as error:
            raise HarnessError(f"there is no way to {rendezvous}: {error}") from None
        return str(probe.getsockname()[0])
