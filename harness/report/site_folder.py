"""The folder of a site: built beside the one that it replaces, with the pages of that whose content has not changed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.core.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

# Says that a folder is a site, and what each of its pages was made of.
MARKER = ".benchwright-site.json"
_PARTS = {MARKER, "index.html", "assets", "runs", "workloads", "history"}
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# What a page has to say elsewhere: its text, None where there is nothing to show, and a value as JSON has them.
Made = tuple[str | None, Any]


@dataclass
class SiteFolder:
    """A site that is being built.

    Attributes:
        home: where it is built.
        old: the site that it replaces; there may be none.
        known: what each page of the old site was made of.
        pages: the same of this one.
        made: how many pages were rendered, and not taken over.
    """

    home: Path
    old: Path
    known: dict[str, Any]
    pages: dict[str, Any] = field(default_factory=dict)
    made: int = 0

    def page(self, name: str, content: str, make: Callable[[], Made]) -> Any:
        """Put a page in its place, and return its value.

        Args:
            name: its path below the site.
            content: a digest of all that it is made of; where the old one was made of the same, that is taken over.
            make: renders it.
        """
        before = self.known.get(name)
        if not before or before["content"] != content or before["there"] != (self.old / name).is_file():
            text, value = make()
            before = {"content": content, "there": text is not None, "value": value}
            if text is not None:
                self.write(name, text)
                self.made += 1
        elif before["there"]:
            self._target(name).write_bytes((self.old / name).read_bytes())
        self.pages[name] = before
        return before["value"]

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        self._target(name).write_bytes(text.encode("utf-8", "backslashreplace"))

    @property
    def there(self) -> list[str]:
        """The pages that have something to show."""
        return [name for name, page in self.pages.items() if page["there"]]

    def _target(self, name: str) -> Path:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


@contextlib.contextmanager
def replace_site(target: Path) -> Iterator[SiteFolder]:
    """Yield a site to be built, which takes the place of the target once it is whole; until then that stays.

    Raises:
        UsageError: there is something that is no site.
        HarnessError: the disk is full or gone.
    """
    target = target.resolve()
    check_replaceable(target)
    partial, old = (target.with_name(f".{target.name}.{os.getpid()}.{word}") for word in ("partial", "old"))
    try:
        partial.mkdir(parents=True)
        site = SiteFolder(partial, target, _known(target))
        yield site
        site.write(MARKER, json.dumps({"made by": "bench site", "pages": site.pages}, indent=1))
        _swap(partial, target, old)
    except OSError as error:
        raise HarnessError(f"cannot write to {target}: {error.strerror}") from None
    finally:
        for folder in (partial, old):
            shutil.rmtree(folder, ignore_errors=True)


def _swap(new: Path, target: Path, old: Path) -> None:
    """Put a folder in the place of another; where that fails, that one stays."""
    if target.exists():
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise


def check_replaceable(target: Path) -> None:
    """Refuse to replace what no site is.

    Raises:
        UsageError: it is a file, or a folder with something in it that is no part of a site.
    """
    if not target.exists():
        return
    if not target.is_dir():
        raise UsageError(f"{target} is a file, and not the folder of a site")
    there = {path.name for path in target.iterdir()}
    foreign = sorted(there - _PARTS) if MARKER in there else sorted(there)
    if foreign:
        raise UsageError(f"{target} holds {foreign[0]}, which bench site did not make: give it a folder of its own")


def make_page_name(name: str) -> str:
    """Return a name for a path and an address: the name itself where it is plain; it comes from a file."""
    if _SAFE.fullmatch(name):
        return name
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:60]
    return f"_{plain}-{compute_digest([name])[:12]}"


def compute_digest(parts: Iterable[str | bytes]) -> str:
    """Return a digest of parts, each told from the next."""
    found = hashlib.blake2b(digest_size=16)
    for part in parts:
        content = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        found.update(len(content).to_bytes(8, "big") + content)
    return found.hexdigest()


def _known(target: Path) -> dict[str, Any]:
    """Return what the marker says of the pages; nothing where it is damaged, so that all are made anew."""
    try:
        pages = json.loads((target / MARKER).read_text())["pages"]
        return {str(name): {key: page[key] for key in ("content", "there", "value")} for name, page in pages.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
