#!/usr/bin/env bash
# Adds the fold column: scripts/add_folds.sh [INPUT_CSV [FOLD_MAP_JSON [OUTPUT_CSV]]]
set -euo pipefail
cd "$(dirname "$0")/.."
exec cargo run --release --quiet -p pair2score-cli -- folds \
    --input "${1:-data/datasets/main/train.csv}" \
    --fold-map "${2:-data/folds/fold_map.json}" \
    --output "${3:-data/datasets/main/train_with_folds.csv}"
