#!/usr/bin/env bash
# Our training step against PyTorch's, in one run: scripts/bench.sh [SHAPE]...
# WORKS="forward stage1 stage2" LENGTHS="real full" ROUNDS=3 REPEATS=1 choose more or less.
# The three programs take turns, one process each, so that a machine that slows down slows all of them.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pair2score
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target} HF_HUB_OFFLINE=1 PYTHONWARNINGS=ignore
shapes=("$@")
[ ${#shapes[@]} -gt 0 ] || shapes=(smollm2_135m llama_1b_layer)

cargo build --release -p pair2score-cli --example step --locked
python=$cache/torch/venv/bin/python
if ! "$python" -c 'import torch, peft, transformers' 2>/dev/null; then
    python3 -m venv "$cache/torch/venv"
    "$cache/torch/venv/bin/pip" install -q -r scripts/bench_requirements.txt
fi

lines=${OUT:-target/bench}/steps.jsonl
mkdir -p "$(dirname "$lines")"
: >"$lines"
for shape in "${shapes[@]}"; do
    for lengths in ${LENGTHS:-real full}; do
        for work in ${WORKS:-stage1}; do
            for _ in $(seq "${ROUNDS:-3}"); do
                set -- "$shape" "$lengths" "$work" "${REPEATS:-1}"
                "$CARGO_TARGET_DIR/release/examples/step" "$@" | tee -a "$lines" >&2
                for form in careful published; do
                    "$python" scripts/bench_torch.py "$@" --form $form 2>/dev/null | tee -a "$lines" >&2
                done
            done
        done
    done
done
"$python" scripts/bench_table.py "$lines"
