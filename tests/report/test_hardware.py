"""Machines side by side: what is measured, what is not and why, and what it costs at the reader's prices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Browser

from harness.core.ceilings import Ceilings
from harness.core.environment import Gpu
from harness.core.run import Run
from harness.core.suite import Policy
from harness.report.across_machines import Measures, match_lines
from harness.report.figure import Figure
from harness.report.html import Html
from harness.report.panels import hardware
from harness.report.study import Study, build_study
from harness.report.write import write_report

GPU = Gpu(0, "NVIDIA H100 80GB HBM3", "GPU-1", (9, 0), 80 << 30, 79 << 30)
CUDA = Policy(launches=3, device="cuda", threads=1, mode="host")
ROOFS = Ceilings({"bf16": 4e12}, 1e12, 1e-5, "2026-01-01")
SLOW, FAST = "AMD EPYC 9B14", "NVIDIA H100 80GB HBM3"


@pytest.fixture
def runs(study_run) -> list[Run]:
    """A processor without energy and roofs, and a GPU of ten times its speed with both."""
    slow = study_run({"naive": (1e-2, 2e-2, 4e-2), "flash": "skipped: needs CUDA"}, cpu_model=SLOW)
    energy = {"energy_gross": 0.5, "power_mean": 500.0}
    times = {"naive": (1e-3, 2e-3, 4e-3), "flash": (5e-4, 1e-3, 2e-3), "other": (3e-3, 3e-3, 3e-3)}
    fast = study_run(times, gpus=(GPU,), policy=CUDA, extra=energy, ceilings=ROOFS)
    return [slow, fast]


def blocks(study: Study) -> tuple[dict[str, Figure], dict[str, Any]]:
    found = list(hardware.draw_panel(study))
    figures = {one.group: one for one in found if isinstance(one, Figure)}
    (html,) = (one for one in found if isinstance(one, Html))
    return figures, html.values


def cells(values: dict[str, Any], heading: str, implementation: str) -> list[str]:
    row = next(row for row in values["tables"][heading] if row["implementation"] == implementation)
    return [cell["text"] or f"- {cell['reason']}" for cell in row["cells"]]


def test_one_machine_is_no_comparison_of_machines(runs: list[Run]) -> None:
    assert list(hardware.draw_panel(build_study(runs[:1]))) == []


def test_a_row_is_a_machine_and_a_colour_an_implementation(runs: list[Run]) -> None:
    figures, _ = blocks(build_study(runs))
    assert list(figures) == ["n=256", "n=512", "n=1024"]
    naive, flash, other, gaps = figures["n=256"].data
    assert naive["y"] == [SLOW, FAST]
    assert naive["x"] == pytest.approx([1e-2, 1e-3], rel=0.02)
    assert flash["y"] == [FAST]
    assert len({trace["marker"]["color"] for trace in (naive, flash, other)}) == 3
    assert (gaps["y"], gaps["text"]) == ([SLOW], ["not measured: flash, other"])
    assert gaps["hovertext"] == ["flash: skipped: needs CUDA<br>other: not in this run"]


def test_a_missing_cell_says_why_and_is_never_zero_or_empty(runs: list[Run]) -> None:
    _, values = blocks(build_study(runs))
    assert cells(values, "Time of a step", "flash")[0] == "- skipped: needs CUDA"
    assert cells(values, "Time of a step", "other")[0] == "- not in this run"
    assert cells(values, "% of roofline", "naive")[0] == "- the roofs of this machine were not measured"
    assert cells(values, "Per watt", "naive")[0] == "- no energy in this run"
    for rows in values["tables"].values():
        assert all(cell["text"] or cell["reason"] for row in rows for cell in row["cells"])


def test_values_are_work_over_time_roof_and_energy(runs: list[Run]) -> None:
    _, values = blocks(build_study(runs))
    number, unit = cells(values, "Throughput", "naive")[0].split()
    assert (float(number), unit) == (pytest.approx(100.0, rel=0.02), "GFLOP/s")
    assert cells(values, "% of roofline", "naive")[1] in ("24%", "25%", "26%")
    assert cells(values, "Per watt", "naive")[1] == "2.00 GFLOP/J"
    best = [cell["best"] for cell in values["tables"]["Time of a step"][0]["cells"]]
    assert best == [False, True]


def test_a_measure_that_no_machine_has_is_named_once(runs: list[Run], study_run) -> None:
    other = study_run({"naive": (1e-2, 2e-2, 4e-2)}, cpu_model="Another")
    _, values = blocks(build_study([runs[0], other]))
    assert list(values["tables"]) == ["Time of a step", "Throughput"]
    assert values["absent"] == ["% of roofline", "per watt"]


def test_energy_that_could_not_be_read_says_what_the_meter_said(runs: list[Run]) -> None:
    study = build_study(runs)
    case = int(study.cases.index[0])
    row = (case, "energy_gross", "J", float("nan"), float("nan"), float("nan"), 1, 1, "unavailable: no RAPL here", "")
    study.measurements.loc[len(study.measurements)] = row
    assert Measures(study).energy(case).reason == "energy: no RAPL here"


def test_power_over_time_stands_in_for_an_energy(runs: list[Run]) -> None:
    study = build_study(runs)
    kept = study.measurements[study.measurements["metric"] != "energy_gross"]
    study = replace(study, measurements=kept)
    line = next(line for line in match_lines(study) if line.implementation == "naive")
    assert Measures(study).energy(line.cases[runs[1].id]).number == pytest.approx(0.5, rel=0.02)


def page_of(runs: list[Run]) -> Any:
    return write_report(build_study(runs), output=runs[-1].folder / "hardware.html")[0]


def costs(page: Any, implementation: str, machine: str) -> list[str]:
    """The cells of the first row of an implementation on a machine."""
    for row in page.query_selector_all("#costs tbody tr:not([hidden])"):
        found = [cell.inner_text() for cell in row.query_selector_all("td, th")]
        if found[1] == implementation and found[2] == machine:
            return found[3:]
    return []


def test_prices_of_the_reader_make_costs_that_an_address_keeps(opened, runs: list[Run]) -> None:
    path = page_of(runs)
    found = opened(path)
    assert costs(found.page, "naive", FAST) == ["needs a price", "needs a price", "500 J", "needs a price of a kWh"]
    for name, value in {"price": "1.8", "pue": "1.5", "kwh": "0.24"}.items():
        found.page.fill(f"[data-machine='{FAST}'] [name={name}]", value)
    found.page.wait_for_timeout(400)
    cost, work, energy, of_energy = costs(found.page, "naive", FAST)
    assert float(cost) == pytest.approx(1.8 / 3600 * 1e-3 * 1000, rel=0.02)
    assert (float(work.split()[0]), work.split()[1]) == (
        pytest.approx(1e9 / (1.8 / 3600 * 1e-3) / 1e15, rel=0.02),
        "PFLOP",
    )
    assert (energy, float(of_energy)) == ("750 J", pytest.approx(750 / 3.6e6 * 0.24, rel=0.01))
    assert costs(found.page, "naive", SLOW)[0] == "needs a price"
    assert costs(found.page, "naive", SLOW)[2] == "not measured: no energy in this run"
    again = opened(path, hash=found.page.evaluate("location.hash"))
    assert costs(again.page, "naive", FAST) == [cost, work, energy, of_energy]
    assert again.page.input_value(f"[data-machine='{FAST}'] [name=pue]") == "1.5"
    assert found.faults + found.foreign + again.faults + again.foreign == []


@pytest.mark.parametrize("value", ["", "-1", "0", "x", "1e999"])
def test_what_is_no_price_in_an_address_costs_nothing_and_breaks_nothing(opened, runs: list[Run], value: str) -> None:
    found = opened(page_of(runs), hash=f"#price:{FAST}={value}&pue:{FAST}=0.5")
    assert costs(found.page, "naive", FAST)[:3] == ["needs a price", "needs a price", "500 J"]
    assert found.faults == []


def test_the_cheapest_of_what_is_shown_is_marked(opened, runs: list[Run]) -> None:
    found = opened(page_of(runs), hash=f"#price:{FAST}=30&price:{SLOW}=1")
    first = "#costs tbody tr:nth-child({}) td:nth-child(4)"
    assert "best" in str(found.page.get_attribute(first.format(1), "class"))
    found.page.select_option("select[name=machine]", FAST)
    found.page.wait_for_timeout(400)
    marked = found.page.query_selector_all("#costs tr:not([hidden]) td:nth-child(4).best")
    assert len(marked) == 3
    assert found.page.locator("#costs tbody tr:not([hidden])").count() == 9


def test_a_filter_narrows_rows_and_columns_of_the_tables(opened, runs: list[Run]) -> None:
    found = opened(page_of(runs))
    table = "#hardware .matrix >> nth=0"
    assert found.page.locator(table).locator("thead th:visible").count() == 4
    found.page.select_option("select[name=machine]", SLOW)
    found.page.wait_for_timeout(400)
    heads = found.page.locator(table).locator("thead th:visible").all_inner_texts()
    assert heads == ["point", "implementation", SLOW]
    found.page.select_option("select[name=machine]", "")
    found.page.fill("[name=q]", "flash")
    found.page.wait_for_timeout(400)
    assert set(found.page.locator(table).locator("tbody tr:visible th").all_inner_texts()) == {"flash"}
    assert found.faults == []


def test_without_scripts_there_are_tables_and_no_fields_that_do_nothing(browser: Browser, runs: list[Run]) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_of(runs).as_uri())
    assert page.locator(".matrix").first.is_visible()
    assert "not measured: skipped: needs CUDA" in page.inner_text("#hardware")
    assert not page.locator("#prices").is_visible()
    context.close()


def test_a_machine_of_a_hostile_name_is_text_and_can_have_a_price(opened, study_run) -> None:
    name = "<img src=x onerror=\"document.title='owned'\">&amp; x:y=1&z"
    one = study_run({"naive": (1e-3, 2e-3, 4e-3)}, cpu_model=name)
    two = study_run({"naive": (1e-3, 2e-3, 4e-3)}, cpu_model="Other")
    path = page_of([one, two])
    found = opened(path)
    found.scroll()
    found.page.locator("#prices input[name=price]").first.fill("2")
    found.page.wait_for_timeout(400)
    again = opened(path, hash=found.page.evaluate("location.hash"))
    again.scroll()
    assert again.page.locator("#prices input[name=price]").first.input_value() == "2"
    assert again.page.locator("img").count() == 0
    assert name in again.page.inner_text("#prices")
    assert found.faults + found.foreign + again.faults + again.foreign == []
