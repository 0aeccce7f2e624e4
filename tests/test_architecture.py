"""Who may import whom: read from the sources, so that the rooms stay apart."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path

import pytest

from harness.core.suite import Policy

ROOT = Path(__file__).parents[1]

CONTRIBUTING = (ROOT / ".github" / "CONTRIBUTING.md").read_text()


def rows(head: str) -> Iterator[list[str]]:
    """Yield the cells of a table of CONTRIBUTING, by the first cell of its head."""
    lines = CONTRIBUTING[CONTRIBUTING.index(f"| {head} |") :].partition("\n\n")[0].splitlines()
    yield from ([cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:])


def named(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", cell))


# What the modules of a room may import of the harness; `core` is allowed everywhere.
MAY_IMPORT = {
    place.removeprefix("`harness/").strip("`/").removesuffix(".py"): named(others)
    for place, _, others in rows("room")
    if place.startswith("`harness/")
}
MAY_IMPORT["cli"] = set(MAY_IMPORT)
MAY_IMPORT["terminal"] = set(MAY_IMPORT) - {"cli"}
# Third-party packages, and the rooms that they live in.
HOMES = {package.strip("`"): named(homes) for package, homes in rows("package")}


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
    allowed = wanted | {"LICENSE", "Makefile", "dist", "findings"}
    present = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert wanted <= present
    assert present <= allowed


def test_no_file_is_long_without_a_reason() -> None:
    for path in [*modules("harness"), *modules("implementations")]:
        assert len(path.read_text().splitlines()) <= 300, path


def test_no_function_is_long() -> None:
    for path in [*modules("harness"), *modules("implementations")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 50:
                pytest.fail(f"{path}:{node.lineno} {node.name} has over 50 lines")


def test_no_class_name_stands_twice() -> None:
    found = Counter(
        node.name
        for path in modules("harness")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, times in found.items() if times > 1] == []


def test_public_functions_are_named_by_a_verb_and_a_noun() -> None:
    known = {"harness/__init__.py", *(f"harness/cli/{path.name}" for path in modules("harness/cli"))}
    for path in modules("harness"):
        for node in ast.parse(path.read_text()).body:
            public = isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
            if public and str(path.relative_to(ROOT)) not in known and node.name not in ("main", "implementation"):
                assert "_" in node.name, f"{path}:{node.lineno} {node.name}"


def test_no_files_import_each_other_in_a_circle() -> None:
    """Types count: who needs the name of a type needs to be read together with it."""
    files = {".".join(path.with_suffix("").relative_to(ROOT).parts): path for path in modules("harness")}
    needs = {name: {other for other in imports(path) if other in files} for name, path in files.items()}
    circles = {
        frozenset((name, other)) for name, others in needs.items() for other in others if name in reached(other, needs)
    }
    assert sorted(map(sorted, circles)) == []


def reached(name: str, needs: Mapping[str, set[str]]) -> set[str]:
    found, left = set[str](), [name]
    while left:
        fresh = needs[left.pop()] - found
        found |= fresh
        left += fresh
    return found
