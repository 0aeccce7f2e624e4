"""Where it was measured.

The machine, its software and the policy. Of several runs, the fields in which they differ, and no others: what is not
listed is the same everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.core.environment import write_environment
from harness.core.metric import format_value
from harness.report.html import Html

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.core.run import Run
    from harness.report.study import Study

_BYTES = ("memory_total", "memory_available")
_NESTED = ("packages", "variables")


def draw_panel(study: Study) -> Iterator[Html]:
    """Yield the fields of a run, or those in which runs differ."""
    fields = {run.id: _fields(run) for run in study.runs}
    names = list(dict.fromkeys(name for each in fields.values() for name in each))
    table = {name: [each.get(name, "") for each in fields.values()] for name in names}
    if study.several:
        table = {name: values for name, values in table.items() if len(set(values)) > 1}
    shown = {name: values for name, values in table.items() if any(values)}
    yield Html("environment.html", {"labels": list(study.labels.values()), "fields": shown, "several": study.several})


def _fields(run: Run) -> dict[str, str]:
    """Return what is known of a run as text, by the name of each field."""
    described, policy = run.description, vars(run.policy)
    runtime = described.launches[0].runtime if described.launches else {}
    variant = described.variant
    found = {"run": run.id, "started": described.started_at, "state": str(described.state)}
    found |= {"revision": (variant.ref or variant.role) if variant else ""}
    found |= {f"tag {name}": value for name, value in described.tags.items()}
    for name, value in write_environment(run.environment).items():
        if name in _NESTED:
            found |= {key: str(item) for key, item in value.items()}
        elif name == "gpus":
            found |= {f"GPU {gpu['index']} {key}": _text(key, item) for gpu in value for key, item in gpu.items()}
        else:
            found[name.replace("_", " ")] = _text(name, value)
    found |= {f"policy {name.replace('_', ' ')}": str(value) for name, value in policy.items()}
    return found | {f"torch {name.removeprefix('torch_').replace('_', ' ')}": str(v) for name, v in runtime.items()}


def _text(name: str, value: Any) -> str:
    if value is None or value == "":
        return ""
    return format_value(value, "B") if name in (*_BYTES, "memory_free") and isinstance(value, int) else str(value)
