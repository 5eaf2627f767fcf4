#!/usr/bin/env bash
# What has to hold and how fast it is on an NVIDIA card: parity, the 1B shape in bf16, 200 steps of stage 1, and the
# same work in PyTorch where there is one with CUDA (PYTHON names it). Prints JSON lines and a summary.
. "$(dirname "$0")/common.sh"
export PYTHONWARNINGS=ignore
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

step "200 steps of stage 1"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$CARGO_TARGET_DIR/release/pair2score" relative configs/demo_adapter.yaml --device cuda \
    --set paths.output_dir="$scratch/out" --set paths.checkpoint_dir="$scratch/checkpoints" \
    --set stage1_relative.training.epochs=2

step "the same in PyTorch"
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
