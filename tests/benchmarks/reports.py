"""Prints what a page of 1000 cases in 3 launches of 50 samples takes: to make, on disk, to open, and to filter."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from harness.core.case import Case, Group, PlannedCase
from harness.core.trial import OK, Launch, Sample, Trial
from harness.core.workload import Cost
from harness.report.study import build_study
from harness.report.write import write_report
from harness.store.read import read_run
from tests.support.runs import ON_CPU, recorded_run

NAMES = ("base", "one", "two", "three", "four")
POINTS, LAUNCHES, SAMPLES = 200, 3, 50


def main() -> None:
    """Write a run, its page, and print what each step took."""
    with tempfile.TemporaryDirectory() as place:
        folder = write_run(Path(place))
        begin = time.perf_counter()
        run = read_run(folder)
        read = time.perf_counter()
        study = build_study([run])
        built = time.perf_counter()
        (page,) = write_report(study)
        end = time.perf_counter()
        print(f"{len(study.cases)} cases, {len(study.samples)} rows of samples")
        parts = (("read", read - begin), ("study", built - read), ("page", end - built), ("all", end - begin))
        print(", ".join(f"{name} {seconds:.2f} s" for name, seconds in parts))
        print(f"page {page.stat().st_size / 1e6:.2f} MB")
        with sync_playwright() as playwright:
            browser = next(found for name in ("chromium", "google-chrome") if (found := shutil.which(name)))
            chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            time_page(chromium.new_page(viewport={"width": 1280, "height": 900}), page)
            chromium.close()


def time_page(page: Page, path: Path) -> None:
    """Print how long the page takes until it can be read, and from a choice of the reader until all is drawn."""
    begin = time.perf_counter()
    page.goto(path.as_uri())
    while not page.evaluate("Boolean(data.cases && document.querySelector('.main-svg'))"):
        time.sleep(0.01)
    print(f"opened in {time.perf_counter() - begin:.2f} s")
    for box in page.query_selector_all("[data-slot]"):
        box.scroll_into_view_if_needed()
        page.wait_for_timeout(200)
    page.evaluate("window.scrollTo(0, 0)")
    page.wait_for_timeout(500)
    took = page.evaluate(
        """async () => {
          const begin = performance.now();
          form.querySelector("[name=q]").value = "three";
          form.dispatchEvent(new Event("input"));
          await new Promise((done) => setTimeout(done, 0));
          const counter = document.getElementById("shown");
          while (!counter.textContent.includes(" of ")) await new Promise(requestAnimationFrame);
          await new Promise(requestAnimationFrame);
          return performance.now() - begin;
        }"""
    )
    print(f"a filter answered in {took / 1000:.2f} s")


def write_run(results: Path) -> Path:
    """Write a run of powers of the size, with 1 % of noise."""
    noise = np.random.default_rng(0)
    groups, trials = [], list[Trial]()
    for point in range(POINTS):
        size = 256 << (point % 10)
        place = (("n", size), ("batch", 1 + point // 10))
        cases = [Case("work", name, place) for name in NAMES]
        groups.append(
            Group(cases[0].group, "base", tuple(PlannedCase(case, Cost(4.0 * size**2, 8.0 * size)) for case in cases))
        )
        for launch in range(LAUNCHES):
            trials += [trial(case, launch, 1e-6 * size ** (1.5 - 0.1 * rank), noise) for rank, case in enumerate(cases)]
    launch = Launch(0, "", {"torch_threads": 1})
    return recorded_run(results, groups, [launch, *trials], policy=replace(ON_CPU, launches=LAUNCHES)).folder


def trial(case: Case, launch: int, seconds: float, noise: np.random.Generator) -> Trial:
    """Draw the samples of a case in one launch."""
    times = seconds * np.exp(noise.normal(0, 0.01, SAMPLES))
    samples = [
        Sample(metric, float(value), turn) for turn, value in enumerate(times) for metric in ("time", "cpu_time")
    ]
    samples += [Sample("peak_memory", 1e6 * seconds * 1e3), Sample("max_abs_error", 1e-4)]
    return Trial(case, launch, OK, samples=samples)


if __name__ == "__main__":
    main()
