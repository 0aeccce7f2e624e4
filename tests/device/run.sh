#!/usr/bin/env bash
# The device check: run.sh 1 | 2 | again STEP... | list. README.md beside it says what each step proves.
# Environment: OUT, the folder of the results; DEVICE, cuda:0 or cpu (a rehearsal); PYTHON, the one that has torch.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-python3}
export STARTED=$EPOCHSECONDS PYTHONPATH=$root PYTHONDONTWRITEBYTECODE=1

if [ -d "$root/.wheels" ]; then
    site=$(mktemp -d)
    trap 'rm -rf "$site"' EXIT
    wheels=("$root"/.wheels/*.whl)
    # The machine's pandas, where that will do: another one would be loaded beside packages that were built with it.
    if "$python" -c 'from importlib.metadata import version; raise SystemExit(version("pandas") < "3")' 2>/dev/null; then
        wheels=($(printf '%s\n' "${wheels[@]}" | grep -v '/pandas-'))
    fi
    "$python" -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --target "$site" "${wheels[@]}"
    PYTHONPATH=$root:$site
fi
"$python" "$root/tests/device/check.py" "$@"
