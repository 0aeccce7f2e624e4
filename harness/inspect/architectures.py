"""What an architecture leaves to its kernels, and how many of their warps it can hold at once."""

from __future__ import annotations

from dataclasses import dataclass

from harness.core.errors import make_unknown_error

# A multiprocessor of NVIDIA's and a compute unit of AMD's CDNA have four partitions alike, each with 512 registers for
# every lane of its warps, handed out by eight. NVIDIA: 64 Ki registers of 32 bits in four partitions of 32 lanes, by
# 256 to a warp (cuda_occupancy.h of CUDA 13: cudaOccSubPartitionsPerMultiprocessor, cudaOccRegAllocationGranularity).
# AMD: a unified file of 512 vector and accumulator registers (LLVM, AMDGPU/Utils/AMDGPUBaseInfo.cpp: getTotalNumVGPRs
# and getVGPRAllocGranule of gfx90a and later).
_PARTITIONS, _LANE_REGISTERS, _BY = 4, 512, 8


@dataclass(frozen=True)
class Architecture:
    """The limits of one multiprocessor.

    Attributes:
        target: the backend, the architecture and the width of a warp, as Triton's ``GPUTarget`` takes them.
        warps: resident warps at most.
        blocks: resident programs at most.
        shared: bytes of shared memory.
        granule: bytes in whose multiples shared memory is handed out.
        reserved: bytes of it that the system takes for each program.
        tensor_memory: columns of tensor memory; zero where there is none.
    """

    target: tuple[str, int | str, int]
    warps: int
    blocks: int
    shared: int
    granule: int
    reserved: int = 0
    tensor_memory: int = 0

    def occupancy(self, warps: int, registers: int, shared: int, tensor_memory: int = 0) -> float:
        """Return the share of resident warps that programs of a kernel can fill; zero where not one fits."""
        by_registers = _PARTITIONS * (_LANE_REGISTERS // _rounded_up(max(registers, 1), _BY))
        limits = [by_registers // warps, self.warps // warps, self.blocks]
        if taken := _rounded_up(shared, self.granule) + self.reserved:
            limits.append(self.shared // taken)
        if tensor_memory:
            limits.append(self.tensor_memory // tensor_memory)
        return min(limits) * warps / self.warps


def _rounded_up(value: int, by: int) -> int:
    return -(-value // by) * by


def _nvidia(capability: int, warps: int, blocks: int, shared_kib: int, tensor_memory: int = 0) -> Architecture:
    """Return an architecture by its row of NVIDIA's tables.

    CUDA Programming Guide 13, section 5.1, tables 30 and 31: resident warps, resident blocks, shared memory. Granule:
    cudaOccSMemAllocationGranularity. The system's 1 KiB a block from 8.0 on: the same tables, as the difference of what
    a multiprocessor has and what a block can have. Tensor memory: PTX ISA 8.7, section 9.7.16.1, 512 columns.
    """
    modern = capability >= 80
    return Architecture(
        ("cuda", capability, 32),
        warps,
        blocks,
        shared_kib << 10,
        granule=128 if modern else 256,
        reserved=1024 if modern else 0,
        tensor_memory=tensor_memory,
    )


def _amd(name: str, shared_kib: int, granule: int) -> Architecture:
    """Return one of AMD's CDNA: 8 waves for each of 4 SIMDs.

    LLVM, AMDGPU/Utils/AMDGPUBaseInfo.cpp: getMaxWavesPerEU, getLdsDwGranularity; sizes of LDS: AMD's instruction set
    architecture documents of CDNA 2, 3 and 4, section "Local Data Share".
    """
    return Architecture(("hip", name, 64), warps=32, blocks=32, shared=shared_kib << 10, granule=granule)


ARCHITECTURES = {
    "sm_75": _nvidia(75, 32, 16, 64),
    "sm_80": _nvidia(80, 64, 32, 164),
    "sm_86": _nvidia(86, 48, 16, 100),
    "sm_89": _nvidia(89, 48, 24, 100),
    "sm_90": _nvidia(90, 64, 32, 228),
    "sm_100": _nvidia(100, 64, 32, 228, tensor_memory=512),
    "sm_103": _nvidia(103, 64, 32, 228, tensor_memory=512),
    "sm_120": _nvidia(120, 48, 24, 100),
    "gfx90a": _amd("gfx90a", 64, 512),
    "gfx942": _amd("gfx942", 64, 512),
    "gfx950": _amd("gfx950", 160, 1280),
}


def parse_architectures(text: str) -> tuple[str, ...]:
    """Return the names in a comma-separated list.

    Raises:
        UsageError: one is not known; the message has the nearest.
    """
    names = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",")))
    for name in names:
        if name not in ARCHITECTURES:
            raise make_unknown_error("architecture", name, ARCHITECTURES)
    return names
