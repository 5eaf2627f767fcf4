#!/usr/bin/env bash
# What has to hold and how fast it is on an NVIDIA card: parity, the 1B shape in bf16, and a pass of it by each of cubek's
# products, 200 steps of stage 1, an epoch on real essays that is killed and goes on, the same work in PyTorch where there
# is one with CUDA (PYTHON names it), and parity through Vulkan. Stops at the first wrong number. Prints JSON lines and a
# summary.
# The real essays are ESSAYS (data/datasets/ellipse/train_with_folds.csv, docs/dataset_notes.md) and are read by BACKBONE
# (data/backbones/smollm2-135m, which scripts/smollm2.sh makes); where either is missing that step is skipped.
# scripts/gpu_check.sh essays DEVICE runs that step alone, with the program that is there, and on a processor too.
. "$(dirname "$0")/common.sh"
export PYTHONWARNINGS=ignore
program=$CARGO_TARGET_DIR/release/pair2score

# essays DEVICE: the first epoch of configs/examples/exp02 on real essays; it is killed once it has saved its state, and
# the same command with --resume has to end it.
essays() {
    local essays=${ESSAYS:-data/datasets/ellipse/train_with_folds.csv} log
    local backbone=${BACKBONE:-data/backbones/smollm2-135m} device=$1
    step "an epoch of stage 1 on real essays, killed and resumed"
    [ -e "$essays" ] && [ -e "$backbone" ] || { echo "skipped: $essays or $backbone is missing"; return; }
    log=$scratch/essays.log
    "$program" pairs generate --essays "$essays" --trait grammar --run-id 3 --seed 42 --pair-folds C,D,E,A \
        --heldout-fold B --split-fraction 0.5 --output-dir "$scratch/pairs"
    set -- "$program" relative configs/examples/exp02_example_grammar_small_warmstart.yaml --device "$device" \
        --set paths.essays_csv="$essays" --set model.base_model="$backbone" --set model.max_length=512 \
        --set paths.output_dir="$scratch/essays" --set paths.checkpoint_dir="$scratch/essays_checkpoints" \
        --set stage1_relative.pairs_file="$scratch/pairs/run3_grammar.jsonl" \
        --set stage1_relative.pairs_meta="$scratch/pairs/run3_grammar_meta.json" \
        --set stage1_relative.training.epochs=1 --set stage1_relative.training.log_every=10 \
        --set stage1_relative.training.document_grouped=true --set pipeline.checkpoint_every=20
    "$@" 2>"$log" &
    # The second save is on its way to the disk when step 50 is logged.
    until grep -q 'step 50/' "$log"; do
        kill -0 $! 2>/dev/null || { cat "$log" >&2; fail "stage 1 ended before it could be killed"; }
        sleep 0.2
    done
    kill -9 $!
    wait $! || true
    "$@" --resume
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [ "${1:-}" = essays ]; then
    essays "${2:-cuda}"
    exit
fi
command -v nvidia-smi >/dev/null || { echo "no NVIDIA driver here: nvidia-smi is missing" >&2; exit 1; }
nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv
# Without nvcc the build assumes a newer CUDA than the driver may have.
if [ -z "${CUDARC_CUDA_VERSION:-}" ] && ! command -v nvcc >/dev/null; then
    case $(nvidia-smi | sed -n 's/.*CUDA Version: \([0-9.]*\).*/\1/p') in
        1[3-9].*) export CUDARC_CUDA_VERSION=13000 ;;
        *) export CUDARC_CUDA_VERSION=12080 ;;
    esac
fi

step parity
cargo test --release -p pair2score-cli --features cuda --locked --test gpu -- --nocapture

step "steps of the 1B shape in bf16"
cargo build --release -p pair2score-cli --features cuda --locked --bin pair2score --example step
lines=${OUT:-target/gpu}/steps.jsonl
mkdir -p "$(dirname "$lines")"
: >"$lines"
works=("llama_1b real forward" "llama_1b real stage1" "llama_1b full stage1" "llama_1b real stage2")
for work in "${works[@]}"; do
    # shellcheck disable=SC2086
    "$CARGO_TARGET_DIR/release/examples/step" $work 5 bf16 | tee -a "$lines"
done
nvidia-smi --query-gpu=memory.used --format=csv

step "a pass of the 1B shape in bf16 by each of cubek's products"
# Whichever is faster than auto by more than the spread of the runs belongs into crates/model/src/kernels/cube/product.rs.
for product in $("$CARGO_TARGET_DIR/release/examples/step" products); do
    if ! line=$("$CARGO_TARGET_DIR/release/examples/step" llama_1b full forward 5 bf16 "$product" 2>"$scratch/product.log"); then
        echo "$product does not run here: $(grep -m1 'cannot run' "$scratch/product.log" || tail -n1 "$scratch/product.log")"
        continue
    fi
    echo "$product $line"
done | tee "${OUT:-target/gpu}/products.txt"

step "200 steps of stage 1"
"$program" relative configs/demo_adapter.yaml --device cuda \
    --set paths.output_dir="$scratch/out" --set paths.checkpoint_dir="$scratch/checkpoints" \
    --set stage1_relative.training.epochs=2

essays cuda

step "the steps of the 1B shape in PyTorch"
python=${PYTHON:-$cache/torch/venv/bin/python}
[ -n "${PYTHON:-}" ] || [ -x "$python" ] || python=python3
export PYTHON=$python
if "$python" -c 'import torch, peft, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
    for work in "${works[@]}"; do
        # shellcheck disable=SC2086
        "$python" scripts/bench/steps_torch.py $work 5 --form careful --dtype bf16 --device cuda | tee -a "$lines"
    done
    "$python" scripts/bench/steps_table.py "$lines"
else
    echo "skipped: $python has no PyTorch with CUDA and PEFT (scripts/requirements/torch.txt)"
fi

step "parity through Vulkan"
cargo test --release -p pair2score-cli --features wgpu --locked --test gpu -- --nocapture
