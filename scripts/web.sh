#!/usr/bin/env bash
# Builds the pages into web/dist: the wasm files and what is around them.
# scripts/web.sh [cpu|webgpu|judgements]... compiles these wasm files only and takes the others as they are.
# Needs cargo with the target wasm32-unknown-unknown (scripts/setup.sh pages brings it), node 20 or newer and npm.
. "$(dirname "$0")/common.sh"
. scripts/wasm_debian.sh

# Every browser with WebGPU has these vectors, and the CPU file is built for them.
flags=(-C target-feature=+simd128)
cargo=cargo
if ! wasm_target; then
    debian_wasm || fail "the target $target is missing; scripts/setup.sh pages brings it"
    export RUSTC=/usr/bin/rustc
    cargo=/usr/bin/cargo
    flags+=(--sysroot "$wasm_sysroot")
fi
# The version that the code was compiled with. Without --locked: its lock file names a version that was withdrawn.
cargo_tool wasm-bindgen-cli "$(awk '/^name = "wasm-bindgen"$/ { getline; gsub(/"/, ""); print $3 }' Cargo.lock)" \
    --no-default-features

CARGO_ENCODED_RUSTFLAGS=$(encoded_flags "${flags[@]}")
export CARGO_ENCODED_RUSTFLAGS CARGO_TARGET_DIR=$cache/wasm/target
[ $# -gt 0 ] || set -- cpu webgpu judgements
# compile FEATURE NAME: the wasm of a feature of crates/web, and NAME.js that calls it, in the folder $out.
compile() {
    say "compiling wasm for $1"
    $cargo build --profile $profile --locked --target $target -p pair2score-web --no-default-features --features "$1"
    wasm-bindgen --target web --remove-name-section --remove-producers-section --out-dir "$out" --out-name "$2" \
        "$CARGO_TARGET_DIR/$target/$profile/pair2score_web.wasm"
}
for file in "$@"; do
    # On the processor, size and speed have a profile of their own; the others share one, and what it compiled.
    profile=wasm
    [ "$file" != cpu ] || profile=wasm-cpu
    # A scorer's wasm is in the package that pages of others use too.
    out=web/scorer/wasm/$file
    [ "$file" != judgements ] || out=web/wasm/judgements
    compile "$file" "pair2score_$file"
    [ "$file" = cpu ] || continue
    # The second file of the processor is called by the same .js.
    out=$cache/wasm/relaxed
    compile cpu-relaxed pair2score_cpu
    cmp "$out/pair2score_cpu.js" web/scorer/wasm/cpu/pair2score_cpu.js
    cp "$out/pair2score_cpu_bg.wasm" web/scorer/wasm/cpu/pair2score_cpu_relaxed_bg.wasm
    # A browser refuses a file for a single instruction that it does not have, even where none of it would ever run.
    ! grep -aq relaxed-simd web/scorer/wasm/cpu/pair2score_cpu_bg.wasm || fail "the plain file uses relaxed SIMD"
done

say "building the pages"
cd web
[ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-audit --no-fund --ignore-scripts >&2
npm run --silent check
npm run --silent build
# With the ready scorer the page works before anything was trained: pair2score serve --site web/dist
cp -r ../export/bundle dist/bundle
