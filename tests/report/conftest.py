"""A real browser without a network, and runs of several points, for reports."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from harness.core.case import Case, Group, PlannedCase
from harness.core.ceilings import Ceilings
from harness.core.run import Run
from harness.core.suite import Policy
from harness.core.trial import OK, Launch, Sample, Trial
from harness.core.workload import Cost
from tests.support.runs import ON_CPU, here, recorded_run

SIZES = (256, 512, 1024)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    names = ("chromium", "google-chrome", "chromium-browser")
    path = next(found for name in names if (found := shutil.which(name)))
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


class Opened:
    """A page in the browser, with everything that it complained of or asked the network for."""

    def __init__(self, page: Page) -> None:
        self.page, self.faults, self.requests = page, list[str](), list[str]()
        page.on("console", lambda message: self.faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("dialog", lambda dialog: (self.faults.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self.requests.append(request.url))

    @property
    def foreign(self) -> list[str]:
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]

    def scroll(self) -> None:
        """Bring every figure into view, as a reader does."""
        for box in self.page.query_selector_all("[data-slot]"):
            box.scroll_into_view_if_needed()
            self.page.wait_for_timeout(50)
        self.page.evaluate("window.scrollTo(0, 0)")

    def rows(self) -> list[str]:
        """The first cell of every row of the table that is shown."""
        return [
            row.inner_text().split("\t")[0] for row in self.page.query_selector_all("#results tbody tr:not([hidden])")
        ]


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Opened]]:
    """Return a function that opens a file as a reader would: ``width``, ``dark``, and what follows ``#``."""
    contexts = []

    def open_file(path: Path, *, width: int = 1280, dark: bool = False, hash: str = "") -> Opened:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            offline=True,
            accept_downloads=True,
        )
        contexts.append(context)
        found = Opened(context.new_page())
        found.page.goto(f"{path.resolve().as_uri()}{hash}")
        while not found.page.evaluate("typeof data === 'undefined' || Boolean(data.cases)"):  # it is unpacked meanwhile
            found.page.wait_for_timeout(10)
        return found

    yield open_file
    for context in contexts:
        context.close()


def _samples(seconds: float, launch: int, extra: Mapping[str, float]) -> list[Sample]:
    noise = np.random.default_rng(launch).normal(0, 0.004, 8)
    times = [Sample("time", seconds * float(np.exp(each)), number) for number, each in enumerate(noise)]
    return [*times, *(Sample(metric, value) for metric, value in extra.items())]


@pytest.fixture
def study_run(tmp_path: Path) -> Callable[..., Run]:
    """Return a function that writes a run of ``work`` at several sizes, whose times are known functions of the size.

    ``times`` has, by implementation, seconds for each size or how it ended: ``"crashed: why"``.
    """

    def write(
        times: Mapping[str, Sequence[float] | str],
        *,
        sizes: Sequence[Any] = SIZES,
        axis: str = "n",
        extra: Mapping[str, float] | None = None,
        log: str = "",
        tags: Mapping[str, str] | None = None,
        policy: Policy | None = None,
        ceilings: Ceilings | None = None,
        launches: int = 3,
        **machine: Any,
    ) -> Run:
        baseline = next(iter(times))
        groups, trials = [], list[Trial]()
        for place, size in enumerate(sizes):
            cases = {name: Case("work", name, ((axis, size), ("dtype", "bf16"))) for name in times}
            planned = tuple(PlannedCase(case, Cost(1e9, 1e6)) for case in cases.values())
            groups.append(Group(planned[0].case.group, baseline, planned))
            for name, case in cases.items():
                each = times[name]
                if isinstance(each, str):
                    status, _, message = each.partition(": ")
                    trials.append(Trial(case, 0, status, message, log=log))
                    continue
                for launch in range(launches):
                    trials.append(Trial(case, launch, OK, samples=_samples(each[place], launch, extra or {})))
        return recorded_run(
            tmp_path / "results",
            groups,
            [Launch(0, "", {"torch_threads": 1}), *trials],
            policy=policy or replace(ON_CPU, launches=launches),
            environment=here(**machine),
            command=("bench", "run", "work"),
            tags=tags or {},
            ceilings=ceilings,
        )

    return write
