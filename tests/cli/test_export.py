"""``bench export`` and ``bench import`` as a user meets them: the real console script, in processes of its own."""

from __future__ import annotations

import csv
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.formats.exports import FORMATS
from harness.formats.imports import AUTO, READERS
from harness.store.bundle import write_bundle
from harness.store.read import read_run
from tests.support.command import bench

RECORDED = Path(__file__).parents[1] / "formats"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder with three invocations of pytest-benchmark, and one of google/benchmark."""
    before = Path.cwd()
    os.chdir(tmp_path)
    for number in range(3):
        document = json.loads((RECORDED / "pytest_benchmark.json").read_text())
        for benchmark in document["benchmarks"]:
            benchmark["stats"]["data"] = [value * (1 + number / 1000) for value in benchmark["stats"]["data"]]
        Path(f"{number}.json").write_text(json.dumps(document))
    Path("google.json").write_bytes((RECORDED / "google_benchmark.json").read_bytes())
    yield tmp_path
    os.chdir(before)


def test_three_files_become_a_run_that_is_exported_to_every_format(place: Path) -> None:
    done = bench("import", "0.json", "1.json", "2.json")
    assert (done.returncode, done.stderr) == (0, "")
    folder = done.stdout.strip()
    assert read_run(Path(folder)).complete
    for name in FORMATS:
        shown = bench("export", folder, "--format", name)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert "test_reversed" in shown.stdout
        kept = bench("export", folder, "--format", name, "-o", "out")
        assert (kept.returncode, kept.stdout, kept.stderr) == (0, "", "")
        assert Path("out").read_text() == shown.stdout
    again = bench("import", "out", "--format", "pytest-benchmark")
    assert again.returncode == 2
    bench("export", folder, "--format", "pytest-benchmark", "--output", "out")
    again = bench("import", "out", "--results", "others")
    assert again.stderr == "bench: one file is one launch; a verdict needs 3: measure and import 3 files\n"
    assert Path(again.stdout.strip()).parent == Path("others")


def test_what_a_format_has_no_place_for_is_named_beside_it(place: Path) -> None:
    folder = bench("import", "google.json").stdout.strip()
    done = bench("export", folder, "--format", "pytest-benchmark")
    assert done.returncode == 0
    assert done.stderr.startswith(
        "bench: left out, for pytest-benchmark has no place for it: bench_sums/BM_err[] (error)"
    )
    assert "BM_skip[] (skipped)" in done.stderr
    assert {benchmark["name"] for benchmark in json.loads(done.stdout)["benchmarks"]} == {
        "BM_sum[n=8,m=1]",
        "BM_plain[arg0=8]",
        "BM_rt/process_time/real_time",
    }
    rows = list(csv.DictReader(bench("export", folder, "--format", "csv").stdout.splitlines()))
    assert {row["implementation"]: row["status"] for row in rows}["BM_err"] == "error"


def test_a_run_that_is_not_complete_is_exported_as_far_as_it_is(place: Path) -> None:
    folder = Path(bench("import", "google.json").stdout.strip())
    meta = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**meta, "state": "interrupted"}))
    done = bench("export", str(folder), "--format", "csv")
    assert (done.returncode, done.stderr) == (0, f"bench: {folder} is not complete; this is what there is so far\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("export", "nowhere", "--format", "csv"), "unknown run 'nowhere'"),
        (("export", "RUN", "--format", "cvs"), "unknown format 'cvs'; did you mean 'csv'?"),
        (("export", "RUN"), "give --format NAME, for another tool, or --bundle FILE.zip, for another machine"),
        (("export", "RUN", "--format", "csv", "-o", "/proc/no/out"), "cannot write to /proc/no/out"),
        (("import",), "Missing argument 'FILE'"),
        (("import", "nowhere.json"), "nowhere.json: No such file"),
        (("import", "0.json", "--format", "google"), "unknown format 'google'; did you mean 'google-benchmark'?"),
        (("import", "0.json", "0.json"), "holds the same as"),
        (("import", "0.json", "--results", "/proc/no"), "cannot write to /proc/no"),
        (("import", "RUN/run.json"), "run.json: expected JSON of pytest-benchmark"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_is_one_line_and_exit_code_2_and_leaves_nothing(
    place: Path, arguments: tuple[str, ...], message: str
) -> None:
    folder = bench("import", "google.json").stdout.strip()
    before = sorted(place.rglob("*"))
    done = bench(*(word.replace("RUN", folder) for word in arguments))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("bench: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert sorted(place.rglob("*")) == before


def test_runs_go_to_another_machine_in_one_file(place: Path) -> None:
    folders = sorted(bench("import", name).stdout.strip() for name in ("google.json", "0.json"))
    done = bench("export", *folders, "--bundle", "all.zip")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = bench("import", "all.zip", "--results", "far/away")
    there = [str(Path("far/away", Path(folder).name)) for folder in folders]
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, there, "")
    again = bench("import", "all.zip", "--results", "far/away")
    assert (again.returncode, again.stdout) == (0, done.stdout)
    assert again.stderr == "".join(f"bench: {folder} is there already, with the same content\n" for folder in there)
    shown = [bench("export", folder, "--format", "csv").stdout for folder in (folders[0], there[0])]
    assert shown[0] == shown[1] != ""
    Path(there[0], "run.json").unlink()
    refused = bench("import", "all.zip", "--results", "far/away")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"bench: {there[0]} is there already, with another content; nothing was imported\n"
    assert sorted(Path("far").rglob(".*")) == []


def write_bundles(folder: str) -> None:
    """Write a bundle of a run, half of it, and files that only look like one."""
    Path("kept.zip").write_bytes(write_bundle([read_run(Path(folder))]))
    Path("half").write_bytes(Path("kept.zip").read_bytes()[:-100])
    with zipfile.ZipFile("outside.zip", "w") as archive:
        archive.writestr("../run.json", "{}")
    link = zipfile.ZipInfo(f"{Path(folder).name}/run.json")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile("link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")


BUNDLES = (
    (("export", "RUN", "--format", "csv", "--bundle", "a.zip"), "for another machine: one of them"),
    (("export", "RUN", "--bundle", "a.zip", "-o", "out"), "--output is for --format"),
    (("export", "RUN", "RUN", "--format", "csv"), "--format takes one run"),
    (("export", "RUN", "--bundle", "/proc/no/a.zip"), "cannot write to /proc/no/a.zip"),
    (("export", "RUN", "nowhere", "--bundle", "a.zip"), "unknown run 'nowhere'"),
    (("import", "nowhere.zip"), "nowhere.zip: no such file"),
    (("import", "kept.zip", "--results", "/proc/no"), "cannot write to /proc/no"),
    (("import", "kept.zip", "--results", "0.json"), "cannot write to 0.json"),
    (
        ("import", "kept.zip", "0.json", "--format", "pytest-benchmark"),
        "kept.zip is a bundle: import it without --format, and without files of",
    ),
    (("import", "half"), "half: not a zip file, or a damaged one"),
    (("import", "outside.zip"), "outside.zip: the member '../run.json' is not a file of a run"),
    (("import", "link.zip"), "run.json' is a link, a folder or a device"),
)


def test_a_bundle_that_cannot_be_written_or_taken_is_one_line_and_leaves_nothing(place: Path) -> None:
    folder = bench("import", "google.json").stdout.strip()
    write_bundles(folder)
    before = sorted(place.rglob("*"))
    for arguments, message in BUNDLES:
        done = bench(*(word.replace("RUN", folder) for word in arguments))
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), arguments
        assert message in done.stderr
        assert sorted(place.rglob("*")) == before


def test_all_sides_of_a_run_are_packed_together(place: Path) -> None:
    folder = Path(bench("import", "google.json").stdout.strip())
    meta = json.loads((folder / "run.json").read_text())
    for role in ("base", "new"):
        side = folder.with_name(f"{folder.name}-{role}")
        side.mkdir()
        described = {"run_id": side.name, "revision": {"role": role, "together": folder.name}, "state": "interrupted"}
        (side / "run.json").write_text(json.dumps({**meta, **described}))
        (side / "journal.jsonl").write_text("")
    done = bench("export", f"{folder}-new", f"{folder}-base", "--bundle", "sides.zip")
    assert done.returncode == 0
    assert done.stderr.count("is not complete; this is what there is so far\n") == 2
    names = [f"{folder.name}-{role}/{name}" for role in ("base", "new") for name in ("journal.jsonl", "run.json")]
    assert zipfile.ZipFile("sides.zip").namelist() == names
    assert bench("import", "sides.zip", "--results", "far").returncode == 0


def test_a_disk_that_fills_up_leaves_no_half_run_and_no_half_file(place: Path) -> None:
    limit = ("prlimit", "--fsize=20000")
    document = json.loads(Path("0.json").read_text())
    document["benchmarks"][0]["stats"]["data"] = [1 + 1 / value for value in range(1, 20_000)]
    Path("0.json").write_text(json.dumps(document))
    done = bench("import", "0.json", through=limit)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("bench: cannot write to results/")
    assert list(Path("results").iterdir()) == []
    folder = bench("import", "0.json").stdout.strip()
    before = sorted(place.iterdir())
    done = bench("export", folder, "--format", "pytest-benchmark", "-o", "out", through=limit)
    assert (done.returncode, done.stderr) == (2, "bench: cannot write to out: File too large\n")
    done = bench("export", folder, "--bundle", "a.zip", through=limit)
    assert (done.returncode, done.stderr) == (2, "bench: cannot write to a.zip: File too large\n")
    assert sorted(place.iterdir()) == before
    bench("export", folder, "--bundle", "a.zip")
    done = bench("import", "a.zip", "--results", "far", through=limit)
    assert (done.returncode, done.stderr) == (4, f"bench: cannot write to {place}: File too large\n")
    assert sorted(place.iterdir()) == sorted([*before, place / "a.zip"])


def test_help_names_every_format_and_what_happens_to_a_file_that_is_there(place: Path) -> None:
    exports, imports = (
        " ".join(bench(name, "--help").stdout.replace("│", "").split()) for name in ("export", "import")
    )
    assert all(name in exports for name in FORMATS)
    assert "a file that is there is replaced" in exports
    assert all(name in imports for name in (AUTO, *READERS))
