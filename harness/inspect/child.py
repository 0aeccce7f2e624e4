"""The process that compiles: ``python -P -m harness.inspect.child`` reads a request and writes a line for each kernel.

A compiler may abort the whole process; each kernel is therefore announced before it is compiled.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import triton  # noqa: F401 -- before content is imported with stand-ins, which have no submodules

from harness.catalog import load_catalog
from harness.core.trial import ERROR, OK, SKIPPED
from harness.inspect.compiler import compile_kernel, warm_up_compiler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.catalog import Catalog
    from harness.core.workload import Implementation, Kernel, Params

_LONGEST = 500
# The options that are part of a kernel's name.
_NAMED = {"num_warps": "warps", "num_stages": "stages"}


class _UnsupportedError(Exception):
    """A point that the implementation does not take."""


def main() -> None:
    """Compile every kernel of the request from the one with the number ``start`` on."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a plug-in or the compiler prints is no reply
    request = json.load(sys.stdin)
    catalog = load_catalog(request["sources"])
    ready: set[str] = set()
    for number, (names, kernel) in enumerate(_kernels(catalog, request)):
        if number < request["start"]:
            continue
        print(json.dumps({"begun": names}), file=out, flush=True)
        print(json.dumps({"ended": {**names, **_made(kernel, names["arch"], ready)}}), file=out, flush=True)


def _kernels(catalog: Catalog, request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Kernel | Exception]]:
    """Yield every kernel for every architecture, by name; where an implementation cannot tell them, the reason."""
    for item in request["items"]:
        implementation = catalog.implementation(request["workload"], item["implementation"])
        try:
            kernels = _declared(implementation, catalog.workload(request["workload"]).params(item["params"]))
        except Exception as error:
            yield {**item, "arch": request["architectures"][0], "kernel": "none"}, error
            continue
        for arch in request["architectures"]:
            for name, kernel in kernels.items():
                yield {**item, "arch": arch, "kernel": name}, kernel


def _declared(implementation: Implementation, params: Params) -> dict[str, Kernel]:
    """Return kernels by what tells them apart: ``flash_forward 128x64 warps=4 stages=3``."""
    unsupported = implementation.requires.unsupported
    if why := unsupported(params, "cuda") if unsupported else "":
        raise _UnsupportedError(why)
    named: dict[str, Kernel] = {}
    for kernel in implementation.kernels(params) if implementation.kernels else ():
        depth = (f"{word}={kernel.options[option]}" for option, word in _NAMED.items() if option in kernel.options)
        name = " ".join(filter(None, (kernel.function.__name__, kernel.label, *depth)))
        if name in named:
            raise ValueError(f"two kernels are called '{name}': give them labels")
        named[name] = kernel
    return named


def _made(kernel: Kernel | Exception, arch: str, ready: set[str]) -> dict[str, Any]:
    """Compile, and say how it ended; whatever goes wrong is one line."""
    try:
        if isinstance(kernel, Exception):
            raise kernel
        if arch not in ready:
            warm_up_compiler(arch)
            ready.add(arch)
        return {"status": OK, "message": "", **compile_kernel(kernel, arch)}
    except _UnsupportedError as why:
        return {"status": SKIPPED, "message": str(why)}
    except Exception as error:
        return {"status": ERROR, "message": _in_one_line(error)}


def _in_one_line(error: BaseException) -> str:
    """Write the first cause of an error; of its lines, the one that the compiler calls an error, or else the last."""
    while error.__cause__:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    line = next((line for line in lines if ": error" in line or "fatal" in line), lines[-1])
    return f"{type(error).__name__}: {line}"[:_LONGEST]


if __name__ == "__main__":
    main()
