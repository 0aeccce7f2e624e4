"""Names, messages, logs and tags come from others: whatever is in them is text on the page, and nothing else."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.run import Run
from harness.core.trial import Sample
from harness.report.html import show_text
from harness.report.study import build_study
from harness.report.write import write_report

HOSTILE = {
    "markup": "<b>bold</b><a href='https://example.org'>here</a>",
    "tag": "<script>document.title='owned'</script>",
    "end": "</script><img src=x onerror=\"document.title='owned'\">",
    "template": "{{ 7 * 191 }}{% raw %}",
    "quotes": "\"'`onmouseover=alert(1)",
    "bidi": "abc\u202egpj.exe\u2066",
    "control": "a\x00b\x1b[31mc\ud800",
    "link": "javascript:document.title='owned'",
    "formula": '=HYPERLINK("x")',
    "separator": "a\u2028b\u2029c",
}


def report_of(run: Run) -> Path:
    return write_report(build_study([run]), output=run.folder / "report.html")[0]


def whole(text: str) -> str:
    return " ".join(show_text(text).split())


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_text_of_others_stays_text_in_every_place(opened, study_run, text: str) -> None:
    name = text.encode("utf-8", "replace").decode()  # what JSON can hold
    run = study_run(
        {"base": (1e-3, 2e-3, 3e-3), name: (1e-3, 2e-3, 3e-3), f"{name} too": f"crashed: {text}"},
        log=f"{text}\n",
        tags={"note": name, name: "x"},
        cpu_model=name,
        driver=name,
        axis=name,
    )
    found = opened(report_of(run))
    found.scroll()
    assert found.faults == []
    assert found.foreign == []
    assert found.page.title() != "owned"
    assert found.page.locator("script").count() == 3
    assert found.page.locator("img").count() == 0
    assert "1337" not in found.page.inner_text("main")
    cells = [whole(cell) for cell in found.page.locator("#results tbody td:first-child").all_text_contents()]
    assert whole(name) in cells
    drawn = found.page.evaluate("[...document.querySelectorAll('.plot text')].map(text => text.textContent)")
    assert whole(name) in {whole(text) for text in drawn}  # as it stands, and not as markup
    found.page.locator("#failures summary").first.click()
    said = text.encode("utf-8", "backslashreplace").decode()  # what a table can hold
    assert whole(said) in whole(found.page.inner_text("#failures"))
    assert whole(name) in whole(found.page.locator("#environment").text_content() or "")


def test_characters_that_turn_or_hide_text_are_shown_as_code_points() -> None:
    assert show_text("abc\u202egpj.exe") == "abc<U+202E>gpj.exe"
    assert show_text("a\x00b\x1b[31m") == "a<U+0000>b<U+001B>[31m"
    assert show_text("héllo\n\tworld 数学") == "héllo\n\tworld 数学"


def test_a_megabyte_in_a_message_and_a_log_does_not_fill_the_page(opened, study_run) -> None:
    run = study_run({"base": (1e-3, 2e-3, 3e-3), "loud": f"error: {'x' * 1_000_000}"}, log="y" * 1_000_000)
    path = report_of(run)
    assert path.stat().st_size < 2_500_000
    found = opened(path)
    assert "and 980000 more characters" in found.page.inner_text("#failures")
    assert found.page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_values_that_are_no_numbers_leave_no_trace_on_the_page(opened, study_run) -> None:
    run = study_run({"base": (1e-3, 2e-3, 3e-3), "odd": (1e-3, 2e-3, 3e-3)})
    for trial in run.trials:
        if trial.case.implementation == "odd":
            trial.samples[:] = [replace(one, value=math.nan if one.round % 2 else math.inf) for one in trial.samples]
        trial.samples += [
            Sample("max_abs_error", math.nan),
            Sample("peak_memory", math.inf),
            Sample("energy_gross", -math.inf),
        ]
    path = report_of(run)
    found = opened(path)
    found.scroll()
    assert found.faults == []
    # Without what is in base64, where any three letters come up by chance.
    shown = found.page.evaluate("(({csv, parquet, arrays, ...shown}) => JSON.stringify(shown))(data)")
    assert '"odd"' in shown
    assert "NaN" not in shown
    assert found.page.inner_text("h1").startswith("base is the fastest")


def test_nothing_from_elsewhere_could_run_even_if_it_were_on_the_page(opened, study_run, tmp_path: Path) -> None:
    planted = report_of(study_run({"base": (1e-3, 2e-3, 3e-3)})).read_text()
    path = tmp_path / "planted.html"
    script = "<script>document.title = 'owned'</script><img src='x' onerror=\"document.title = 'owned'\">"
    path.write_text(planted.replace("<main>", f"<main>{script}"))
    found = opened(path)
    found.page.wait_for_timeout(300)
    assert "owned" not in found.page.title()
    assert any(
        "Content Security Policy" in fault or "content security policy" in fault.lower() for fault in found.faults
    )
