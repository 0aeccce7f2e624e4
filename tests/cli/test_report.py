"""``bench report`` and the page that ``bench run`` leaves, as a user has them."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from tests.support.launcher import FakeLaunches
from tests.support.plug_in import as_written

NOISY = {"base": 1.0, "other": 2.0}


def runs_of(draw, record, **machine):
    return record({name: draw(seed, factor) for seed, (name, factor) in enumerate(NOISY.items())}, **machine)


def test_a_run_ends_with_the_path_of_its_page(faked, commit) -> None:
    commit(0.001)
    done = faked(FakeLaunches(as_written), "run", "work", "--load", "mine.py", "--launches", "1", "--budget", "0.2s")
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.splitlines()[-1])
    assert path.name == "report.html"
    page = path.read_text()
    assert "waits is the fastest" in page
    assert re.search(r"<bdi>state</bdi></th><td><bdi>complete</bdi>", page)


def test_two_revisions_have_one_page_with_their_verdict(faked, commit) -> None:
    commit(0.001)
    commit(0.003)
    command = ("run", "work", "--load", "mine.py", "--launches", "3", "--budget", "0.5s", "--against", "HEAD~1..HEAD")
    done = faked(FakeLaunches(as_written), *command)
    assert done.returncode == 0, done.stderr
    page = Path(done.stdout.splitlines()[-1]).read_text()
    (said,) = re.findall("<h1>(.*?)</h1>", page)
    assert re.match(r"[12] slower", said), said
    assert "HEAD~1" in page


def test_the_newest_run_is_shown_where_none_is_named(bench, place: Path, draw, record) -> None:
    run = runs_of(draw, record)
    done = bench("report")
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).resolve() == run.folder / "report.html"


def test_several_runs_stand_on_one_page_in_the_current_folder(bench, place: Path, draw, record) -> None:
    runs = [runs_of(draw, record, cpu_model=name) for name in ("This CPU", "That CPU")]
    done = bench("report", *(run.id for run in runs))
    assert done.stdout.strip() == "report.html"
    page = Path("report.html").read_text()
    assert "This CPU" in page
    assert "That CPU" in page
    everything = bench("report", "results", "-o", "all.html")
    assert everything.returncode == 0
    assert "That CPU" in Path("all.html").read_text()


def test_a_run_that_cannot_be_read_is_named_and_left_out(bench, place: Path, draw, record) -> None:
    runs_of(draw, record)
    broken = runs_of(draw, record)
    (broken.folder / "samples.parquet").write_bytes(b"PAR1 no")
    done = bench("report", "results", "-o", "all.html")
    assert done.returncode == 0, done.stderr
    assert f"left out: results/{broken.id}" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_markdown_goes_where_an_issue_can_take_it_from(bench, place: Path, draw, record) -> None:
    runs_of(draw, record)
    done = bench("report", "--format", "md")
    assert done.stdout.startswith("`base is the fastest of 2 implementations")
    assert "| implementation" in done.stdout


def test_pictures_are_of_the_figures_of_all_cases(bench, place: Path, draw, record) -> None:
    runs_of(draw, record)
    done = bench("report", "--format", "png")
    assert done.returncode == 0, done.stderr
    files = [Path(line) for line in done.stdout.splitlines()]
    assert Path("figures/forest-baseline.png") in files
    for file in files:
        content = file.read_bytes()
        assert content.startswith(b"\x89PNG")
        width, height = struct.unpack(">II", content[16:24])
        assert width >= 1000
        assert height >= 300


def test_a_wrong_word_is_one_line_with_the_nearest(bench, place: Path, draw, record) -> None:
    run = runs_of(draw, record)
    for words, said in (
        (("report", "--format", "htm"), "did you mean 'html'?"),
        (("report", run.id[:-1] + "zz"), "unknown run"),
        (("report", "-o", "no/such/folder/page.html"), "cannot write to no/such/folder/page.html"),
    ):
        done = bench(*words)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
        assert said in done.stderr


def test_without_a_run_there_is_nothing_to_show(bench, place: Path) -> None:
    done = bench("report")
    assert (done.returncode, done.stderr) == (2, "bench: there is no run in results\n")
