#!/usr/bin/env bash
# Everything that must hold before a change lands. scripts/setup.sh installs what this needs beyond cargo, python3, node
# and npm; crates and packages are fetched on the first run.
. "$(dirname "$0")/common.sh"
# Backtraces of deliberate failures would only hide the messages under test.
export RUST_BACKTRACE=0

. scripts/wasm_debian.sh
. scripts/arm.sh
wasm_target || debian_wasm || fail "the target $target is missing; run scripts/setup.sh"
command -v "${CHROMIUM:-chromium}" >/dev/null || fail "chromium is missing; run scripts/setup.sh, or name one in CHROMIUM"

step formatting
cargo fmt --all --check
cargo fmt --manifest-path crates/fuzz/Cargo.toml --check

step lints
cargo clippy --workspace --all-targets --locked -- -D warnings

step documentation
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

step tests
cargo test --workspace --locked

# A device is only added: it is enough that its code compiles.
step "device features"
cargo check -p pair2score-cli --features cuda,wgpu --locked

step "our kernels for NVIDIA cards, compiled without one"
python3 scripts/peers/nvrtc_check.py

step "our kernels on an emulated Arm processor"
if arm_emulated; then
    # One with the instructions for 8-bit integers and bf16, and one without.
    PAIR2SCORE_TESTED_BODY=Arm arm_test max pair2score-model kernels::flex
    arm_test cortex-a72 pair2score-model kernels::flex
else
    echo "skipped: rustup's target, a linker or QEMU is missing; scripts/setup.sh installs them"
fi

step "licences, bans, sources"
cargo_tool cargo-deny "$(cat scripts/requirements/cargo-deny.version)" --locked
cargo deny --all-features check licenses bans sources

step "versions and parts of a release"
python3 scripts/tests/release.py

step "an ONNX export in onnxruntime"
python3 scripts/peers/onnx_check.py

step "the Python package"
scripts/tests/python.sh

step "the scoring service by its description"
python3 scripts/peers/service_check.py

step "a killed sweep on Slurm"
if [ "$(id -u)" != 0 ]; then
    echo "skipped: starting Slurm needs root"
elif ! scripts/peers/slurm_local.sh installed; then
    echo "skipped: Slurm is missing; scripts/setup.sh installs it"
else
    python3 scripts/peers/killed_sweep.py slurm
fi

# The page: wasm, TypeScript, and a browser.
step "the page in a browser"
scripts/tests/web.sh
