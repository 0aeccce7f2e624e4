"""A kernel that does nothing: the first compilation of a process also pays for what the compiler sets up once."""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton


@triton.jit
def do_nothing():
    """Do nothing."""
