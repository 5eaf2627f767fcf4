#!/usr/bin/env bash
# Our steps against PyTorch's, in one run: scripts/bench/steps.sh [SHAPE]...
# WORKS="forward stage1 stage1_shared stage2" LENGTHS="real full" WEIGHTS="f32 bf16 q8" FORMS="careful published" ROUNDS=3
# REPEATS=1 choose more or less; NO_BUILD=1 takes the program that is there. Packed weights (q8) are for forward alone, and
# the published form computes in f32.
# The programs take turns, one process each, so that a machine that slows down slows all of them.
. "$(dirname "$0")/../common.sh"
export HF_HUB_OFFLINE=1 PYTHONWARNINGS=ignore
shapes=("$@")
[ ${#shapes[@]} -gt 0 ] || shapes=(smollm2_135m llama_1b_layer)

# PyTorch's threads wait for each other after every operation: work beside it slows it far more than it slows ours.
if awk -v cores="$(nproc)" '{ exit !($1 > cores / 4) }' /proc/loadavg 2>/dev/null; then
    echo "warning: load is $(cut -d' ' -f1 /proc/loadavg) on $(nproc) cores; the ratios will favour ours" >&2
fi

[ -n "${NO_BUILD:-}" ] || cargo build --release -p pair2score-cli --example step --locked
lines=${OUT:-target/bench}/steps.jsonl
errors=${OUT:-target/bench}/errors.txt
mkdir -p "$(dirname "$lines")"
: >"$lines"
for shape in "${shapes[@]}"; do
    for lengths in ${LENGTHS:-real full}; do
        for work in ${WORKS:-stage1 stage1_shared}; do
            for _ in $(seq "${ROUNDS:-3}"); do
                set -- "$shape" "$lengths" "$work" "${REPEATS:-1}"
                for weights in ${WEIGHTS:-f32}; do
                    [ "$weights" != q8 ] || [ "$work" = forward ] || continue
                    "$CARGO_TARGET_DIR/release/examples/step" "$@" "$weights" | tee -a "$lines" >&2
                    [ "$weights" != q8 ] || continue
                    for form in ${FORMS:-careful published}; do
                        [ "$form" = careful ] || [ "$weights" = f32 ] || continue
                        # Kept from the lines unless it fails, as libraries warn at length.
                        python3 scripts/bench/steps_torch.py "$@" --form "$form" --dtype "$weights" 2>"$errors" \
                            | tee -a "$lines" >&2 || { cat "$errors" >&2; exit 1; }
                    done
                done
            done
        done
    done
done
python3 scripts/bench/steps_table.py "$lines"
