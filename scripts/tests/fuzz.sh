#!/usr/bin/env bash
# Fuzzes the readers of files, one target after the other: scripts/tests/fuzz.sh [SECONDS] [TARGET]..., by default all
# targets for 600 seconds each. Exits with 1 if an input crashes; it then lies where the last lines say.
# Grown corpora are kept in the cache and go on growing in the next run. Needs cargo and a C++ compiler.
. "$(dirname "$0")/../common.sh"
# Sanitizers are unstable options of the compiler; a target folder of its own keeps them out of ordinary builds.
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$cache/fuzz/target
seconds=${1:-600}
shift || true

cargo_tool cargo-fuzz "$(cat scripts/requirements/cargo-fuzz.version)" --locked
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo fuzz list --fuzz-dir crates/fuzz)
cargo fuzz build --fuzz-dir crates/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')

# Targets write their inputs to files: in memory where that is possible.
memory=/dev/shm
[ -w "$memory" ] || memory=${TMPDIR:-/tmp}
TMPDIR=$(mktemp -d -p "$memory")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

# Where memory was allocated is not worth a stack trace for every allocation.
export ASAN_OPTIONS=malloc_context_size=1
# No input is longer than 4 KiB, so one allocation of 64 MB comes from a number that a file gave.
options=(-max_total_time="$seconds" -max_len=4096 -malloc_limit_mb=64 -rss_limit_mb=1024 -timeout=10
    -print_final_stats=1)
progress='INITED|pulse|DONE|panicked|ERROR|SUMMARY|Test unit written|stat::'
failed=()
for target in "${targets[@]}"; do
    printf '\n== %s for %s s\n' "$target" "$seconds"
    corpus=$cache/fuzz/corpus/$target artifacts=$cache/fuzz/artifacts/$target log=$cache/fuzz/$target.log
    mkdir -p "$corpus" "$artifacts"
    "$CARGO_TARGET_DIR/$host/release/$target" "$corpus" "crates/fuzz/corpus/$target" \
        -dict="crates/fuzz/dictionaries/$target.dict" -artifact_prefix="$artifacts/" "${options[@]}" 2>&1 |
        tee "$log" | { grep --line-buffered -E "$progress" || true; } || failed+=("$target, see $log")
done
if [ ${#failed[@]} -gt 0 ]; then
    printf 'failed: %s\n' "${failed[@]}"
    exit 1
fi
