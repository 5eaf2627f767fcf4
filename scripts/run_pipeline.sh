#!/usr/bin/env bash
# Both stages of a configuration: scripts/run_pipeline.sh CONFIG [--set KEY=VALUE]... [--device cpu|cuda[:N]|wgpu]
# FEATURES=cuda scripts/run_pipeline.sh CONFIG builds for CUDA.
set -euo pipefail
cd "$(dirname "$0")/.."
exec cargo run --release --quiet -p pair2score-cli --features "${FEATURES:-cpu}" -- run "$@"
