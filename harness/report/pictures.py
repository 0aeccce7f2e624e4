"""Pictures of the main figures, for a README or a paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plotly.io import write_images

from harness.core.errors import UsageError
from harness.report.notebook import draw_overview

if TYPE_CHECKING:
    from pathlib import Path

    from harness.report.study import Study

_SCALE = 2


def write_pictures(study: Study, form: str, folder: Path) -> list[Path]:
    """Write a picture of every figure that is of all cases at once, and return the files.

    Raises:
        UsageError: what draws them is not installed, finds no browser, or cannot write; or there is nothing to draw.
    """
    figures = dict(draw_overview(study))
    if not figures:
        raise UsageError("there is nothing to draw: no case has a result")
    files = [folder / f"{name}.{form}" for name in figures]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_images(list(figures.values()), files, scale=_SCALE)
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror or error}") from None
    except (ImportError, ValueError, RuntimeError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UsageError(
            f"pictures need kaleido (pip install 'benchwright[images]') and a Chromium: {reason}"
        ) from None
    return files
