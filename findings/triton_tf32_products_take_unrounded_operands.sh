#!/usr/bin/env bash
# Triton 3.7.1, compiled for sm_90: tl.dot(..., input_precision="tf32") hands float32 to the matrix unit as it is; nothing in the
# PTX rounds it to TF32 (cvt.rna.tf32.f32), while "tf32x3" does. For sm_80 the same. Where the hardware cuts the low bits, an error
# bound derived for rounded operands, as libraries use them, is too tight by a factor of two for such a kernel.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check triton==3.7.1
cat > "$folder/kernel.py" <<'PY'
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource


@triton.jit
def product(a, b, c, PRECISION: tl.constexpr):
    rows = tl.arange(0, 64)[:, None] * 64 + tl.arange(0, 64)[None, :]
    tl.store(c + rows, tl.dot(tl.load(a + rows), tl.load(b + rows), input_precision=PRECISION))


for architecture in (80, 90):
    for precision in ("tf32", "tf32x3"):
        source = ASTSource(product, {"a": "*fp32", "b": "*fp32", "c": "*fp32", "PRECISION": "constexpr"}, {(3,): precision})
        ptx = triton.compile(source, target=GPUTarget("cuda", architecture, 32)).asm["ptx"]
        unit = "wgmma" if "wgmma.mma_async" in ptx else "mma"
        print(f"sm_{architecture} {precision}: {unit}, tf32 products {'.tf32' in ptx}, rounded {'cvt.rna.tf32' in ptx}")
PY
found=$(TRITON_CACHE_DIR="$folder/cache" "$folder/venv/bin/python" "$folder/kernel.py")
echo "$found"
test "$found" = "sm_80 tf32: mma, tf32 products True, rounded False
sm_80 tf32x3: mma, tf32 products True, rounded True
sm_90 tf32: wgmma, tf32 products True, rounded False
sm_90 tf32x3: wgmma, tf32 products True, rounded True"
