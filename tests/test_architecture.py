"""Who may import whom: read from the sources, so that the rooms stay apart."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from harness.core.suite import Policy

ROOT = Path(__file__).parents[1]

# What the modules of a room may import of the harness; `core` is allowed everywhere.
MAY_IMPORT = {
    "__init__": {"report", "store"},
    "core": set(),
    "git": set(),
    "catalog": set(),
    "cgroup": set(),
    "detect": {"git", "cgroup"},
    "probes": set(),
    "sampler": {"probes"},
    "plan": {"catalog", "detect"},
    "launch": {"catalog", "detect", "plan", "probes", "sampler"},
    "analysis": set(),
    "store": set(),
    "formats": {"analysis", "store"},
    "report": {"analysis", "formats", "store"},
    "resolve": {"git", "store"},
    "revisions": {"git", "launch"},
    "inspect": {"analysis", "catalog", "detect", "plan", "store"},
    "run": {"analysis", "launch", "plan", "revisions", "store"},
    "gate": {"analysis", "git", "plan", "revisions", "run"},
    "bisect": {"gate", "git", "revisions", "run"},
    "doctor": {"analysis", "cgroup", "detect", "probes"},
    "selftest": {"analysis", "catalog", "detect", "launch", "plan", "revisions", "run"},
}
MAY_IMPORT["cli"] = set(MAY_IMPORT)
# Third-party packages, and the rooms that they live in.
HOMES = {
    "torch": {"probes", "launch", "selftest"},
    "triton": {"inspect"},
    "typer": {"cli"},
    "rich": {"cli"},
    "pyarrow": {"store"},
    "duckdb": {"store"},
    "fsspec": {"store"},
    "upath": {"store"},
    "pandas": {"report", "store"},
    "plotly": {"__init__", "report"},
    "jinja2": {"report"},
    "pynvml": {"detect", "probes"},
    "psutil": {"launch"},
    "pyperf": {"selftest"},
    "scipy": {"analysis", "selftest"},
    "numpy": {"analysis", "report"},
}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(ROOT / "harness").parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, anywhere in it, also for types alone."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.parent.relative_to(ROOT).parts
            prefix = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            name = ".".join(filter(None, (prefix, node.module or "")))
            own = name == "harness" and path.is_relative_to(ROOT / "harness")
            yield from (f"harness.{alias.name}" for alias in node.names) if own else (name,)


@pytest.mark.parametrize("path", modules("harness"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_what_it_may(path: Path) -> None:
    here = room(path)
    for name in imports(path):
        top, _, rest = name.partition(".")
        if top == "harness":
            there = rest.partition(".")[0]
            assert there in {here, "core", *MAY_IMPORT[here]}, f"{path} imports {name}"
        assert top not in ("implementations", "suites", "tests"), f"{path} imports content: {name}"
        assert here in HOMES.get(top, {here}), f"{path} imports {name}, which lives in {HOMES[top]}"


@pytest.mark.parametrize("path", modules("implementations"), ids=lambda path: str(path.relative_to(ROOT)))
def test_content_sees_the_facade_and_its_own_folder_alone(path: Path) -> None:
    own = ".".join(path.parent.relative_to(ROOT).parts)
    for name in imports(path):
        top = name.partition(".")[0]
        assert top != "harness" or name == "harness", f"{path} reaches behind the facade: {name}"
        if top == "implementations":
            shared = name.startswith("implementations._")
            module = name.removeprefix(f"{own}.")
            assert shared or module == "workload" or module.startswith("_"), (
                f"{path} imports another implementation: {name}"
            )


def test_the_core_is_standard_library_only() -> None:
    import sys

    for path in modules("harness/core"):
        for name in imports(path):
            assert name.partition(".")[0] in {"harness", *sys.stdlib_module_names}, f"{path} imports {name}"


def test_the_harness_knows_no_workload_by_name() -> None:
    names = {folder.name for folder in (ROOT / "implementations").iterdir() if (folder / "workload.py").exists()}
    names -= {field.name for field in fields(Policy)}  # words that mean something else to the harness
    for path in modules("harness"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names:
                pytest.fail(f"{path}:{node.lineno} names the workload {node.value}")


def test_the_top_level_holds_what_it_should_and_no_more() -> None:
    wanted = {"pyproject.toml", "harness", "implementations", "suites", "results", "tests", "README.md"}
    allowed = wanted | {"LICENSE", "Makefile", "dist"}
    present = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert wanted <= present
    assert present <= allowed


def test_no_file_is_long_without_a_reason() -> None:
    for path in [*modules("harness"), *modules("implementations")]:
        assert len(path.read_text().splitlines()) <= 300, path
