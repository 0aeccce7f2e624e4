"""The page in a real browser, as a reader has it: offline, filtered, sorted, in the dark, on a phone."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe

from harness.core.flag import explain_flag
from harness.core.metric import METRICS
from harness.core.run import Run
from harness.report.study import build_study
from harness.report.write import write_report

TIMES = {
    "naive": (1e-3, 4e-3, 16e-3),
    "online": (2e-3, 4.5e-3, 11e-3),
    "flash": (0.5e-3, 1.5e-3, 5e-3),
    "broken": "crashed: signal 11 (SIGSEGV)",
    "other": "skipped: needs CUDA",
}
EXTRA = {"peak_memory": 3.0e6, "max_abs_error": 1e-4}


@pytest.fixture
def report(study_run) -> Path:
    return page_of(study_run(TIMES, extra=EXTRA, log="last words\n"))


def page_of(*runs: Run) -> Path:
    return write_report(build_study(runs), output=runs[-1].folder / "report.html")[0]


def test_a_page_opens_without_a_network_and_without_a_complaint(opened, report: Path) -> None:
    found = opened(report)
    found.scroll()
    assert found.faults == []
    assert found.foreign == []
    drawn = found.page.query_selector_all(".plot .main-svg")
    assert len(drawn) >= 2 * len(found.page.query_selector_all("[data-slot]:not([data-empty=true])"))


def test_the_first_sentence_says_what_came_out(opened, report: Path) -> None:
    said = opened(report).page.inner_text("h1")
    assert said.startswith("flash is the fastest of 3 implementations at all 3 points")
    assert "0.388 of" in said


def test_a_page_says_that_the_drawing_library_is_free_and_does_not_upload(opened, report: Path) -> None:
    found = opened(report)
    found.scroll()
    assert "MIT License" in report.read_text()
    titles = [button.get_attribute("data-title") or "" for button in found.page.query_selector_all(".modebar-btn")]
    assert titles
    assert not [title for title in titles if "share" in title.lower() or "cloud" in title.lower()]


def test_a_search_narrows_the_table_the_figures_and_the_count(opened, report: Path) -> None:
    found = opened(report)
    found.scroll()
    assert len(found.rows()) == 15
    found.page.fill("[name=q]", "flash")
    found.page.wait_for_timeout(400)
    assert set(found.rows()) == {"flash"}
    assert found.page.inner_text("#shown") == "3 of 15 cases"
    names = found.page.eval_on_selector("[data-slot='0'] .plot", "plot => plot.data.map(trace => trace.name)")
    assert names == ["flash"]
    found.page.click("button[type=reset]")
    found.page.wait_for_timeout(400)
    assert len(found.rows()) == 15


def test_a_filtered_view_is_in_the_address_and_comes_back_from_it(opened, report: Path) -> None:
    first = opened(report)
    first.page.uncheck("input[name=impl][value=naive]")
    first.page.select_option("select[name=n]", "512")
    first.page.wait_for_timeout(400)
    hash = first.page.evaluate("location.hash")
    again = opened(report, hash=hash)
    assert again.rows() == first.rows() == ["online", "flash", "broken", "other"]
    assert not again.page.is_checked("input[name=impl][value=naive]")
    assert again.page.input_value("select[name=n]") == "512"


def test_a_click_on_the_legend_hides_a_trace(opened, report: Path) -> None:
    found = opened(report)
    found.scroll()
    plot = found.page.locator("#forest .plot").first
    before = plot.locator(".scatterlayer .trace").count()
    plot.locator(".legendtoggle").first.click()
    found.page.wait_for_timeout(700)
    assert plot.locator(".scatterlayer .trace").count() == before - 1


def test_rows_are_sorted_by_their_numbers_and_not_by_their_text(opened, report: Path) -> None:
    found = opened(report)
    found.page.fill("[name=q]", "flash")
    found.page.wait_for_timeout(300)
    head = found.page.locator("#results th", has_text="time").first
    head.locator("button").click()
    cells = [row.query_selector_all("td") for row in found.page.query_selector_all("#results tbody tr:not([hidden])")]
    assert [row[1].inner_text().split(",")[0] for row in cells] == ["n=256", "n=512", "n=1024"]
    assert head.get_attribute("aria-sort") == "ascending"
    head.locator("button").click()
    assert "n=1024" in found.page.locator("#results tbody tr:not([hidden])").first.inner_text()


def test_heads_and_flags_say_what_they_mean_where_the_mouse_rests(opened, study_run) -> None:
    found = opened(page_of(study_run(TIMES, extra=EXTRA, launches=1)))
    head = found.page.locator("#results th", has_text="throughput")
    assert head.get_attribute("title") == METRICS["flops_per_s"].help
    flags = found.page.locator("#results abbr", has_text="one_launch")
    assert flags.count() == 9
    assert flags.first.get_attribute("title") == explain_flag("one_launch")


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_downloads_hold_every_metric_of_every_case(opened, report: Path, form: str) -> None:
    found = opened(report)
    with found.page.expect_download() as download:
        found.page.click(f"[data-download={form}]")
    content = Path(download.value.path()).read_bytes()
    read = pd.read_csv if form == "csv" else pd.read_parquet
    table = read(io.BytesIO(content))
    assert set(table["implementation"]) == set(TIMES)
    assert {"time", "peak_memory", "max_abs_error", "flops_per_s"} <= set(table["metric"].dropna())
    flash = table[(table["implementation"] == "flash") & (table["metric"] == "time")]
    assert flash["median"].tolist() == pytest.approx(TIMES["flash"], rel=0.01)


def test_a_failure_stands_there_with_the_end_of_its_log(opened, report: Path) -> None:
    found = opened(report)
    first = found.page.locator("#failures li").first
    assert "crashed" in first.inner_text()
    assert "signal 11 (SIGSEGV)" in first.inner_text()
    first.locator("summary").click()
    assert "last words" in first.inner_text()


def test_a_run_in_which_everything_failed_still_has_a_page(opened, study_run) -> None:
    found = opened(page_of(study_run({"one": "oom: 3 GiB", "two": "error: ValueError: no"})))
    found.scroll()
    assert found.page.inner_text("h1").startswith("No case has a time: 6 failed")
    assert found.faults == []
    assert not found.page.query_selector("#forest")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_page_is_accessible_and_fits_its_window(opened, report: Path, *, dark: bool, width: int) -> None:
    found = opened(report, width=width, dark=dark)
    found.scroll()
    assert found.page.evaluate("document.documentElement.scrollWidth") <= width
    background = found.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(20, 24, 31)") == dark
    violations = Axe().run(found.page).response["violations"]
    serious = [one for one in violations if one["impact"] in ("serious", "critical")]
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in serious] == []


def test_the_colours_can_be_chosen_against_those_of_the_system(opened, report: Path) -> None:
    found = opened(report)
    for theme, background in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 24, 31)")):
        found.page.click("#theme")
        assert found.page.evaluate("getComputedStyle(document.body).backgroundColor") == background
        assert f"theme={theme}" in found.page.evaluate("location.hash")


def test_what_is_printed_has_all_figures_and_no_controls(opened, report: Path) -> None:
    found = opened(report)
    found.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    found.page.emulate_media(media="print")
    found.page.wait_for_timeout(500)
    assert not found.page.is_visible("#filter")
    boxes = found.page.query_selector_all("[data-slot]:not([data-empty=true])")
    assert boxes
    assert all(box.query_selector(".main-svg") for box in boxes)


def test_without_javascript_every_number_is_still_there(browser, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert "All numbers are in the tables below" in page.inner_text("noscript")
    assert page.locator("#results tbody tr").count() == 15
    context.close()


def test_several_machines_stand_side_by_side_and_what_differs_is_named(opened, study_run) -> None:
    runs = [
        study_run(TIMES, cpu_model="AMD EPYC 9654 Processor", host="a"),
        study_run(
            {name: t if isinstance(t, str) else [2 * s for s in t] for name, t in TIMES.items()}, cpu_model="Xeon"
        ),
    ]
    found = opened(page_of(*runs))
    found.scroll()
    assert found.faults == []
    assert {"AMD EPYC 9654", "Xeon"} == set(found.rows())
    fields = found.page.locator("#environment tbody th").all_inner_texts()
    assert "cpu model" in fields
    assert "kernel" not in fields
    found.page.select_option("select[name=machine]", "Xeon")
    found.page.wait_for_timeout(400)
    assert set(found.rows()) == {"Xeon"}
