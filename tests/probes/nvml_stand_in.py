"""Real nvidia-ml-py without a GPU: builds the stand-in for the driver library, and runs code over it.

The library is found by the loader when a process starts, so code runs in a child process. Keys of the state, with what
they are where they are not set (``0.key`` is for device 0 alone; times are of ``time.monotonic``):

- ``count`` 1, ``name``, ``uuid`` ``GPU-0000aaaa-0000``, ``mig_uuid`` ``MIG-0000aaaa-0000``, ``mig`` (unsupported),
  ``persistence`` 1, ``ecc`` 1, ``power_limit_mw``, ``memory_total``, ``memory_free``, ``capability`` 90
- ``watts`` 60, ``origin`` 0 (of the energy), ``slope`` 0 (W/s), ``period``, ``high``, ``duty`` (a pulse), ``busy`` (a
  file of lines ``begin end``, the last perhaps without its end), ``busy_watts``
- ``tick`` 0.1, ``jump_at``, ``jump`` (joules that the counter falls by), ``usage_s`` 1 (the average of PowerUsage)
- ``field.186.0``, ``field.186.1`` (codes of POWER_INSTANT for GPU and module), ``module_share`` 1.5
- ``clock_mhz.1``, ``clock_mhz.2`` (SM, memory), ``temperature.0``, ``reasons``, ``lost_at``
- ``cuda`` 13000, ``compute``, ``graphics`` (lists of ``pid:bytes``), ``utilization`` 0 (per cent)
- ``default_limit_mw``, ``application_mhz.0``, ``default_mhz.0`` (graphics; ``.2`` is memory), ``margin`` 42,
  ``threshold.1`` 90 (slowdown), ``ecc_errors.1.0`` 0 (not corrected, since the driver was loaded)
- the name of a function: the code that it returns (3 not supported, 4 no permission, 9 driver not loaded, 15 lost)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SOURCES = [str(Path(__file__).with_name("nvml") / name) for name in ("libnvidia-ml.c", "report.c")]
NO_ENERGY, NO_FIELDS, NO_EVENT_REASONS = "WITHOUT_ENERGY", "WITHOUT_FIELDS", "WITHOUT_EVENT_REASONS"
NO_MARGIN, NO_THIRD_PROCESSES = "WITHOUT_MARGIN", "WITHOUT_THIRD_PROCESSES"


class StandIn:
    """One build of the library in a folder, and its state. ``without`` names parts that an older driver lacks."""

    def __init__(self, folder: Path, *without: str) -> None:
        self._folder = folder
        self._origin = time.monotonic() - 10
        self.state = folder / "state"
        self.busy = folder / "busy"
        flags = ["-shared", "-fPIC", "-O2", *(f"-D{part}" for part in without)]
        library = folder / "libnvidia-ml.so.1"
        subprocess.run(["gcc", *flags, "-o", str(library), *SOURCES, "-lm"], check=True)
        self.write()

    def write(self, **state: Any) -> None:
        """Replace the state, also under a running process; keys with a dot go through ``**{...}``."""
        state = {"origin": self._origin, "busy": self.busy, **state}
        text = "".join(f"{key} = {value}\n" for key, value in state.items())
        new = self.state.with_suffix(".new")
        new.write_text(text)
        new.rename(self.state)

    @property
    def environment(self) -> dict[str, str]:
        """What a process must be started with to find the library."""
        paths = [str(self._folder), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
        return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(paths), "NVML_STAND_IN": str(self.state)}

    def start(self, code: str) -> subprocess.Popen[str]:
        """Start a child that runs the code; what it prints is to be read from its ``stdout``."""
        command = [sys.executable, "-W", "error", "-c", code]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=self.environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def run(self, code: str, told: str = "") -> Any:
        """Run the code in a child that is told something, and return what it printed last, which is JSON."""
        child = self.start(code)
        out, err = child.communicate(told, timeout=60)
        assert (child.returncode, err) == (0, "")
        return json.loads(out.splitlines()[-1])
