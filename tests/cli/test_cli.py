"""The command line as a user meets it: the real console script, in processes of its own."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from harness.core.flag import Flag
from harness.store.read import read_run
from tests.support.command import BENCH, bench, environment, start
from tests.support.launcher import FakeLaunches, Script, noisy

Faked = Callable[..., subprocess.CompletedProcess[str]]
QUICK = ("--launches", "1", "--budget", "0.3s")


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def finished_trials(results: Path) -> int:
    return sum(len(read_run(folder).trials) for folder in results.glob("*Z-*") if (folder / "run.json").exists())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rnu",), "No such command 'rnu'. Did you mean 'run'?"),
        (("run", "atention"), "unknown workload or suite 'atention'; did you mean 'attention'?"),
        (("run", "smok"), "did you mean 'smoke'?"),
        (("run", "attention", "--sek", "8k"), "No such option: --sek"),
        (("run", "attention", "--seq", "eight"), "--seq 'eight': expected a whole number"),
        (("run", "attention", "--dtype", "bf61"), "unknown value 'bf61'; did you mean 'bf16'?"),
        (("run", "attention", "--impl", "niave"), "unknown implementation of attention 'niave'; did you mean 'naive'?"),
        (("run", "attention", "--device", "cuda"), "--device cuda: no CUDA device here"),
        (("run", "attention", "--device", "gpu"), "unknown device 'gpu'"),
        (("run", "attention", "--mode", "warm"), "--mode warm: unknown mode 'warm'"),
        (("run", "attention", "--launches", "0"), "--launches 0: expected a whole number"),
        (("run", "attention", "--budget", "soon"), "--budget soon: expected a time"),
        (("run", "attention", "--precision", "high"), "--precision high: expected a percentage"),
        (("run", "attention", "--tag", "novalue"), "--tag 'novalue': expected key=value"),
        (("run", "attention", "--load", "nowhere.py"), "--load nowhere.py: no such file"),
        (("run", "attention", "--impl", "sdpa_cudnn"), "nothing to do: attention/sdpa_cudnn"),
        (("run", "attention", "--heads", "6", "--kv-heads", "4"), "more: 6 heads cannot share 4 key heads evenly"),
        (("run", "attention", "--pass", "sideways"), "--pass 'sideways': unknown value"),
        (("run", "attention", "--results", "/proc/no"), "cannot write to /proc/no"),
        (("run", "nowhere.toml"), "suite nowhere.toml: "),
        (("run", "--resume", "nowhere"), "nowhere is not a run folder"),
        (("run", "--resume", "nowhere", "attention"), "--resume takes everything from the run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_is_one_line_and_exit_code_2_and_leaves_nothing(
    place: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = bench(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("bench: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert list(place.iterdir()) == []


def test_an_unknown_key_in_a_suite_is_named_with_the_nearest(place: Path) -> None:
    (place / "mine.toml").write_text('[[select]]\nworkload = "calibration"\nimplementation = ["noop"]\n')
    done = bench("run", "mine.toml")
    assert done.returncode == 2
    assert "unknown key 'implementation'; did you mean 'implementations'?" in done.stderr


def test_an_axis_that_takes_the_name_of_an_option_is_refused(place: Path) -> None:
    (place / "clash.py").write_text(
        "from harness import Axis, Reference, Workload\n"
        "w = Workload('own', 'h', (Axis.integer('seed', 4, 'x'),), lambda p, d, g: None, Reference, 'mine')\n"
    )
    done = bench("run", "own", "--load", "clash.py")
    assert done.returncode == 2
    assert "the axis 'seed' has the name of an option" in done.stderr


def test_help_shows_the_axes_of_the_workload_with_their_defaults(place: Path) -> None:
    text = " ".join(bench("run", "attention", "--help").stdout.split())
    for word in ("--seq", "--head-dim", "--dtype", "Axes of attention", "[default: bf16]", "--launches", "--dry-run"):
        assert word in text


def test_list_names_everything_and_says_what_this_machine_lacks(place: Path) -> None:
    done = bench("list")
    assert done.returncode == 0
    for word in (
        "attention",
        "online_softmax",
        "flash_triton",
        "not here",
        "CUDA 8.0+, triton",
        "no CUDA device here",
        "published: up to 740 TFLOP/s, FlashAttention-3 forward on H100 SXM5, fp16 (Shah et al. 2024)",
        "calibration",
        "smoke",
        "peak_memory",
    ):
        assert word in done.stdout
    assert "\x1b" not in done.stdout


def test_a_run_ends_in_a_table_and_a_folder_that_hold_the_same(place: Path) -> None:
    done = bench("run", "calibration", "--impl", "twin_b,noop,twin_a", *QUICK, "--tag", "board=left", "--seed", "3")
    assert done.returncode == 0, done.stderr
    (folder,) = (place / "results").iterdir()
    lines = done.stdout.splitlines()
    assert lines[0].startswith("calibration[duration=0.001,bytes=67108864,percent=0.02]")
    assert [line.split()[0] for line in lines if "±" in line] == ["twin_a", "twin_b", "noop"]
    assert str(Path("results") / folder.name) in lines[-1]
    assert "\x1b" not in done.stdout + done.stderr
    meta = json.loads((folder / "run.json").read_text())
    assert (meta["state"], meta["tags"], meta["seed"]) == ("complete", {"board": "left"}, 3)
    assert meta["command"][1:3] == ["run", "calibration"]
    assert meta["launches"][0]["runtime"]["os_threads"] == 1
    samples = pd.read_parquet(folder / "samples.parquet")
    timed = samples[(samples["metric"] == "time") & (samples["implementation"] == "noop")]
    assert (timed["value"] > 0).all()
    assert set(samples["metric"]) >= {"time", "cpu_time", "peak_memory", "peak_allocated", "max_abs_error", "rms_error"}


def test_a_name_that_is_wider_than_its_table_stays_on_one_line(faked: Faked) -> None:
    measure = ("run", "calibration", "--impl", "noop")
    ran, planned = (faked(FakeLaunches(), *measure, *more).stdout.splitlines() for more in (QUICK, ("--dry-run",)))
    assert ran[0] == planned[0] == "calibration[duration=0.001,bytes=67108864,percent=0.02]"


def test_machines_get_the_same_as_json_and_scripts_the_folder(faked: Faked) -> None:
    twins = FakeLaunches({"twin_a": Script(noisy(1e-3, seed=1)), "twin_b": Script(noisy(1e-3, seed=2))})
    done = faked(twins, "run", "calibration", "--impl", "twin_a,twin_b", *QUICK, "--json")
    document = json.loads(done.stdout)
    assert document["exit_code"] == done.returncode == 0
    (group,) = document["groups"]
    assert [row["implementation"] for row in group["rows"]] == ["twin_a", "twin_b"]
    twin = group["rows"][1]
    assert twin["ratio"]["ci_low"] < twin["ratio"]["value"] < twin["ratio"]["ci_high"]
    assert twin["metrics"]["time"]["unit"] == "s"
    assert twin["params"]["bytes"] == 64 << 20
    quiet = faked(FakeLaunches(), "run", "calibration", "--impl", "noop", *QUICK, "--quiet")
    assert quiet.stderr == ""
    assert read_run(Path(quiet.stdout.strip())).complete


def test_a_dry_run_shows_the_plan_and_measures_nothing(place: Path) -> None:
    done = bench("run", "attention", "--seq", "1k,2k", "--dry-run")
    assert done.returncode == 0
    assert done.stdout.count("skip: needs CUDA") >= 2
    assert "at most" in done.stdout
    assert list(place.iterdir()) == []


def test_a_suite_of_ones_own_is_run_from_its_file(place: Path, faked: Faked) -> None:
    (place / "mine.toml").write_text(
        'help = "h"\n[policy]\nlaunches = 1\nbudget = "0.2s"\n[[select]]\nworkload = "calibration"\n'
        'implementations = ["noop"]\naxes = { bytes = "1MiB", percent = ["1%", "2%"] }\n'
    )
    done = faked(FakeLaunches(), "run", "mine.toml", "--json")
    assert [group["group"] for group in json.loads(done.stdout)["groups"]] == [
        "calibration[duration=0.001,bytes=1048576,percent=0.01]",
        "calibration[duration=0.001,bytes=1048576,percent=0.02]",
    ]


def test_the_seed_is_told_to_every_worker_and_kept(place: Path, faked: Faked) -> None:
    """What workers make of it is in ``tests/launch/test_turns.py``."""
    launches = FakeLaunches()
    faked(launches, "run", "attention", "--seq", "64", "--impl", "naive", "--seed", "5", *QUICK)
    assert {worker.spec.seed for worker in launches.workers} == {5}
    (folder,) = (place / "results").iterdir()
    assert read_run(folder).policy.seed == 5


def test_ctrl_c_leaves_a_readable_run_and_resume_measures_what_is_missing_and_nothing_else(place: Path) -> None:
    results = place / "results"
    running = start("run", "calibration", "--impl", "noop,twin_a", "--launches", "3", "--budget", "3s")
    wait_until(lambda: finished_trials(results) >= 2)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=30)
    assert running.returncode == 130
    (folder,) = results.iterdir()
    assert f"bench run --resume results/{folder.name}" in out
    before = read_run(folder)
    assert before.description.state == "interrupted"
    assert 2 <= len(before.trials) < 6
    assert len(pd.read_parquet(folder / "trials.parquet")) == len(before.trials)

    resumed = bench("run", "--resume", str(folder))
    assert resumed.returncode == 0, resumed.stderr
    after = read_run(folder)
    assert after.complete
    assert repr(after.trials[: len(before.trials)]) == repr(before.trials)  # an energy of NaN equals nothing
    assert len({(trial.case, trial.launch) for trial in after.trials}) == len(after.trials) == 6

    again = bench("run", "--resume", str(folder))
    assert again.returncode == 0
    assert repr(read_run(folder).trials) == repr(after.trials)


def test_a_second_run_at_once_waits_for_the_first(place: Path) -> None:
    first = start("run", "calibration", "--impl", "twin_a", "--launches", "1", "--budget", "1s", "--quiet")
    wait_until(lambda: (place / f"benchwright-{os.getuid()}.lock").exists())
    second = bench("run", "calibration", "--impl", "noop", *QUICK)
    assert f"another run is measuring on this machine (process {first.pid})" in second.stderr
    assert second.returncode == first.wait(timeout=1) == 0
    first.communicate()


def test_a_disk_that_fills_up_is_one_line_and_exit_code_4(place: Path) -> None:
    through = ("prlimit", "--fsize=60000")
    done = bench("run", "calibration", "--impl", "noop", "--launches", "1", "--quiet", through=through)
    assert done.returncode == 4, done.stderr
    assert done.stderr.startswith("bench: cannot write to results/")
    assert done.stderr.count("\n") == 1
    assert list((place / "results").iterdir())


def test_a_terminal_is_told_what_is_being_done_and_a_reader_that_leaves_is_no_error(place: Path) -> None:
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        (BENCH, "run", "calibration", "--impl", "noop", *QUICK), env=environment(), stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            seen += os.read(ours, 4096)
        except OSError:  # the terminal's other side is closed
            break
    os.close(ours)
    assert running.wait(timeout=60) == 0
    assert b"launch 1/1" in seen
    assert b"\x1b[" in seen

    piped = subprocess.run(f"'{BENCH}' list | head -1", shell=True, capture_output=True, text=True, check=False)
    assert piped.stderr == ""


def test_list_explains_every_flag(place: Path) -> None:
    shown = bench("list", "--flags").stdout
    for flag in Flag:
        assert f"{flag}: {flag.help}\n  casts doubt on the {flag.doubts}\n" in shown
