#!/usr/bin/env bash
# Everything that must hold before a change lands. Needs cargo; fetches crates on the first run.
# The target folder lies in a cache, so that a second run builds only what changed.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pair2score
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
# Backtraces of deliberate failures would only hide the messages under test.
export RUST_BACKTRACE=0

step() { printf '\n== %s\n' "$*"; }

step formatting
cargo fmt --all --check
cargo fmt --manifest-path crates/fuzz/Cargo.toml --check

step lints
cargo clippy --workspace --all-targets --locked -- -D warnings

step tests
cargo test --workspace --locked

step documentation
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

step "licences, bans, sources"
if ! command -v cargo-deny >/dev/null && [ ! -x "$cache/tools/bin/cargo-deny" ]; then
    cargo install cargo-deny --version "$(cat scripts/cargo-deny.version)" --root "$cache/tools" --locked \
        --target-dir "$cache/tools/target" --quiet
fi
PATH="$cache/tools/bin:$PATH" cargo deny --all-features check licenses bans sources

# Device features only add a device: it is enough that they compile.
step "device features"
cargo check -p pair2score-cli --features cuda,wgpu --locked

step "a sweep on Slurm"
scripts/slurm_test.sh

# The page: wasm, TypeScript, and a browser.
step "the page in a browser"
scripts/web_test.sh
