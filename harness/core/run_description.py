"""What a run says of itself (``run.json``): what was asked for, where and how it is measured, and how far it came."""

from __future__ import annotations

import marshal
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from harness.core.case import Case, Group, read_group, write_group
from harness.core.ceilings import Ceilings
from harness.core.environment import Environment, read_environment, write_environment
from harness.core.field_types import check_fields, check_list
from harness.core.metric import Declared, read_declared, write_declared
from harness.core.suite import COMPILED, Policy, read_policy
from harness.core.trial import Launch, Rest
from harness.core.variant import Variant, read_variant, write_variant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

# harness/store/layout.py says what each version has.
SCHEMA_VERSION = 2


class State(StrEnum):
    """How far a run came."""

    RUNNING = "running"
    INTERRUPTED = "interrupted"
    COMPLETE = "complete"


RUNNING, INTERRUPTED, COMPLETE = State.RUNNING, State.INTERRUPTED, State.COMPLETE


@dataclass(frozen=True)
class RunDescription:
    """What a run says of itself.

    Attributes:
        id: the run's name.
        groups: the plan.
        policy: how it is measured.
        environment: where.
        state: how far it came.
        started_at: when it was created, UTC; empty before that.
        ended_at: when its tables were written last; empty where they were not.
        command: as it was typed.
        tags: of the user.
        sources: files of the user's own that the catalog is loaded with.
        variant: which version of the code it measures, where several take turns; None for a plain run.
        ceilings: the measured roofs of the machine; None where they were not measured.
        launches: so far.
        rests: the power at rest, before and after.
        metrics: those that its workloads declare; None where a run is older than such declarations.
        schema_version: of the form that it was written in.
        extra: what a later version of this form says beyond that, kept as it is.
    """

    id: str
    groups: tuple[Group, ...]
    policy: Policy
    environment: Environment
    state: State = RUNNING
    started_at: str = ""
    ended_at: str = ""
    command: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    variant: Variant | None = None
    ceilings: Ceilings | None = None
    launches: tuple[Launch, ...] = ()
    rests: tuple[Rest, ...] = ()
    metrics: Declared | None = None
    schema_version: int = SCHEMA_VERSION
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.state == COMPLETE

    @property
    def compiled(self) -> bool:
        """Whether it is of kernels that were compiled and not run."""
        return self.policy.mode == COMPILED

    @property
    def slowed(self) -> bool:
        """Whether it was made slower on purpose, to see whether that is found."""
        return self.variant is not None and bool(self.variant.planted)

    @property
    def cases(self) -> tuple[Case, ...]:
        """The cases of the plan, each once."""
        return tuple(dict.fromkeys(planned.case for group in self.groups for planned in group.cases))

    @property
    def device(self) -> str:
        """What the cases ran on: the name of the GPU, or of the processor."""
        if not self.policy.device.startswith("cuda"):
            return self.environment.cpu_model or self.policy.device
        number = self.policy.device.partition(":")[2] or "0"
        names = {str(index): gpu.name for index, gpu in enumerate(self.environment.gpus)}
        return names.get(number, self.policy.device)

    def to_json(self) -> dict[str, Any]:
        """Return the description as JSON-ready data."""
        found = {
            "schema_version": self.schema_version,
            "run_id": self.id,
            "state": self.state,
            "started_at": self.started_at,
            "command": list(self.command),
            "tags": dict(self.tags),
            "revision": write_variant(self.variant),
            "sources": list(self.sources),
            "seed": self.policy.seed,
            "policy": asdict(self.policy),
            "plan": [write_group(group) for group in self.groups],
            "environment": write_environment(self.environment),
            "ceilings": asdict(self.ceilings) if self.ceilings else None,
            "launches": [asdict(launch) for launch in self.launches],
            "rests": [asdict(rest) for rest in self.rests],
        }
        if self.metrics is not None:
            found["metrics"] = write_declared(self.metrics)
        return found | ({"ended_at": self.ended_at} if self.ended_at else {}) | dict(self.extra)

    @classmethod
    def from_json(cls, data: Any) -> RunDescription:
        """Rebuild a description from :meth:`to_json`, of this version or an earlier one.

        Raises:
            ValueError: it is of a newer version, or a part of it is missing or of another type; in one line.
        """
        if not isinstance(data, dict):
            raise ValueError("not the description of a run")
        version = _part(data, "schema_version", _version)
        if version > SCHEMA_VERSION:
            newer = f"schema {version}, not {SCHEMA_VERSION}"
            raise ValueError(f"written by a newer version ({newer}); upgrade benchwright to read it")
        return cls(
            schema_version=version,
            id=_part(data, "run_id", _text),
            state=_part(data, "state", State),
            started_at=_part(data, "started_at", _text),
            command=_part(data, "command", _texts),
            tags=_part(data, "tags", _tags),
            variant=_part(data, "revision", read_variant, {}),
            sources=_part(data, "sources", _texts),
            policy=_part(data, "policy", read_policy),
            groups=_part(data, "plan", _groups),
            environment=_part(data, "environment", read_environment),
            ceilings=_part(data, "ceilings", _ceilings, None),
            metrics=_part(data, "metrics", _metrics, None),
            launches=_part(data, "launches", _launches),
            rests=_part(data, "rests", _rests, []),
            ended_at=_part(data, "ended_at", _text, ""),
            extra={key: value for key, value in data.items() if key not in _KEYS},
        )


_KEYS = frozenset(
    (
        *("schema_version", "run_id", "state", "started_at", "command", "tags", "revision", "sources", "seed"),
        *("policy", "plan", "environment", "ceilings", "metrics", "launches", "rests", "ended_at"),
    )
)


def _part(data: dict[str, Any], key: str, build: Callable[[Any], T], *default: Any) -> T:
    """Return a part of a description, rebuilt; where there may be none, of a default."""
    try:
        return build(data.get(key, *default) if default else data[key])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ValueError(f"'{key}' is missing or of another type") from None


def _groups(plan: Any) -> tuple[Group, ...]:
    return tuple(_group(marshal.dumps(group, 2)) for group in check_list(plan))


@lru_cache(maxsize=1024)
def _group(packed: bytes) -> Group:
    """Rebuild a group from its bytes, of which version 2 of marshal makes the same for equal data.

    Hundreds of runs that are read together have the same plan, and it is most of what they say: it is rebuilt once.
    """
    return read_group(marshal.loads(packed))


def _ceilings(data: Any) -> Ceilings | None:
    return check_fields(Ceilings(**data)) if data else None


def _metrics(data: Any) -> Declared | None:
    if data is None:
        return None
    declared = read_declared(data)
    for metrics in declared.values():
        for metric in metrics.values():
            check_fields(metric)
    return declared


def _launches(items: Any) -> tuple[Launch, ...]:
    return tuple(check_fields(Launch(one["index"], one["started_at"], one["runtime"])) for one in check_list(items))


def _rests(items: Any) -> tuple[Rest, ...]:
    return tuple(check_fields(Rest(**one)) for one in check_list(items))


def _tags(data: Any) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in data.items()}


def _texts(items: Any) -> tuple[str, ...]:
    return tuple(map(_text, check_list(items)))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _version(value: Any) -> int:
    if type(value) is not int:
        raise TypeError
    return value
