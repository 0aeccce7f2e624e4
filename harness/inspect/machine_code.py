"""Reads what the compiler says of a kernel, and the instructions of its machine code."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

# Instructions of the matrix units: of NVIDIA's warps (HMMA), warp groups (HGMMA) and tensor memory (UTCHMMA); of AMD's.
_MATRIX = re.compile(r"(?:UTC)?[A-Z]MMA|[A-Z]GMMA|v_(?:mfma|smfmac|wmma|swmmac)_\w+")
_PADDING = ("NOP", "s_nop")
# A line of `cuobjdump -sass`: the address, a predicate or none, the opcode with its modifiers.
_SASS = re.compile(r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z]\w*)", re.MULTILINE)
_AMDGCN = re.compile(r"^\t([a-z]+_\w+)", re.MULTILINE)
_SPILLS = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers(?:.*?(\d+) bytes smem)?")


@dataclass(frozen=True)
class Usage:
    """What a thread of a kernel takes: registers, bytes that it spills and loads back, static bytes of its program."""

    registers: int
    spill_stores: int
    spill_loads: int
    static_shared: int = 0


def parse_ptxas_usage(log: str) -> Usage:
    """Read the log of ``ptxas -v``.

    Raises:
        ValueError: it does not say.
    """
    spills, used = _SPILLS.search(log), _USED.search(log)
    if not spills or not used:
        raise ValueError(f"ptxas does not say what the kernel uses: {log.strip()!r}")
    return Usage(int(used[1]), int(spills[1]), int(spills[2]), int(used[2] or 0))


def parse_amdgcn_usage(text: str) -> Usage:
    """Read the metadata at the end of AMD's assembly.

    Vector and accumulator registers are one file, and one count. A spilled register is 4 bytes a lane, written and
    read once for all that it says; scalar registers are spilled to lanes of vector registers, which are in the count.
    """
    counts = {name: int(value) for name, value in re.findall(r"\.(\w+_count|\w+_fixed_size):\s+(\d+)", text)}
    spilled = 4 * counts["vgpr_spill_count"]
    return Usage(counts["vgpr_count"], spilled, spilled, counts["group_segment_fixed_size"])


def count_sass_instructions(text: str) -> Counter[str]:
    """Count opcodes, without their modifiers and without padding."""
    return _counted(_SASS.findall(text))


def count_amdgcn_instructions(text: str) -> Counter[str]:
    """Count the instructions of AMD's assembly, without padding."""
    return _counted(_AMDGCN.findall(text))


def count_matrix_instructions(counts: Counter[str]) -> int:
    """Return how many of them are the matrix units'."""
    return sum(count for name, count in counts.items() if _MATRIX.fullmatch(name))


def format_mix(counts: Counter[str]) -> str:
    """Write the counts, the most frequent first: ``FMUL 336, HMMA 256``."""
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


def _counted(names: list[str]) -> Counter[str]:
    return Counter(name for name in names if name not in _PADDING)
