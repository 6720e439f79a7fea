#!/usr/bin/env bash
# Make the bundled calls again, or more of them: scripts/fixtures.sh --help. Run from the repository root.
set -euo pipefail
venv=var/fixtures-venv
if ! cmp -s requirements/fixtures.txt "$venv/.made-from"; then
  "${PYTHON:-python3}" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/fixtures.txt
  cp requirements/fixtures.txt "$venv/.made-from"
fi
# One thread: sums come out in one order, so that the same seed gives the same samples.
OMP_NUM_THREADS=1 exec "$venv/bin/python" -m scripts.fixtures "$@"
