from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_wheel_holds_the_code_and_the_suites_and_neither_tests_nor_results(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path))
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("benchwright-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"harness", "implementations", "suites"}
    for needed in (
        "harness/py.typed",
        "harness/launch/server.py",
        "implementations/attention/naive.py",
        "implementations/decoding/_prompts.toml",
        "suites/smoke.toml",
    ):
        assert needed in names
    (licence,) = (name for name in names if name.endswith("licenses/LICENSE"))
    assert b"Apache License" in zipfile.ZipFile(wheel).read(licence)
