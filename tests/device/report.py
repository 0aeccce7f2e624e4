"""What a step finds, kept in a file as it comes, so that a step that is killed leaves what it had; and its process."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any


class Report:
    """What one step has found so far.

    Attributes:
        device: ``cuda:0``, or ``cpu`` in a rehearsal, which takes small sizes.
        out: the folder of the results.
        work: a folder for runs, which ends with the call.
    """

    def __init__(self, path: Path, device: str, out: Path, work: Path) -> None:
        self.device, self.out, self.work = device, out, work
        self._path = path
        self._found: dict[str, Any] = {"figures": [], "missed": [], "data": {}, "rows": [], "error": ""}
        self._save()

    @property
    def cuda(self) -> bool:
        """Whether there is a GPU, and sizes are for one."""
        return self.device != "cpu"

    def pick(self, on_cuda: Any, on_cpu: Any) -> Any:
        """Return the size for the device at hand."""
        return on_cuda if self.cuda else on_cpu

    def say(self, figure: str) -> None:
        """Add a figure to the step's line."""
        self._found["figures"].append(figure)
        self._save()

    def want(self, holds: bool, otherwise: str) -> None:
        """Expect something; where it does not hold the step goes on, is ``off``, and its line says so."""
        if not holds:
            self._found["missed"].append(otherwise)
            self._save()

    def keep(self, name: str, data: Any) -> None:
        """Keep numbers for the file of figures."""
        self._found["data"][name] = data
        self._save()

    def keep_rows(self, document: dict[str, Any]) -> None:
        """Keep the rows of a run."""
        self._found["rows"].append(document)
        self._save()

    def fail(self, error: str) -> None:
        """Note what ended the step."""
        self._found["error"] = error
        self._save()

    def _save(self) -> None:
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(self._found, default=str))
        os.replace(partial, self._path)


def main(run: str, path: str, device: str, out: str, work: str) -> int:
    """Run one step; the exit code is 0 unless it raised."""
    report = Report(Path(path), device, Path(out), Path(work))
    module, _, function = run.partition(":")
    try:
        getattr(importlib.import_module(module), function)(report)
    except BaseException as error:
        traceback.print_exc()
        report.fail(f"{type(error).__name__}: {error}".partition("\n")[0])
        return 1
    return 0


if __name__ == "__main__":
    sys.modules["report"] = sys.modules["__main__"]  # the steps import this module by its name
    sys.exit(main(*sys.argv[1:]))
