"""Occupancies that can be worked out by hand, and words of compilers as they are."""

from __future__ import annotations

import pytest

from harness.core.errors import UsageError
from harness.inspect.architectures import ARCHITECTURES, parse_architectures
from harness.inspect.machine_code import (
    Usage,
    count_amdgcn_instructions,
    count_matrix_instructions,
    count_sass_instructions,
    format_mix,
    parse_amdgcn_usage,
    parse_ptxas_usage,
)

LOG = """\
ptxas info    : 11 bytes gmem, 8 bytes cmem[4]
ptxas info    : Compiling entry function 'flash_forward' for 'sm_80'
ptxas info    : Function properties for flash_forward
    16 bytes stack frame, 12 bytes spill stores, 8 bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers, 16 bytes cumulative stack size{smem}, 408 bytes cmem[0]
"""
SASS = """
	code for sm_90a
		Function : flash_forward
        /*0000*/                   LDC R1, c[0x0][0x28] ;        /* 0x00000a00ff017b82 */
                                                                 /* 0x000e700000000800 */
        /*0010*/              @!P0 HGMMA.64x64x16.F32.BF16 R24, gdesc[UR4], R24 ;  /* 0x0000000000047 */
        /*0020*/             @!UP1 UTCHMMA gdesc[UR8], gdesc[UR10], tmem[UR6] ;  /* 0x0000000000047 */
        /*0030*/                   HFMA2.MMA R2, -RZ, RZ, 0, 0 ;  /* 0x0000000000047 */
        /*0040*/                   HMMA.16816.F32.BF16 R4, R8, R12, R4 ;  /* 0x0000000000047 */
        /*0050*/                   HMMA.16816.F32.BF16 R4, R8, R12, R4 ;  /* 0x0000000000047 */
        /*0060*/                   NOP ;  /* 0x0000000000047 */
"""
AMDGCN = """\
flash_forward:                          ; @flash_forward
	s_load_dwordx2 s[2:3], s[0:1], 0x0
	v_mfma_f32_32x32x8_bf16_1k a[0:15], v[2:3], v[4:5], 0
	s_nop 7
	.loc	1 60 32
    .group_segment_fixed_size: 128
    .private_segment_fixed_size: 12
    .agpr_count:     16
    .sgpr_count:     106
    .sgpr_spill_count: 6
    .vgpr_count:     213
    .vgpr_spill_count: 3
"""


@pytest.mark.parametrize(
    ("arch", "warps", "registers", "shared", "tensor_memory", "expected"),
    [
        ("sm_80", 4, 16, 0, 0, 1.0),
        # 255 registers are 256: two warps in each of four partitions of 512.
        ("sm_80", 4, 255, 0, 0, 8 / 64),
        # 168 registers: three warps a partition are 12, of which programs of eight warps fill 8.
        ("sm_90", 8, 168, 0, 0, 8 / 64),
        # 48 KiB and the system's one: four of them in 228 KiB.
        ("sm_90", 4, 32, 48 << 10, 0, 16 / 64),
        ("sm_90", 4, 32, 227 << 10, 0, 4 / 64),
        ("sm_90", 4, 32, (227 << 10) + 1, 0, 0.0),
        ("sm_86", 4, 32, 99 << 10, 0, 4 / 48),
        # One warp a program: at most 32 programs, of 64 warps.
        ("sm_90", 1, 16, 0, 0, 0.5),
        ("sm_75", 1, 16, 0, 0, 0.5),
        ("sm_100", 4, 32, 0, 256, 8 / 64),
        # 213 registers are 216: two waves in each of four units.
        ("gfx942", 4, 213, 0, 0, 8 / 32),
        ("gfx942", 4, 64, (64 << 10) + 1, 0, 0.0),
        ("gfx950", 4, 64, (64 << 10) + 1, 0, 8 / 32),
        ("gfx942", 4, 0, 0, 0, 1.0),
    ],
)
def test_occupancy(arch: str, warps: int, registers: int, shared: int, tensor_memory: int, expected: float) -> None:
    assert ARCHITECTURES[arch].occupancy(warps, registers, shared, tensor_memory) == expected


def test_names_of_architectures() -> None:
    assert parse_architectures("sm_90, GFX942,sm_90") == ("sm_90", "gfx942")
    with pytest.raises(UsageError, match="unknown architecture 'sm_91'; did you mean"):
        parse_architectures("sm_90,sm_91")


def test_what_ptxas_says() -> None:
    assert parse_ptxas_usage(LOG.format(smem="")) == Usage(255, 12, 8)
    assert parse_ptxas_usage(LOG.format(smem=", 1024 bytes smem")) == Usage(255, 12, 8, 1024)
    with pytest.raises(ValueError, match="ptxas does not say"):
        parse_ptxas_usage("")


def test_what_amds_assembly_says() -> None:
    assert parse_amdgcn_usage(AMDGCN) == Usage(213, 12, 12, 128)
    counts = count_amdgcn_instructions(AMDGCN)
    assert counts == {"s_load_dwordx2": 1, "v_mfma_f32_32x32x8_bf16_1k": 1}
    assert count_matrix_instructions(counts) == 1


def test_instructions_are_counted_without_modifiers_predicates_and_padding() -> None:
    counts = count_sass_instructions(SASS)
    assert counts == {"LDC": 1, "HGMMA": 1, "UTCHMMA": 1, "HFMA2": 1, "HMMA": 2}
    assert count_matrix_instructions(counts) == 4
    assert format_mix(counts).startswith("HMMA 2, ")
