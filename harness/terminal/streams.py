"""The standard streams of a command, which goes on with its work where they cannot take what is written."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from typing import TYPE_CHECKING, Any

from harness.core.errors import HarnessError
from harness.core.text import clean_text

if TYPE_CHECKING:
    from typing import TextIO

# What stands for a character where the output cannot hold it, one for one, so that columns stay columns.
_NEAREST = str.maketrans("▁▂▃▄▅▆▇█─├┤●▲·…±×÷✓✗", "_.-:=+*#-[]o^..~x/vx")  # noqa: RUF001
_HANDLER = "bench.nearest"


class _Stream(io.FileIO):
    """A descriptor that drops what it cannot write.

    Attributes:
        failure: why something was dropped; None also where a reader has seen enough and closed the pipe.
    """

    failure: OSError | None = None
    _gone = False

    def write(self, content: Any, /) -> int:
        """Write bytes, until that fails for the first time."""
        if not self._gone:
            try:
                return super().write(content)
            except OSError as error:
                self._gone = True
                self.failure = None if error.errno == errno.EPIPE else error
        return len(content)


def guard_streams() -> None:
    """Let the standard output and the standard error take every character, and drop what they cannot write."""
    codecs.register_error(_HANDLER, _nearest)
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # a file opened later would become the standard output
            os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = _guarded(sys.stdout, 1), _guarded(sys.stderr, 2)


def check_output() -> None:
    """Send off what was printed.

    Raises:
        HarnessError: some of it could not be written; said once.
    """
    sys.stdout.flush()
    stream = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if isinstance(stream, _Stream) and stream.failure:
        reason, stream.failure = stream.failure.strerror, None
        raise HarnessError(f"cannot write to the standard output: {reason}")


def print_message(message: str) -> None:
    """Print a line on the standard error."""
    print(f"bench: {clean_text(message)}", file=sys.stderr, flush=True)


def _guarded(stream: TextIO | None, descriptor: int) -> TextIO:
    if stream is not None and not isinstance(stream, io.TextIOWrapper):
        return stream  # somebody else's, in the same process
    return io.TextIOWrapper(
        io.BufferedWriter(_Stream(descriptor, "w", closefd=False)),
        encoding=stream.encoding if stream else "utf-8",
        errors=_HANDLER,
        line_buffering=bool(stream and stream.line_buffering),
        write_through=bool(stream and stream.write_through),
    )


def _nearest(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character, following = error.object[error.start], error.start + 1
    if "\udc80" <= character <= "\udcff":  # a byte of a file's name that is no character
        return bytes([ord(character) - 0xDC00]), following
    found = character.translate(_NEAREST)
    return found if found.isascii() else "?", following
