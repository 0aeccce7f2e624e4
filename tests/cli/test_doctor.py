"""``bench doctor`` as a user meets it, in processes of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.doctor.finding import STATUSES
from tests.support.command import bench


def test_every_check_has_a_line_and_every_problem_its_remedy_below(tmp_path: Path) -> None:
    done = bench("doctor", cwd=tmp_path, KMP_AFFINITY="compact")
    assert done.returncode in (0, 1), done.stderr
    for subject in ("processor", "memory", "GPU", "instruments", "software"):
        assert re.search(rf"^ {subject} ", done.stdout, re.MULTILINE)
    table, _, remedies = done.stdout.partition(" pass\n")
    assert "! threads" in table
    assert "KMP_AFFINITY=compact" in table
    assert re.search(r"^! threads +unset KMP_AFFINITY$", remedies, re.MULTILINE)
    assert "\x1b" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_machines_get_the_same_as_json_and_the_exit_code_tells_of_failures(tmp_path: Path) -> None:
    done = bench("doctor", "--json", cwd=tmp_path)
    document = json.loads(done.stdout)
    statuses = [finding["status"] for finding in document["findings"]]
    assert set(statuses) <= set(STATUSES)
    assert done.returncode == document["exit_code"] == int("fail" in statuses)
    assert document["noise"] is None
    for finding in document["findings"]:
        assert set(finding) == {"subject", "name", "status", "figure", "remedy"}
        assert bool(finding["remedy"]) == (finding["status"] in ("warn", "fail"))


def test_a_real_fault_of_a_real_process_is_exit_code_1_and_comes_first(tmp_path: Path) -> None:
    """A layout that is not random, as under a debugger."""
    done = bench("doctor", cwd=tmp_path, through=("setarch", "--addr-no-randomize"), KMP_AFFINITY="compact")
    assert done.returncode == 1, done.stderr
    table, _, below = done.stdout.partition(" pass\n")
    assert re.search(r"^ memory +✗ ASLR +not random here", table, re.MULTILINE)
    assert "fail: do not trust numbers taken now" in table.splitlines()[-1]
    assert re.search(r"^✗ .*^! threads ", below, re.MULTILINE | re.DOTALL)
    assert not re.search(r"^! .*^✗ ", below, re.MULTILINE | re.DOTALL)
    assert re.search(r"^✗ ASLR +Start bench without setarch -R", below, re.MULTILINE)


def test_it_starts_without_what_takes_seconds_to_import(tmp_path: Path) -> None:
    done = bench("doctor", cwd=tmp_path, PYTHONPROFILEIMPORTTIME="1")
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "harness.doctor.checks" in imported
    assert not imported & {"torch", "triton", "numpy", "scipy", "pandas"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--budget", "1s"), "--budget is about measuring; it needs --calibrate or --ceilings"),
        (("--calibrate", "--launches", "0"), "--launches 0: expected a whole number"),
        (("--calibrate", "--device", "gpu"), "unknown device 'gpu'"),
        (("--calibrat",), "No such option: --calibrat"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = bench("doctor", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_calibration_tells_the_noise_and_leaves_nothing(tmp_path: Path) -> None:
    done = bench("doctor", "--calibrate", "--launches", "2", "--budget", "0.4s", "--json", cwd=tmp_path)
    assert done.returncode in (0, 1), done.stderr
    noise = json.loads(done.stdout)["noise"]
    assert (noise["launches"], noise["budget_s"], noise["device"]) == (2, 0.4, "cpu")
    for figure in ("launch_spread", "round_spread", "sample_spread", "detectable_in_turns", "detectable_between_runs"):
        assert noise[figure] > 0
    assert not (tmp_path / "results").exists()
    assert [path for path in tmp_path.glob("benchwright-*") if path.is_dir()] == []
