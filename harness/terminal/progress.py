"""What the terminal shows while a run goes on. It draws between turns: a spinner would be a neighbour that measures."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.live import Live
from rich.text import Text

from harness.core.trial import OK, Trial
from harness.runner import Observer
from harness.terminal.console import open_console

if TYPE_CHECKING:
    from harness.core.trial import Launch, Rest
    from harness.launch.controller.schedule import Progress

_REDRAW_S = 0.2
_DOING = {
    "reference": "computing the reference for",
    "prepare": "starting",
    "check": "checking",
    "memory": "measuring the memory of",
    "warm_up": "warming up",
    "turn": "timing",
    "energy": "measuring the energy of",
    "recheck": "checking again",
}


class Terminal:
    """One line that changes on a terminal; one line for each trial where the output is kept in a file."""

    def __init__(self, launches: int, *, silent: bool) -> None:
        self._console = open_console(stderr=True)
        self._silent = silent
        self._launches = launches
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._started = self._drawn = time.monotonic()
        self._first_share: float | None = None
        self.observer = Observer(self._progress, self._event, self._waiting)

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._silent:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def _progress(self, progress: Progress) -> None:
        now, self._launches = time.monotonic(), progress.launches
        if self._first_share is None:
            self._first_share, self._started = progress.share, now
        if self._silent or not self._console.is_terminal or now - self._drawn < _REDRAW_S:
            return
        self._drawn = now
        doing = _DOING.get(progress.doing, progress.doing)
        line = (
            f"launch {progress.launch + 1}/{self._launches} · {doing} {progress.case}{self._left(progress.share, now)}"
        )
        self._live.update(Text(line, overflow="ellipsis", no_wrap=True), refresh=True)

    def _left(self, share: float, now: float) -> str:
        """Write the time left, once there is enough behind to judge by."""
        gained = share - (self._first_share or 0.0)
        if gained <= 0.02:
            return ""
        left = (now - self._started) / gained * (1 - share)
        return f" · about {left / 60:.0f} min left" if left >= 90 else f" · about {left:.0f} s left"

    def _event(self, event: Launch | Rest | Trial, side: str) -> None:
        if isinstance(event, Trial) and not self._silent and not self._console.is_terminal:
            message = f": {event.message}" if event.status != OK else ""
            name = f"{event.case.id} {side}".strip()
            self._console.print(
                f"launch {event.launch + 1}/{self._launches} {name} {event.status}{message}",
                markup=False,
                soft_wrap=True,
            )

    def _waiting(self, message: str) -> None:
        self._console.print(f"bench: {message}", markup=False, soft_wrap=True)
