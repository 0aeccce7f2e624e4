"""The command as a user meets it: real kernels, compiled for GPUs that are not here."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.core.errors import UsageError
from harness.inspect.architectures import ARCHITECTURES
from harness.resolve import resolve_run
from harness.store.read import read_run
from tests.support import command

NVIDIA = ("sm_80", "sm_90", "sm_100")
ALL = (*NVIDIA, "gfx942")
PlugIn = Callable[..., str]


def bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return command.bench(*arguments, cwd=folder, TRITON_INTERPRET="1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inspect")


@pytest.fixture(scope="module")
def found(folder: Path, plug_in: PlugIn) -> dict[str, Any]:
    """What one inspection says."""
    mine = plug_in(folder, "copy", "spills", "product")
    done = bench(folder, "inspect", "work", "--load", mine, "--arch", ",".join(ALL), "--tag", "why=test", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def kernel(found: dict[str, Any], arch: str, name: str) -> dict[str, Any]:
    return next(
        one for one in found["kernels"] if one["params"]["arch"] == arch and one["params"]["kernel"].startswith(name)
    )


def value(one: dict[str, Any], metric: str) -> float:
    return one["metrics"][metric]["value"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("arch", ALL)
def test_a_kernel_without_a_gpu_is_known_by_its_machine_code(found: dict[str, Any], arch: str) -> None:
    one = kernel(found, arch, "copy 1024")
    assert (one["status"], one["message"]) == ("ok", "")
    assert len(one["sha256"]) == 64
    assert 4 <= value(one, "registers") <= 40
    assert value(one, "spill_stores") == value(one, "spill_loads") == value(one, "shared_memory") == 0
    assert (value(one, "occupancy"), value(one, "tensor_core_share")) == (1.0, 0.0)
    assert value(one, "instructions") == sum(one["instructions"].values()) > 10
    assert value(one, "compile_time") > 0


@pytest.mark.parametrize("arch", ALL)
def test_matrix_units_are_seen(found: dict[str, Any], arch: str) -> None:
    one = kernel(found, arch, "product warps=4 stages=2")
    name = {"sm_80": "HMMA", "sm_90": "HGMMA", "sm_100": "UTCHMMA", "gfx942": "v_mfma"}[arch]
    units = sum(count for each, count in one["instructions"].items() if each.startswith(name))
    assert units > 0
    assert value(one, "tensor_core_share") == units / value(one, "instructions")
    assert value(one, "shared_memory") >= 64 * 64 * 2


@pytest.mark.parametrize("arch", ALL)
def test_spills_are_seen(found: dict[str, Any], arch: str) -> None:
    one = kernel(found, arch, "normalise")
    assert value(one, "spill_stores") > 0
    assert value(one, "spill_loads") > 0
    assert value(one, "registers") <= (64 if arch == "gfx942" else 32)


def test_a_kernel_that_does_not_compile_is_a_row_and_so_is_one_that_brings_the_compiler_down(
    tmp_path: Path, plug_in: PlugIn
) -> None:
    mine = plug_in(tmp_path, "fatal", "broken", "copy")
    done = bench(tmp_path, "inspect", "work", "--load", mine, "--arch", "sm_80", "--json")
    assert done.returncode == 1, done.stderr
    fatal, broken, sound = json.loads(done.stdout)["kernels"]
    assert (fatal["status"], fatal["params"]["kernel"], fatal["metrics"]) == ("crashed", "fatal", {})
    assert "SIGABRT" in fatal["message"]
    assert (broken["status"], broken["metrics"]) == ("error", {})
    assert broken["message"] == "ValueError: arange's range must be a power of 2"
    assert (sound["status"], sound["params"]["kernel"]) == ("ok", "copy 1024")


def test_the_rows_are_in_the_store_and_say_what_they_are_of(found: dict[str, Any], folder: Path) -> None:
    run = read_run(folder / found["run"])
    assert run.complete
    assert run.description.tags == {"why": "test"}
    assert set(run.environment.packages) == {"triton"}
    trial = next(trial for trial in run.trials if trial.case.params["kernel"] == "copy 1024")
    assert trial.case.id == "work/copies[n=4096,dtype=fp16,arch=sm_80,kernel=copy 1024]"
    assert {sample.provenance for sample in trial.samples} == {
        f"compiled: sha256 {kernel(found, 'sm_80', 'copy 1024')['sha256']}"
    }
    assert "ptxas info" in trial.log


def test_the_same_kernel_is_the_same_and_a_change_shows(
    found: dict[str, Any], folder: Path, plug_in: PlugIn, tmp_path: Path
) -> None:
    mine = plug_in(
        tmp_path,
        "copy",
        spills='Kernel(normalise, {**wide, "SIZE": 4096}, {"num_warps": 1, "maxnreg": 64, "waves_per_eu": 8})',
    )
    results = folder / "results"
    done = bench(folder, "inspect", "work", "--load", mine, "--arch", "sm_80", "--results", str(results), "--quiet")
    assert done.returncode == 0, done.stderr
    again = read_run(Path(done.stdout.strip()))
    hashes = {trial.case.id: trial.samples[0].provenance for trial in again.trials}
    before = {
        trial.case.id: trial.samples[0].provenance for trial in read_run(folder / found["run"]).trials if trial.samples
    }
    copied, spilling = hashes
    assert hashes[copied] == before[copied]
    assert hashes[spilling] != before[spilling]

    compared = bench(folder, "compare", found["run"], str(again.folder), "--json")
    rows = {(row["case"], row["metric"]): row for row in json.loads(compared.stdout)["comparisons"]}
    assert {row["verdict"] for (case, _), row in rows.items() if case == copied} == {"equivalent"}
    registers = rows[spilling, "registers"]
    assert (registers["base"], registers["new"], registers["verdict"]) == (32, 64, "worse")
    assert rows[spilling, "spill_stores"]["verdict"] == "better"
    history = json.loads(bench(folder, "history", spilling, "--metric", "registers", "--json").stdout)
    assert [point["value"] for series in history["series"] for point in series["points"]] == [32, 64]


def test_an_inspection_is_no_run_to_be_measured_on(found: dict[str, Any], folder: Path) -> None:
    with pytest.raises(UsageError, match="there is no run"):
        resolve_run("latest", folder / "results")
    done = bench(folder, "run", "--resume", found["run"])
    assert done.returncode == 2
    assert done.stderr.endswith("is of kernels that were compiled: there is nothing to resume\n")


def test_a_kernel_can_be_gated(found: dict[str, Any], folder: Path) -> None:
    kept = bench(folder, "baseline", "set", "kernels", found["run"])
    assert kept.returncode == 0, kept.stderr
    newest = max((folder / "results").glob("*Z-inspect-*"))
    done = bench(folder, "gate", str(newest), "--baseline", "kernels")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "registers" in done.stdout


def test_a_table_is_printed(folder: Path, plug_in: PlugIn, tmp_path: Path) -> None:
    mine = plug_in(tmp_path, "copy")
    done = bench(
        folder, "inspect", "work", "--load", mine, "--n", "100", "--dtype", "fp16,fp32", "--results", str(tmp_path)
    )
    assert done.returncode == 0, done.stderr
    for dtype in ("fp16", "fp32"):
        assert f"work/copies[n=100,dtype={dtype}] for sm_90" in done.stdout
    for word in ("registers", "spills", "occupancy", "copy 1024", "0 B + 0 B", "100.0%", "nothing ran"):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("work", "--arch", "sm_09"), "unknown architecture 'sm_09'; did you mean 'sm_90'?"),
        (("work", "--arch", ""), "unknown architecture ''"),
        (("wrok",), "unknown workload 'wrok'; did you mean 'work'?"),
        (("work", "--impl", "declares_nothing"), "nothing to inspect: no kernels are declared by declares_nothing"),
        (("work", "--impl", "copy"), "unknown implementation of work 'copy'; did you mean 'copies'?"),
        (("work", "--n", "many"), "--n 'many': expected a whole number"),
        (("work", "--n", "1"), "nothing to inspect: copies declares no kernel at this point"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, plug_in: PlugIn, arguments: tuple[str, ...], message: str
) -> None:
    done = bench(tmp_path, "inspect", *arguments, "--load", plug_in(tmp_path, "copy"))
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "results").exists()


def test_an_unsupported_point_is_skipped_with_its_reason(tmp_path: Path, plug_in: PlugIn) -> None:
    done = bench(tmp_path, "inspect", "work", "--load", plug_in(tmp_path, "copy"), "--n", "2m")
    assert done.returncode == 0, done.stderr
    assert "none skipped: too many" in done.stdout


def test_two_kernels_of_one_name_are_refused(tmp_path: Path, plug_in: PlugIn) -> None:
    done = bench(tmp_path, "inspect", "work", "--load", plug_in(tmp_path, "copy", "copy"))
    assert done.returncode == 1
    assert "two kernels are called 'copy 1024': give them labels" in done.stdout


def test_an_interrupted_inspection_leaves_nothing(tmp_path: Path, plug_in: PlugIn) -> None:
    mine = plug_in(tmp_path, "copy", "spills", "product")
    arguments = ("inspect", "work", "--load", mine, "--arch", ",".join(ARCHITECTURES))
    process = command.start(*arguments, cwd=tmp_path, TRITON_INTERPRET="1")
    deadline = time.monotonic() + 60
    while not (children := psutil.Process(process.pid).children(recursive=True)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    assert not (tmp_path / "results").exists()
    assert not list(tmp_path.glob("benchwright-*"))
