"""``bench show`` as a user meets it: the real console script, in processes of its own."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text

from harness.core.case import Case, Group, PlannedCase
from harness.core.run_description import COMPLETE, INTERRUPTED
from harness.core.trial import CRASHED, OK, SKIPPED, Sample, Trial
from harness.core.variant import Variant
from harness.store.write import make_run_id
from tests.support.command import BENCH
from tests.support.runs import ON_CPU, here, recorded_run

Bench = Callable[..., subprocess.CompletedProcess[str]]
LOG = "\n".join(["first words", *map(str, range(20)), "last words"])
TIMES = {64: [1e-3, 1.01e-3, 1.02e-3], 128: [2e-3, 2.01e-3, 2.02e-3], 256: [4e-3, 4.01e-3, 4.02e-3]}


def timed(name: str, seq: int, factor: float = 1.0) -> list[Trial]:
    case = Case("work", name, (("seq", seq), ("causal", True)))
    found = []
    for launch in range(3):
        values = [factor * value * (1 + launch / 100) for value in TIMES[seq] * 3]
        found.append(
            Trial(case, launch, OK, samples=[Sample("time", value, turn) for turn, value in enumerate(values)])
        )
    return found


def crashed(name: str, message: str = "killed by SIGSEGV", log: str = LOG) -> list[Trial]:
    case = Case("work", name, (("seq", 64), ("causal", True)))
    return [Trial(case, launch, CRASHED, message, log=log) for launch in range(3)]


def stored(
    trials: list[Trial],
    state: str = COMPLETE,
    *,
    run_id: str = "",
    variant: Variant | None = None,
    machine: Mapping[str, Any] | None = None,
) -> Path:
    cases: dict[str, dict[Case, None]] = {}
    for trial in trials:
        cases.setdefault(trial.case.group, {})[trial.case] = None
    groups = [Group(name, "plain", tuple(map(PlannedCase, mine))) for name, mine in cases.items()]
    known = {"host": "box", "git_commit": "0123456789abcdef", "git_dirty": True}
    run = recorded_run(
        Path("results"),
        groups,
        trials,
        run_id=run_id,
        policy=replace(ON_CPU, launches=3),
        environment=here(**{**known, **(machine or {})}),
        state=state,
        command=("/usr/bin/bench", "run", "work", "--seq", "64,128"),
        variant=variant,
    )
    return run.folder


def test_a_run_is_shown_again_with_what_it_was_and_plots_of_it(place: Path, bench: Bench) -> None:
    skipped = Trial(Case("work", "cuda", (("seq", 64), ("causal", True))), 0, SKIPPED, "needs CUDA")
    folder = stored([*timed("plain", 64), *timed("slow", 64, 2.0), *crashed("broken"), skipped])
    shown = bench("show")
    assert (shown.returncode, shown.stderr) == (0, "")
    first, *lines = shown.stdout.splitlines()
    assert re.fullmatch(
        r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC · bench run work --seq 64,128 · box · "
        r"commit 0123456789ab with changes · complete",
        first,
    )
    assert [line.split() for line in lines if line.startswith(" slow ")] == [
        ["slow", "2.04", "ms", "±2.5%", "2.00", "±0.0%"]
    ]
    assert "  cuda skipped: needs CUDA" in lines
    plain, slow = (next(line for line in lines if line.startswith(name) and "█" in line) for name in ("plain", "slow"))
    assert slow.index("●") > 1.8 * plain.index("●")
    assert sum(line.endswith("27 rounds") for line in lines) == 2
    where = lines.index("work/broken[seq=64,causal=true] crashed in launches 1, 2, 3: killed by SIGSEGV")
    assert lines[where + 1 :] == [f"  | {line}" for line in LOG.splitlines()[-8:]]
    assert str(folder) in lines


def test_times_over_a_numeric_axis_are_a_table_with_trends(place: Path, bench: Bench) -> None:
    stored([trial for seq in TIMES for trial in (*timed("plain", seq), *timed("slow", seq, 3.0))])
    lines = bench("show").stdout.splitlines()
    where = lines.index("work over seq [causal=true], trends on one log scale")
    assert [line.split() for line in lines[where + 1 :]] == [
        ["64", "128", "256"],
        ["plain", "1.02", "ms", "2.03", "ms", "4.05", "ms", "▁▃▅", "seq^0.99"],
        ["slow", "3.06", "ms", "6.09", "ms", "12.2", "ms", "▄▆█", "seq^0.99"],
    ]
    one = bench("show", "--group", "SEQ=128")
    assert "seq=128" in one.stdout
    assert not re.search("seq=64|seq=256|over seq", one.stdout)
    wrong = bench("show", "--group", "seq=12345")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("bench: unknown group 'seq=12345'; ")
    assert wrong.stderr.count("\n") == 1


def test_a_run_that_was_cut_short_is_shown_so_far_with_the_way_on(place: Path, bench: Bench) -> None:
    folder = stored(timed("plain", 64)[:2], INTERRUPTED)
    shown = bench("show", folder.name[:20])
    assert (shown.returncode, shown.stderr) == (0, "")
    first, second, *lines = shown.stdout.splitlines()
    assert first.endswith(" · interrupted")
    assert second == f"interrupted: 2 trials so far; go on with: bench run --resume {folder}"
    assert any("●" in line for line in lines)
    meta = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**meta, "state": "running"}))
    assert f"if it was killed, go on with: bench run --resume {folder}" in bench("show").stdout
    assert json.loads(bench("show", "--json").stdout)["exit_code"] == 130


def test_the_document_is_that_of_bench_run(place: Path, bench: Bench) -> None:
    folder = stored([*timed("plain", 64), *crashed("broken")])
    shown = bench("show", str(folder), "--json")
    assert shown.returncode == 0
    assert json.loads(shown.stdout)["exit_code"] == 1
    assert shown.stdout == bench("run", "--resume", str(folder), "--json").stdout


def test_sides_of_a_run_are_shown_with_their_comparison(place: Path, bench: Bench) -> None:
    name = make_run_id("work")
    for role, factor in (("base", 1.0), ("new", 2.0)):
        side = Variant(role, name, ref="v1" if role == "base" else "")
        stored(timed("plain", 64, factor), run_id=f"{name}-{role}", variant=side)
    shown = bench("show", f"{name}-base")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert " · side base v1 · complete\n" in shown.stdout
    assert " 1.02 ms " in shown.stdout
    assert re.search(r" plain +1\.02 ms +2\.04 ms +2\.000 .* slower ", shown.stdout)
    document = json.loads(bench("show", f"{name}-new", "--json").stdout)
    assert [row["verdict"] for row in document["comparisons"]] == ["slower"]


HOSTILE = "a\x1b[31mb\x07\u202ec\n\x9b2Jd[bold red]e[/]"
WORDS = "a [31mb c 2Jd[bold red]e[/]"


def test_text_from_files_is_text_and_does_nothing(place: Path, bench: Bench) -> None:
    unit = replace(timed("plain", 64)[0], case=Case("work", HOSTILE, (("seq", 64), ("causal", HOSTILE))))
    flagged = replace(unit, samples=[replace(sample, flags=HOSTILE) for sample in unit.samples])
    broken = replace(crashed("x", HOSTILE, f"said\n{HOSTILE}")[0], case=replace(unit.case, implementation="x"))
    stored([flagged, broken], machine={"host": HOSTILE, "cpu_model": HOSTILE, "git_commit": "\x1b]0;x\x07"})
    shown = bench("show")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert [character for character in shown.stdout if not character.isprintable() and character != "\n"] == []
    assert f"work[seq=64,causal={WORDS}]" in shown.stdout
    assert f"· {WORDS} · commit ]0;x with changes" in shown.stdout
    assert f"crashed in launch 1: {WORDS}\n  | said\n  | a [31mb c\n  | 2Jd[bold red]e[/]\n" in shown.stdout


def test_an_output_that_has_no_blocks_gets_the_nearest_characters(place: Path, bench: Bench) -> None:
    stored([trial for seq in TIMES for trial in timed("plain", seq)] + crashed("broken", "é"))
    shown = bench("show", PYTHONIOENCODING="ascii")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.isascii()
    usual = bench("show").stdout
    bars = [line for line in usual.splitlines() if "█" in line and "●" in line]
    assert len(bars) == 3
    for line in bars:
        assert line.translate(str.maketrans("█├─●┤±", "#[-o]~")) in shown.stdout
    assert "killed" not in shown.stdout
    assert "launches 1, 2, 3: ?" in shown.stdout


@pytest.mark.parametrize("width", [80, 120])
def test_on_a_terminal_there_is_colour_and_every_plot_fits(place: Path, width: int) -> None:
    stored([trial for seq in TIMES for name in ("plain", "x" * 50) for trial in timed(name, seq)])
    parent, child = pty.openpty()
    variables = {**os.environ, "COLUMNS": str(width), "TERM": "xterm-256color"}
    variables.pop("NO_COLOR", None)
    running = subprocess.Popen([BENCH, "show"], stdout=child, stderr=child, env=variables)
    os.close(child)
    content = b""
    try:
        while data := os.read(parent, 65536):
            content += data
    except OSError:  # the terminal is gone with its last process
        pass
    assert running.wait(60) == 0
    text = content.decode()
    assert "\x1b[" in text
    lines = [Text.from_ansi(line) for line in text.splitlines()]
    plots = [line for line in lines if any(mark in line.plain for mark in "●▁▂▃▄▅▆▇▲")]
    assert len(plots) > 9
    assert max(line.cell_len for line in plots) <= width
