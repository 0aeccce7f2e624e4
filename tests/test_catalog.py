from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness import Workload, implementation
from harness.catalog import load_catalog
from harness.core.errors import UsageError
from harness.core.workload import MARK


def plugin(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text("from harness import implementation\n" + text)
    return str(path)


MINE = '@implementation("calibration")\ndef mine(inputs):\n    """Do it my way.\n\n    At length."""\n'


def test_the_projects_own_content_is_found() -> None:
    catalog = load_catalog()
    assert catalog.broken == []
    assert {"attention", "calibration"} <= set(catalog.workloads)
    for name, workload in catalog.workloads.items():
        assert workload.baseline in catalog.implementations[name]
    assert "smoke" in catalog.suites


def test_a_users_file_adds_an_implementation_with_the_first_line_of_its_docstring_as_help(tmp_path: Path) -> None:
    catalog = load_catalog([plugin(tmp_path, "mine.py", MINE)])
    assert catalog.implementation("calibration", "mine").help == "Do it my way."


def test_a_file_that_does_not_import_is_one_line_and_the_rest_works(tmp_path: Path) -> None:
    bad = plugin(tmp_path, "bad.py", "import no_such_module\n")
    exits = plugin(tmp_path, "exits.py", "raise SystemExit(3)\n")
    catalog = load_catalog([bad, exits, plugin(tmp_path, "mine.py", MINE)])
    assert [line.startswith(path) for line, path in zip(catalog.broken, (bad, exits), strict=True)] == [True, True]
    assert "no_such_module" in catalog.broken[0]
    assert "mine" in catalog.implementations["calibration"]


def test_a_second_claim_on_a_name_names_both_files_and_the_first_stands(tmp_path: Path) -> None:
    second = plugin(tmp_path, "second.py", MINE.replace("mine", "noop"))
    catalog = load_catalog([second])
    assert len(catalog.broken) == 1
    assert "noop.py" in catalog.broken[0]
    assert second in catalog.broken[0]
    assert catalog.implementation("calibration", "noop").source != second


def test_a_file_given_twice_is_taken_once_and_what_it_prints_stays_out_of_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = plugin(tmp_path, "mine.py", "print('hello')\n" + MINE)
    assert load_catalog([path, str(tmp_path / "." / "mine.py")]).broken == []
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "hello\n")


def test_an_implementation_of_no_workload_names_the_nearest(tmp_path: Path) -> None:
    catalog = load_catalog([plugin(tmp_path, "mine.py", MINE.replace("calibration", "calibraton"))])
    assert "did you mean 'calibration'?" in catalog.broken[0]


def test_a_file_that_does_not_exist_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no such file"):
        load_catalog(["nowhere.py"])


@pytest.mark.parametrize("kind", ["workload", "implementation"])
def test_an_unknown_name_is_met_with_the_nearest(kind: str) -> None:
    catalog = load_catalog()
    with pytest.raises(UsageError, match="did you mean"):
        catalog.workload("atention") if kind == "workload" else catalog.implementation("attention", "niave")


def test_the_decorator_returns_the_function_itself_and_marks_only_that() -> None:
    def build(inputs: object) -> object:
        return inputs

    assert implementation("calibration")(build) is build
    assert MARK in build.__dict__
    with pytest.raises(UsageError, match="twice"):
        implementation("calibration")(build)
    with pytest.raises(UsageError, match="named function"):
        implementation("calibration")(lambda inputs: inputs)


def test_a_plug_in_is_found_through_its_entry_point(tmp_path: Path) -> None:
    (tmp_path / "their_attention.py").write_text("from harness import implementation\n" + MINE)
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[benchwright.implementations]\ntheirs = their_attention\n")
    code = "from harness.catalog import load_catalog as load; print('mine' in load().implementations['calibration'])"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True"


def test_scanning_imports_neither_torch_nor_triton_and_leaves_no_stand_in() -> None:
    code = (
        "import sys\nfrom harness.catalog import load_catalog\ncatalog = load_catalog()\n"
        "assert not catalog.broken, catalog.broken\nprint(sorted({'torch', 'triton'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_module_that_uses_torch_at_import_gets_the_real_one(tmp_path: Path) -> None:
    text = "import torch\nHALF = torch.float16\nfrom torch.nn import functional\n" + MINE
    path = plugin(tmp_path, "eager.py", text)
    code = (
        f"from harness.catalog import load_catalog\ncatalog = load_catalog([{path!r}])\n"
        "print(catalog.broken, 'mine' in catalog.implementations['calibration'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] True"


def test_workloads_of_a_users_file_are_found(tmp_path: Path) -> None:
    text = (
        "from harness import Axis, Reference, Workload\n"
        "w = Workload('own', 'mine', (Axis.integer('n', 4, 'size'),), lambda p, d, g: None, Reference, 'mine')\n"
    )
    catalog = load_catalog([plugin(tmp_path, "own.py", text + MINE.replace("calibration", "own"))])
    assert isinstance(catalog.workload("own"), Workload)
    assert catalog.broken == []


def test_a_suite_that_a_workload_hides_is_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from harness import Axis, Reference, Workload\n"
        "axes = (Axis.integer('n', 1, 'Size.'),)\n"
        "work = Workload('smoke', 'Help.', axes, lambda p, d, g: None, Reference, 'plain')\n"
    )
    catalog = load_catalog([str(file)])
    assert "smoke" not in catalog.suites
    assert any("smoke.toml: a workload has that name" in line for line in catalog.broken)
