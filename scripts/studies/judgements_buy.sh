#!/usr/bin/env bash
# What pairwise judgements buy: scripts/studies/judgements_buy.sh ESSAYS_WITH_FOLDS.csv [BACKBONE] [FOLDER]
# Simulated raters judge 500, 1,000 and 2,000 pairs of essays (crates/data/examples/simulate_judgements.rs); stage 1
# trains on them, and stage 2 on 50, 100 and 200 labelled essays, each also without stage 1. Prints the QWK on fold E.
# TRAIT=grammar SEEDS="1 2" LABELLED="50" JUDGEMENTS="500" choose rows. What is done already is not done again, so it can
# be stopped and started. PAIR2SCORE=FILE names a program that was built before.
essays=$(realpath "${1:?the CSV of essays, with folds}")
. "$(dirname "$0")/../common.sh"
backbone=${2:-data/backbones/stories260k}
folder=${3:-outputs/judgements_buy}
trait=${TRAIT:-grammar}

if [ -z "${PAIR2SCORE:-}" ]; then
    cargo build --release --locked -p pair2score-cli
    PAIR2SCORE=$CARGO_TARGET_DIR/release/pair2score
fi

quietly() { "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }; }

# config LABELLED JUDGEMENTS CHECKPOINTS: no stage 1 where there are no judgements. Without stage 1, stage 2 is a head on
# the bare backbone; with it, a head on the backbone with the adapter of stage 1. Neither changes what is below the head.
# Few judgements need more epochs: an epoch of 500 is fifty steps, from which stage 1 learns nothing. Ten validation essays
# have a QWK of 0 in most epochs, so the loss on them chooses.
config() {
    local folds="" k epochs=$(($2 > 0 && 4000 / $2 > 3 ? 4000 / $2 : 3))
    for k in 50 100 200; do
        [ "$k" -gt "$1" ] || folds+="${folds:+, }L$k"
    done
    cat <<YAML
pipeline: {experiment_id: judgements_buy, trait: $trait, train_folds: [$folds], test_fold: E, val_ratio: 0.2, seed: $seed}
paths: {essays_csv: $data/essays.csv, output_dir: $3, checkpoint_dir: $3}
model: {base_model: $backbone, max_length: 512}
stage1_relative:
  enabled: $([ "$2" = 0 ] && echo false || echo true)
  pairs_file: $data/pairs_$2/run1_$trait.jsonl
  training: {epochs: $epochs, batch_size: 8, document_grouped: true, lr: 0.001, schedule: cosine, early_stop_patience: 0}
stage2_absolute:
  mode: $([ "$2" = 0 ] && echo head_only || echo warm_start)
  lora: $([ "$2" = 0 ] && echo "{}" || echo "{train_reused_adapter: false}")
  objective: mse
  training: {epochs: 60, batch_size: 16, lr: 0.001, schedule: cosine, early_stop_patience: 0, monitor: val_loss}
YAML
}

for seed in ${SEEDS:-1 2}; do
    data=$folder/s$seed
    log=$data/log.txt
    mkdir -p "$data"
    if [ ! -f "$data/judgements_2000.jsonl" ]; then
        quietly cargo run --release --locked -p pair2score-data --example simulate_judgements -- \
            "$essays" "$trait" "$seed" "$data"
    fi
    for n in 0 ${JUDGEMENTS:-500 1000 2000}; do
        relative=$data/n$n
        if [ "$n" != 0 ] && [ ! -d "$relative/relative/adapter" ]; then
            quietly "$PAIR2SCORE" judgements import "$data/judgements_$n.jsonl" --documents "$data/judged.csv" \
                --seed "$seed" --output-dir "$data/pairs_$n"
            config 50 "$n" "$relative" >"$relative.yaml"
            quietly "$PAIR2SCORE" relative "$relative.yaml" --resume
        fi
        for labelled in ${LABELLED:-50 100 200}; do
            absolute=$data/k${labelled}_n$n
            if [ ! -f "$absolute/absolute_metrics_info.txt" ]; then
                mkdir -p "$absolute"
                [ "$n" = 0 ] || cp -r "$relative/relative" "$absolute/"
                config "$labelled" "$n" "$absolute" >"$absolute.yaml"
                quietly "$PAIR2SCORE" absolute "$absolute.yaml" --resume
            fi
        done
    done
done

# value FILE KEY
value() { [ ! -f "$1" ] || sed -n "s/^$2: //p" "$1"; }

printf '| Seed | Judgements | Stage 1, test pair accuracy | QWK with %s labelled essays |\n' \
    "$(sed 's/ /, /g' <<<"${LABELLED:-50 100 200}")"
printf '|---:|---:|---:|---:|\n'
for seed in ${SEEDS:-1 2}; do
    for n in 0 ${JUDGEMENTS:-500 1000 2000}; do
        row=""
        for labelled in ${LABELLED:-50 100 200}; do
            qwk=$(value "$folder/s$seed/k${labelled}_n$n/absolute_metrics_info.txt" test_qwk)
            row+="${row:+, }${qwk:-–}"
        done
        accuracy=$(value "$folder/s$seed/n$n/relative/relative_run_info.txt" test_acc)
        printf '| %s | %s | %s | %s |\n' "$seed" "$n" "${accuracy:-–}" "$row"
    done
done
