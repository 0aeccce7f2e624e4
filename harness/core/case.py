"""A case is one implementation at one point of its workload's axes; a group is all cases at one point."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from harness.core.field_types import check_fields
from harness.core.workload import Cost

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.core.axis import Scalar


@dataclass(frozen=True)
class Case:
    """One implementation of a workload at one value of every axis, in the order of the axes.

    The point leaves out the axes that are implied: :meth:`Workload.params` has the value of every one.
    """

    workload: str
    implementation: str
    point: tuple[tuple[str, Scalar], ...]

    @property
    def params(self) -> dict[str, Scalar]:
        """The values of the point by name."""
        return dict(self.point)

    @property
    def params_json(self) -> str:
        """The parameters as JSON text with sorted keys: the form in which tables keep them."""
        return json.dumps(self.params, sort_keys=True)

    @property
    def group(self) -> str:
        """The name shared by all cases that answer the same question: ``attention[seq=8192,dtype=bf16]``."""
        return f"{self.workload}[{describe_point(self.point)}]"

    @cached_property
    def id(self) -> str:
        """The stable name of the case: ``attention/naive[seq=8192,dtype=bf16]``."""
        return f"{self.workload}/{self.implementation}[{describe_point(self.point)}]"


@dataclass(frozen=True)
class PlannedCase:
    """A case with what the plan knows of it before it runs.

    Attributes:
        case: what will be measured.
        cost: the work of one step.
        memory: predicted bytes at the peak of a step, inputs included; None where nothing is declared.
        skip: why it will not run; empty where it will.
        launches: of this case, where it was given more than the policy has; 0 where it was not.
        hardware_flops: operations that the implementation carries out in one step; 0 where it declares none.
        dtype: of its products, where that is the implementation's choice; empty where an axis says it.
        world_size: processes that take a step together.
    """

    case: Case
    cost: Cost = field(default_factory=Cost)
    memory: int | None = None
    skip: str = ""
    launches: int = 0
    hardware_flops: float = 0.0
    dtype: str = ""
    world_size: int = 1

    @property
    def product_dtype(self) -> str:
        """The dtype of its products, which says what roof it is held against; empty where nothing tells."""
        return self.dtype or str(self.case.params.get("dtype", ""))


@dataclass(frozen=True)
class Group:
    """The cases that answer one question, measured against each other.

    Attributes:
        id: the question.
        baseline: the implementation that ratios are taken to.
        cases: in the order in which they are shown.
        interleaved: whether the workers fit the memory side by side, so that they can take turns.
    """

    id: str
    baseline: str
    cases: tuple[PlannedCase, ...]
    interleaved: bool = True

    @property
    def runnable(self) -> tuple[PlannedCase, ...]:
        """The cases without a reason to be skipped."""
        return tuple(planned for planned in self.cases if not planned.skip)


def describe_point(point: tuple[tuple[str, Scalar], ...]) -> str:
    """Write a point as ``seq=8192,dtype=bf16,causal=false``."""
    return ",".join(f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in point)


def count_launches(groups: Iterable[Group], policy: int) -> int:
    """Return the launches of a plan: the policy's, or those of the case that was given the most."""
    return max((planned.launches for group in groups for planned in group.cases), default=0) or policy


def write_group(group: Group) -> dict[str, Any]:
    """Return the group as JSON-ready data."""
    return asdict(group)


def read_group(data: dict[str, Any]) -> Group:
    """Rebuild a group from :func:`group_to_json`.

    Raises:
        KeyError, TypeError, ValueError: a field is missing, or of another type.
    """
    planned = tuple(
        PlannedCase(
            read_case(item["case"]),
            Cost(**item["cost"]),
            item["memory"],
            item["skip"],
            item.get("launches", 0),
            item.get("hardware_flops", 0.0),
            item.get("dtype", ""),
            item.get("world_size", 1),
        )
        for item in data["cases"]
    )
    return check_fields(Group(data["id"], data["baseline"], planned, data["interleaved"]))


def read_case(data: dict[str, Any]) -> Case:
    """Rebuild a case from its fields, in which JSON has made lists of tuples."""
    return Case(data["workload"], data["implementation"], tuple((name, value) for name, value in data["point"]))
