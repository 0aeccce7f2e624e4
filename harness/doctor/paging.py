"""How the kernel places memory: swap, huge pages, and the layout of a process."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.core.metric import format_value
from harness.doctor.finding import FAIL, PASS, UNKNOWN, WARN, Finding
from harness.doctor.sysfs import read_field, read_integer, read_text

if TYPE_CHECKING:
    from harness.doctor.snapshot import Snapshot

_HUGE = "sys/kernel/mm/transparent_hugepage/enabled"
_LAYOUT = "proc/sys/kernel/randomize_va_space"
_NOT_RANDOM = 0x0040000  # ADDR_NO_RANDOMIZE, personality(2)


def check_swap(machine: Snapshot) -> Finding:
    """Look for memory on disk, and for pages that move right now."""
    text = read_text(machine.root, "proc/meminfo")
    size, free = (read_field(text, name) * 1024 for name in ("SwapTotal", "SwapFree"))
    moved = machine.after.swapped - machine.before.swapped
    if not size:
        return Finding("swap", PASS, "none")
    figure = f"{format_value(size - free, 'B')} of {format_value(size, 'B')} in use, {moved} pages moved just now"
    if size == free and not moved:
        return Finding("swap", PASS, figure)
    return Finding("swap", FAIL if moved else WARN, figure, "Free some memory, then: sudo swapoff -a")


def check_huge_pages(machine: Snapshot) -> Finding:
    """Look whether the kernel gives huge pages by luck."""
    match = re.search(r"\[(\w+)\]", read_text(machine.root, _HUGE))
    if not match:
        return Finding("huge pages", UNKNOWN, "the kernel has no transparent huge pages")
    if match[1] != "always":
        return Finding("huge pages", PASS, match[1])
    figure = "always: given or not, as memory is fragmented"
    return Finding("huge pages", WARN, figure, f"echo madvise | sudo tee /{_HUGE}")


def check_layout(machine: Snapshot) -> Finding:
    """Look whether every launch has an address layout of its own."""
    value = read_integer(machine.root, _LAYOUT)
    personality = read_text(machine.root, "proc/self/personality")
    if personality and int(personality, 16) & _NOT_RANDOM:
        figure = "not random here: all launches share one address layout"
        return Finding("ASLR", FAIL, figure, "Start bench without setarch -R, outside a debugger")
    if value is None:
        return Finding("ASLR", UNKNOWN, "the kernel does not say whether it is random")
    if value == 2:
        return Finding("ASLR", PASS, "random in each launch")
    figure = "the heap is not random: launches are too much alike"
    if value == 0:
        figure = "not random: all launches share one address layout"
    return Finding("ASLR", WARN if value else FAIL, figure, f"echo 2 | sudo tee /{_LAYOUT}")
