"""Reads the file of rules by which comparisons are judged."""

from __future__ import annotations

import tomllib
from pathlib import Path

from harness.core.errors import UsageError
from harness.core.rules import Rules, parse_rules

DEFAULT = Path(".benchwright.toml")


def read_rules(path: Path | None) -> Rules:
    """Read rules from a TOML file; None reads ``.benchwright.toml``, where there is one.

    Raises:
        UsageError: the file cannot be read, is not TOML, or has a key that no rule has.
    """
    if path is None and not DEFAULT.exists():
        return Rules()
    file = path or DEFAULT
    try:
        return parse_rules(str(file), tomllib.loads(file.read_text()))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"rules {file}: {error}") from None
