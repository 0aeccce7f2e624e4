#!/usr/bin/env bash
# Measures the working tree against a revision, and gates the result. Needs `bench` on the path and the whole history of
# the checkout; everything else comes in variables, so that any CI system can run it.
set -euo pipefail

read -ra words <<<"$SELECT"
setup=()
if [ -n "${SETUP:-}" ]; then
  setup=(--setup "$SETUP")
fi

# A case that fails is a verdict of the gate, so that one which failed before does not stop every change.
status=0
bench run "${words[@]}" --against "$AGAINST" "${setup[@]}" --results "$RESULTS" || status=$?
if [ "$status" -gt 1 ]; then
  exit "$status"
fi

code=0
bench gate --results "$RESULTS" --margin "$MARGIN" --budget "$BUDGET" --junit "$RESULTS/junit.xml" || code=$?
echo "code=$code" >>"${GITHUB_OUTPUT:-/dev/null}"
if [ "$code" -eq 3 ] && [ "$INCONCLUSIVE" = warn ]; then
  exit 0
fi
exit "$code"
