from __future__ import annotations

import inspect
import subprocess
import sys

import harness

AUTHORS = [
    *(
        "Axis",
        "Check",
        "Cost",
        "Kernel",
        "Metric",
        "Params",
        "Published",
        "Reference",
        "Requires",
        "Step",
        "Training",
        "Workload",
    ),
    "implementation",
]
READERS = ["figures", "read"]
GOLDEN = [*AUTHORS, *READERS]


def test_the_facade_is_these_names_and_no_others() -> None:
    assert harness.__all__ == GOLDEN
    public = {name for name, value in vars(harness).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert public == set(GOLDEN)


def test_importing_the_facade_loads_nothing_beyond_the_standard_library() -> None:
    code = "import sys, harness\nprint(sorted({m.partition('.')[0] for m in sys.modules} - sys.stdlib_module_names))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    foreign = {name for name in ast_list(done.stdout) if not name.startswith(("_", "harness"))}
    assert foreign <= {"distutils-precedence", "sitecustomize", "usercustomize"}


def ast_list(text: str) -> list[str]:
    import ast

    return list(ast.literal_eval(text))
