"""Energy of the processor and its memory: RAPL counters, as the kernel's powercap folder shows them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.probes.meter import MEASURED, MeterError, Reason

if TYPE_CHECKING:
    from collections.abc import Callable

POWERCAP = Path("/sys/class/powercap")

# A domain that seems to draw more than this went backwards instead, and is not let wrap round twice unseen.
_MOST_W = 2000.0
_DOMAINS = ("package", "dram")


@dataclass
class _Domain:
    name: str
    file: Path
    range_uj: int
    last_uj: int = 0


class Rapl:
    """The sum of all packages and, where the processor counts it, their memory.

    The counters move about once a millisecond (Intel SDM, volume 3B, RAPL interfaces), wrap round within minutes to
    hours, and are the machine's: other processes are in them.

    Args:
        folder: where the kernel shows them; raises MeterError where it does not, or not to this user.
    """

    provenance = MEASURED
    tick_s: float | None = None
    settle_s = 0.01

    def __init__(self, folder: Path = POWERCAP, now: Callable[[], float] = time.perf_counter) -> None:
        self._domains = _domains(folder)
        self._now = now
        self._joules = 0.0
        self._read_s = now()
        for domain in self._domains:
            domain.last_uj = _number(domain.file)
        kinds = [kind for kind in _DOMAINS if any(domain.name.startswith(kind) for domain in self._domains)]
        self.scope = "+".join(kinds)
        self.name = f"RAPL {', '.join(sorted({domain.name for domain in self._domains}))}"
        # 61 uJ is the usual unit of the register.
        self.resolution_j = 61e-6 * len(self._domains)

    def read(self) -> float:
        """Return the joules since this object was made; to be called before a counter can have wrapped round twice."""
        now = self._now()
        elapsed_s, self._read_s = now - self._read_s, now
        for domain in self._domains:
            self._joules += _risen(domain, elapsed_s) * 1e-6
        return self._joules

    def close(self) -> None:
        """Nothing is held."""


def _risen(domain: _Domain, elapsed_s: float) -> int:
    """Return the microjoules since the last reading; the counter is held to be what it is modulo its range."""
    longest_s = domain.range_uj * 1e-6 / _MOST_W
    if elapsed_s > longest_s:
        text = f"RAPL {domain.name} was not read for {elapsed_s:.0f} s, and may wrap round in {longest_s:.0f} s"
        raise MeterError(Reason.NOT_POLLED, text)
    now_uj = _number(domain.file)
    risen_uj = (now_uj - domain.last_uj) % domain.range_uj
    domain.last_uj = now_uj
    # A tick of a millisecond, and as much again, may fall into an interval of no length.
    if risen_uj * 1e-6 > _MOST_W * (elapsed_s + 2e-3):
        raise MeterError(Reason.WENT_BACKWARDS, f"RAPL {domain.name} went backwards, to {now_uj} uJ")
    return risen_uj


def _domains(folder: Path) -> list[_Domain]:
    """Return packages and memories. ``intel-rapl-mmio`` repeats a package; cores are a part of it; psys holds it."""
    found = []
    for zone in sorted(folder.glob("intel-rapl:*")):
        name = _text(zone / "name")
        if name.startswith(_DOMAINS):
            found.append(_Domain(name, zone / "energy_uj", _number(zone / "max_energy_range_uj")))
    if not found:
        raise MeterError(Reason.NO_DEVICE, f"no RAPL counters in {folder}")
    return found


def _number(file: Path) -> int:
    text = _text(file)
    if not text.isdecimal():
        raise MeterError(Reason.FAILED, f"{file} holds {text!r}, and not a number")
    return int(text)


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except PermissionError:
        allow = f"sudo chmod a+r {file.parent.parent}/intel-rapl:*/*energy*_uj (until the next start)"
        raise MeterError(Reason.NO_PERMISSION, f"RAPL is readable by root alone; allow it with: {allow}") from None
    except OSError as error:
        raise MeterError(Reason.FAILED, f"RAPL: {error.strerror}: {file}") from None
