"""A site of runs: opened from files, below any path, made again only where runs changed, and safe to make."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from harness.core.environment import Gpu
from harness.core.errors import UsageError
from harness.core.rules import Rules
from harness.core.run import Run
from harness.core.run_description import INTERRUPTED
from harness.core.variant import Variant
from harness.report import site as site_module
from harness.report.site import Written, write_site
from harness.report.site_folder import MARKER, make_page_name
from harness.store.gather import gather_runs

COMMITS = ["a" * 40, "b" * 40]
MACHINES = ("AMD EPYC 9B14", "Intel Xeon 8481C", "ARM Neoverse")


@pytest.fixture
def runs(record: Callable[..., Run], draw: Callable[..., Any]) -> list[Run]:
    """A run of each of three machines, and a second one of the first, in which a case failed."""
    times = {"base": draw(1), "new": draw(2, 1.2)}
    made = [record(times, cpu_model=machine, git_commit=COMMITS[0]) for machine in MACHINES]
    return [*made, record({**times, "new": "crashed: signal 11"}, cpu_model=MACHINES[0], git_commit=COMMITS[1])]


@pytest.fixture
def results(runs: list[Run]) -> Path:
    return runs[0].folder.parent


def made(results: Path, target: Path) -> Written:
    with gather_runs([str(results)]) as sources:
        return write_site(sources, target, rules=Rules(), topology=COMMITS)


def links(page: Path) -> list[Path]:
    found = re.findall(r'(?:href|src)="([^"#]+)"', page.read_text())
    assert all(not re.match(r"[a-z]+:|/", link) for link in found), found
    return [(page.parent / link).resolve() for link in found]


def test_every_page_opens_from_a_file_below_any_path(opened, results: Path, tmp_path: Path) -> None:
    made(results, tmp_path / "site")
    moved = tmp_path / "some" / "where else"
    moved.parent.mkdir()
    (tmp_path / "site").rename(moved)
    pages = sorted(moved.rglob("index.html"))
    assert len(pages) == 1 + 4 + 1 + 1
    for page in pages:
        found = opened(page)
        found.scroll()
        assert found.faults + found.foreign == [], page
        assert all(link.is_file() for link in links(page))
        if page != moved / "index.html":
            assert found.page.locator(".main-svg").count(), page
            assert len(page.read_text()) < 300_000, "the drawing library is in the page"
            found.page.click("text=All runs")
            assert found.page.url == (moved / "index.html").as_uri()


def test_the_index_has_every_run_by_machine_with_what_came_out(
    opened, results: Path, runs: list[Run], tmp_path: Path
) -> None:
    made(results, tmp_path / "site")
    page = opened(tmp_path / "site" / "index.html").page
    assert page.inner_text("h1").startswith("4 runs on 3 machines, the newest of ")
    assert page.locator("h2").all_inner_texts() == [MACHINES[0], MACHINES[2], MACHINES[1]]
    ids = page.locator("tbody th .gap").all_inner_texts()
    assert ids == [runs[3].id, runs[0].id, runs[2].id, runs[1].id]
    cells = page.locator("tbody tr").first.locator("td").all_inner_texts()
    assert cells[1:] == [COMMITS[1][:10], runs[3].environment.fingerprint[:6], "complete", "2", "1", cells[-1]]
    assert cells[-1].startswith("base is the fastest")


def test_a_word_narrows_the_index_and_stays_in_its_address(
    opened, results: Path, runs: list[Run], tmp_path: Path
) -> None:
    made(results, tmp_path / "site")
    first = opened(tmp_path / "site" / "index.html")
    first.page.fill("[name=q]", "amd failed")
    assert first.page.locator("tbody tr:visible").count() == 1
    assert first.page.locator("h2:visible").all_inner_texts() == [MACHINES[0]]
    assert first.page.inner_text("#shown") == "1 of 4 runs"
    again = opened(tmp_path / "site" / "index.html", hash=first.page.evaluate("location.hash"))
    assert again.page.locator("tbody tr:visible").count() == 1
    first.page.click("tbody tr:visible a")
    assert runs[3].id in first.page.url
    assert first.faults + again.faults == []


def test_a_page_of_a_workload_has_the_newest_run_of_each_machine(
    results: Path, runs: list[Run], tmp_path: Path
) -> None:
    made(results, tmp_path / "site")
    text = (tmp_path / "site" / "workloads" / "work" / "index.html").read_text()
    footer = re.search(r"<footer>\s*<p>([^·]*)", text)
    assert footer
    assert set(footer[1].strip().split(", ")) == {run.id for run in runs[1:]}


def test_both_sides_of_a_comparison_stand_on_one_page(
    record: Callable[..., Run], draw: Callable[..., Any], tmp_path: Path
) -> None:
    sides = [
        record({"base": draw(seed)}, variant=Variant(role, "t", ref=role, commit="c"))
        for seed, role in enumerate(("base", "new"))
    ]
    made(sides[0].folder.parent, tmp_path / "site")
    for side in sides:
        text = (tmp_path / "site" / "runs" / side.id / "index.html").read_text()
        assert f"{sides[0].id}, {sides[1].id} ·" in text


def test_only_pages_of_runs_that_changed_are_made_again(
    results: Path, record: Callable[..., Run], draw: Callable[..., Any], tmp_path: Path
) -> None:
    target = tmp_path / "site"
    assert (made(results, target).made, made(results, target).made) == (6, 0)
    pages = {page: page.read_bytes() for page in target.rglob("*.html")}
    new = record({"base": draw(5)}, cpu_model="Another", git_commit=COMMITS[1])
    assert made(results, target).made == 3  # its own, that of the workload, and the history
    changed = {page for page in target.rglob("*.html") if pages.get(page) != page.read_bytes()}
    own = target / "runs" / new.id
    shared = (target, target / "workloads" / "work", target / "history")
    assert changed == {folder / "index.html" for folder in (own, *shared)}
    shutil.rmtree(new.folder)
    made(results, target)
    assert not own.exists()


def test_a_page_that_is_gone_and_a_marker_that_is_damaged_are_made_good(results: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    made(results, target)
    (target / "history" / "index.html").unlink()
    assert made(results, target).made == 1
    (target / MARKER).write_text('{"pages": {"history/index.html": 3}}')
    assert made(results, target).made == 6


def test_what_cannot_be_read_is_named_on_the_index(opened, results: Path, runs: list[Run], tmp_path: Path) -> None:
    torn = runs[2].folder / "samples.parquet"
    torn.write_bytes(torn.read_bytes()[:50])
    (runs[1].folder / "run.json").write_text(json.dumps({**runs[1].description.to_json(), "state": "<script>"}))
    hostile = runs[0].description.to_json()
    hostile["policy"]["device"] = "cuda:x"
    hostile["environment"]["gpus"] = [asdict(Gpu(0, "A GPU", "", (9, 0), 1, 1))]
    (runs[0].folder / "run.json").write_text(json.dumps(hostile))
    found = made(results, tmp_path / "site")
    assert found.runs == 1
    page = opened(tmp_path / "site" / "index.html").page
    for run in runs[:3]:
        assert run.folder.name in page.inner_text("section:has(#left-out)")


def test_a_run_that_is_not_complete_has_its_page(
    opened, record: Callable[..., Run], draw: Callable[..., Any], tmp_path: Path
) -> None:
    run = record({"base": draw(1)}, state=INTERRUPTED)
    empty = record({})
    made(run.folder.parent, tmp_path / "site")
    found = opened(tmp_path / "site" / "index.html")
    assert "interrupted" in found.page.inner_text("main")
    assert empty.id in found.page.inner_text("main")
    found.page.click(f"tr:has-text('{run.id}') a")
    found.scroll()
    assert found.faults == []


def test_a_panel_that_fails_costs_one_page_and_says_so(
    results: Path, runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = site_module.render_page

    def failing(study: Any, place: Any) -> str:
        if [run.id for run in study.runs] == [runs[1].id]:
            raise ZeroDivisionError("of nothing")
        return whole(study, place)

    monkeypatch.setattr(site_module, "render_page", failing)
    found = made(results, tmp_path / "site")
    reason = f"runs/{runs[1].id}/index.html cannot be made: ZeroDivisionError: of nothing"
    assert found.left_out == (reason,)
    index = (tmp_path / "site" / "index.html").read_text()
    assert index.count(reason) == 2  # in the row of the run, and in the list
    assert f'href="runs/{runs[1].id}' not in index


@pytest.mark.parametrize("held", ["file", "folder", "checkout"])
def test_what_is_no_site_is_not_replaced(results: Path, tmp_path: Path, held: str) -> None:
    target = tmp_path / "held"
    if held == "file":
        target.write_text("mine")
    elif held == "folder":
        target.mkdir()
        (target / "thesis.tex").write_text("mine")
    else:
        made(results, target)
        (target / ".git").mkdir()
    before = sorted(map(str, tmp_path.rglob("*")))
    with pytest.raises(UsageError, match=str(target)) as raised:
        made(results, target)
    assert "\n" not in str(raised.value)
    assert sorted(map(str, tmp_path.rglob("*"))) == before


def test_a_site_that_fails_leaves_the_old_one(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "site"
    made(results, target)
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}

    def failing(*_: Any) -> str:
        raise RuntimeError

    monkeypatch.setattr(site_module, "render_index", failing)
    with pytest.raises(RuntimeError):
        made(results, target)
    assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results", "site"]


@pytest.mark.parametrize("name", ["../../../owned", "/etc/owned", "<script>owned</script>", ".", "x" * 5000])
def test_a_hostile_name_stays_within_the_site_and_is_text(
    opened, results: Path, runs: list[Run], tmp_path: Path, name: str
) -> None:
    meta = json.loads((runs[0].folder / "run.json").read_text())
    meta["run_id"] = meta["environment"]["git_commit"] = name
    (runs[0].folder / "run.json").write_text(json.dumps(meta))
    before = set(tmp_path.parent.rglob("*"))
    made(results, tmp_path / "site")
    new = {path for path in set(tmp_path.parent.rglob("*")) - before if not path.is_relative_to(tmp_path / "site")}
    assert new == set()
    found = opened(tmp_path / "site" / "index.html")
    assert found.faults + found.foreign == []
    assert found.page.locator("script").count() == 1
    found.page.locator(f"a[href*='{make_page_name(name)}']").click()
    found.scroll()
    assert found.faults + found.foreign == []


def test_the_command_prints_the_index_and_what_it_left_out(
    bench: Callable[..., Any], results: Path, runs: list[Run], place: Path
) -> None:
    (runs[1].folder / "run.json").write_text("{")
    done = bench("site", str(results), "-o", "site")
    assert (done.returncode, done.stdout) == (0, "site/index.html: 3 runs; 5 of 5 pages are new\n")
    assert done.stderr.startswith("bench: left out: ")
    again = bench("site", str(results), "-o", "site")
    assert again.stdout == "site/index.html: 3 runs; 0 of 5 pages are new\n"
    refused = bench("site", str(results), "-o", str(results))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "which bench site did not make" in refused.stderr


def test_pages_of_a_site_can_be_used_by_everybody(opened, results: Path, tmp_path: Path) -> None:
    made(results, tmp_path / "site")
    for dark in (False, True):
        for name in ("index.html", "workloads/work/index.html", "history/index.html"):
            found = opened(tmp_path / "site" / name, dark=dark, width=390)
            found.scroll()
            violations = Axe().run(found.page).response["violations"]
            serious = [one for one in violations if one["impact"] in ("serious", "critical")]
            assert [(name, one["id"], one["nodes"][0]["html"][:200]) for one in serious] == []
            assert found.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
