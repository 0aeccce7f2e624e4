"""Makes the machine code of one kernel with Triton's compiler alone, and says what it takes."""

from __future__ import annotations

import contextlib
import hashlib
import io
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, Any

from harness.core.workload import Kernel
from harness.inspect.architectures import ARCHITECTURES
from harness.inspect.machine_code import (
    count_amdgcn_instructions,
    count_matrix_instructions,
    count_sass_instructions,
    format_mix,
    parse_amdgcn_usage,
    parse_ptxas_usage,
)

if TYPE_CHECKING:
    from collections import Counter

_ALIGNMENT = 16  # what Triton's launcher looks for, in bytes of a pointer and in the value of a whole number
_BINARIES = ("cubin", "hsaco")


def warm_up_compiler(architecture: str) -> None:
    """Compile a kernel that does nothing, so that the next one's time is its own."""
    from harness.inspect._nothing import do_nothing

    _compile(Kernel(do_nothing, {}), architecture)


def compile_kernel(kernel: Kernel, architecture: str) -> dict[str, Any]:
    """Compile a kernel, and return its metrics, the hash of its machine code, and its instructions."""
    made, log, seconds = _compile(kernel, architecture)
    code = next(made.asm[form] for form in _BINARIES if form in made.asm)
    if "cubin" in made.asm:
        usage, counts = parse_ptxas_usage(log), count_sass_instructions(_disassembled(code))
    else:
        usage, counts = parse_amdgcn_usage(made.asm["amdgcn"]), count_amdgcn_instructions(made.asm["amdgcn"])
    shared, warps = usage.static_shared + made.metadata.shared, made.metadata.num_warps
    tensor_memory = getattr(made.metadata, "tmem_size", 0)
    occupancy = ARCHITECTURES[architecture].occupancy(warps, usage.registers, shared, tensor_memory)
    metrics = {
        "registers": usage.registers,
        "spill_stores": usage.spill_stores,
        "spill_loads": usage.spill_loads,
        "shared_memory": shared,
        "occupancy": occupancy,
        **_shares(counts),
        "compile_time": seconds,
    }
    return {
        "metrics": metrics,
        "sha256": hashlib.sha256(code).hexdigest(),
        "instructions": format_mix(counts),
        "log": log,
    }


def _shares(counts: Counter[str]) -> dict[str, float]:
    total = counts.total()
    return {"instructions": total, "tensor_core_share": count_matrix_instructions(counts) / max(total, 1)}


def _compile(kernel: Kernel, architecture: str) -> tuple[Any, str, float]:
    """Return what Triton made, what ptxas said of it, and the seconds that both took."""
    import triton
    from triton.backends.compiler import GPUTarget

    source, target = _source(kernel), GPUTarget(*ARCHITECTURES[architecture].target)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        start = time.perf_counter()
        made = triton.compile(source, target=target, options=dict(kernel.options))
        seconds = time.perf_counter() - start
    return made, said.getvalue().strip(), seconds


def _source(kernel: Kernel) -> Any:
    """Specialise a kernel for its arguments as Triton's launcher does."""
    from triton.compiler import ASTSource

    signature: dict[str, str] = {}
    constants: dict[str, Any] = {}
    aligned: dict[tuple[int, ...], list[list[Any]]] = {}
    names = [parameter.name for parameter in kernel.function.params]
    if unwanted := [name for name in kernel.arguments if name not in names]:
        raise TypeError(f"it takes no argument '{unwanted[0]}'")
    for position, parameter in enumerate(kernel.function.params):
        if parameter.name not in kernel.arguments and not parameter.has_default:
            raise TypeError(f"its argument '{parameter.name}' has no value")
        value = kernel.arguments.get(parameter.name, parameter.default)
        kind = "constexpr" if parameter.is_constexpr else _type(value, special=not parameter.do_not_specialize)
        signature[parameter.name] = kind
        if kind == "constexpr":
            constants[parameter.name] = value
        elif not (parameter.do_not_specialize or parameter.do_not_specialize_on_alignment) and _is_aligned(value):
            aligned[(position,)] = [["tt.divisibility", _ALIGNMENT]]
    return ASTSource(kernel.function, signature, constants, aligned)


def _type(value: Any, *, special: bool) -> str:
    """Return the type of an argument; None, and the number 1 where Triton may specialise, are constants."""
    if value is None or (special and type(value) is int and value == 1):
        return "constexpr"
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "u1"
    if isinstance(value, float):
        return "fp32"
    return "i32" if -(1 << 31) <= value < 1 << 31 else "i64"


def _is_aligned(value: Any) -> bool:
    return value.startswith("*") if isinstance(value, str) else type(value) is int and value % _ALIGNMENT == 0


def _disassembled(cubin: bytes) -> str:
    import triton

    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = (triton.knobs.nvidia.cuobjdump.path, "-sass", file.name)
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
