#!/usr/bin/env bash
# What pairwise judgements buy: scripts/judgements_buy.sh ESSAYS_WITH_FOLDS.csv [BACKBONE] [FOLDER]
# Simulated raters judge 500, 1,000 and 2,000 pairs of essays (crates/data/examples/simulate_judgements.rs); stage 1
# trains on them, and stage 2 on 50, 100 and 200 labelled essays, each also without stage 1. Prints the QWK on fold E.
# TRAIT=grammar SEEDS="36 42" EPOCHS1=1 EPOCHS2=6 LABELLED="50" JUDGEMENTS="500" choose other rows.
set -euo pipefail
essays=$(realpath "${1:?the CSV of essays, with folds}")
cd "$(dirname "$0")/.."
backbone=${2:-data/backbones/stories260k}
folder=${3:-outputs/judgements_buy}
trait=${TRAIT:-grammar}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pair2score
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}

cargo build --release --locked -p pair2score-cli
cargo build --release --locked -p pair2score-data --example simulate_judgements
pair2score=$CARGO_TARGET_DIR/release/pair2score
"$CARGO_TARGET_DIR/release/examples/simulate_judgements" "$essays" "$trait" "$folder"

for n in ${JUDGEMENTS:-500 1000 2000}; do
    "$pair2score" judgements import "$folder/judgements_$n.jsonl" --documents "$folder/judged.csv" \
        --output-dir "$folder/pairs_$n"
done

# One run: labelled essays, judgements (0 for no stage 1), seed. Prints the QWK on the test fold.
qwk() {
    local name="$folder/k$1_n$2_s$3" config="$folder/k$1_n$2_s$3.yaml"
    cat >"$config" <<YAML
pipeline: {experiment_id: judgements_buy, trait: $trait, train_folds: [L], test_fold: E, val_ratio: 0.2, seed: $3}
paths: {essays_csv: $folder/essays_$1.csv, output_dir: $name/out, checkpoint_dir: $name/ckpt}
model: {base_model: $backbone}
stage1_relative:
  enabled: $([ "$2" = 0 ] && echo false || echo true)
  pairs_file: $folder/pairs_$2/run1_$trait.jsonl
  training: {epochs: ${EPOCHS1:-2}, lr: 0.001}
stage2_absolute:
  lora: {reuse_relative_adapter: $([ "$2" = 0 ] && echo false || echo true)}
  training: {epochs: ${EPOCHS2:-10}, lr: 0.001, early_stop_patience: 4}
YAML
    "$pair2score" run "$config" --restart >"$name.txt" 2>&1 || { cat "$name.txt" >&2; exit 1; }
    sed -n 's/^test_qwk: //p' "$name/out/absolute_metrics_info.txt"
}

printf '| labelled essays | judgements | seed | QWK |\n|---:|---:|---:|---:|\n'
for seed in ${SEEDS:-36}; do
    for labelled in ${LABELLED:-50 100 200}; do
        for n in 0 ${JUDGEMENTS:-500 1000 2000}; do
            printf '| %s | %s | %s | %s |\n' "$labelled" "$n" "$seed" "$(qwk "$labelled" "$n" "$seed")"
        done
    done
done
