#!/usr/bin/env bash
# Builds the Python package: scripts/wheel.sh [FOLDER] [OPTION]... writes the wheel into the folder, by default dist/.
# Options are maturin's, which is installed into the cache: --profile dev, --features cuda.
. "$(dirname "$0")/common.sh"
folder=${1:-dist}
shift || true

python=$(python3 scripts/environment.py maturin)
[[ " $* " == *" --profile "* ]] || set -- --release "$@"
"$python" -m maturin build --manifest-path crates/python/Cargo.toml --out "$folder" --locked "$@"
