#!/usr/bin/env bash
# Fetch what the machine of the device check may lack into .wheels, which git ignores, at the versions that this project
# is tested with. Everything else (torch, Triton, numpy, scipy, pyarrow, rich, jinja2, psutil) is the machine's own.
set -euo pipefail
cd "$(dirname "$0")/../.."
platforms=()
for glibc in 2_28 2_24 2_17; do
    platforms+=(--platform "manylinux_${glibc}_x86_64")
done
rm -rf .wheels
"${PYTHON:-python3}" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --python-version "${TARGET:-3.12}" --implementation cp "${platforms[@]}" --platform manylinux2014_x86_64 \
    --constraint .github/constraints.txt --dest .wheels typer nvidia-ml-py gguf platformdirs pandas
du -sh .wheels
