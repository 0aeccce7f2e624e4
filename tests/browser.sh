#!/usr/bin/env bash
# Installs the browser that tests of reports open pages in, where there is none.
set -euo pipefail
for name in chromium google-chrome chromium-browser; do
  if command -v "$name" >/dev/null; then exit 0; fi
done
as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq chromium >/dev/null
