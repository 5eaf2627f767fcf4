#!/usr/bin/env bash
# Builds the pages into web/dist: the wasm target and tools where they are missing, three wasm files, the pages.
# scripts/web.sh [cpu|webgpu|judgements]... compiles these wasm files only and takes the others as they are.
# Needs cargo, node 20 or newer and npm; what it installs and compiles lies in the cache, so that a second run is quick.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pair2score
target=wasm32-unknown-unknown
# Every browser with WebGPU has these vectors, and the CPU file is built for them.
flags="-C target-feature=+simd128"
say() { printf '== %s\n' "$*" >&2; }

# Where rustup cannot bring the target, Debian's compiler can build it: that compiler is then used for wasm alone.
debian_target() {
    local sysroot=$cache/wasm/sysroot
    if ! dpkg -s rustc-web cargo-web rust-web-src rust-web-llvm >/dev/null 2>&1; then
        say "installing Debian's compiler with the source of its library"
        local as=""
        [ "$(id -u)" = 0 ] || as=sudo
        $as apt-get update -qq
        $as apt-get install -y -qq --no-install-recommends rustc-web cargo-web rust-web-src rust-web-llvm lld-22 >&2
    fi
    local version
    version=$(/usr/bin/rustc --version)
    if [ "$(cat "$sysroot/version" 2>/dev/null)" != "$version" ]; then
        say "building the library of $target with $version"
        local crate=$cache/wasm/empty
        rm -rf "$crate" "$sysroot" && mkdir -p "$crate/src" "$sysroot"
        printf '[package]\nname = "empty"\nedition = "2024"\n[lib]\ncrate-type = ["cdylib"]\n[workspace]\n' >"$crate/Cargo.toml"
        : >"$crate/src/lib.rs"
        (cd "$crate" && CARGO_TARGET_DIR=$crate/target RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
            /usr/bin/cargo build --quiet -Zbuild-std=std,panic_abort --target $target --release)
        local lib=$sysroot/lib/rustlib/$target/lib
        mkdir -p "$lib"
        find "$crate/target/$target/release/deps" \( -name '*.rlib' -o -name '*.rmeta' \) ! -name '*empty*' -exec cp {} "$lib" \;
        echo "$version" >"$sysroot/version"
    fi
    export RUSTC=/usr/bin/rustc
    cargo=/usr/bin/cargo
    flags="$flags --sysroot $sysroot"
}

cargo=cargo
if [ -n "${PAIR2SCORE_DEBIAN_WASM:-}" ]; then
    debian_target
elif ! [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ]; then
    say "adding the target $target"
    rustup target add $target 2>/dev/null || debian_target
fi

wanted=$(awk '/^name = "wasm-bindgen"$/ { getline; gsub(/"/, ""); print $3 }' Cargo.lock)
bindgen=$cache/tools/bin/wasm-bindgen
if [ "$("$bindgen" --version 2>/dev/null)" != "wasm-bindgen $wanted" ]; then
    say "installing wasm-bindgen-cli $wanted"
    # Without --locked: its lock file names a version that was withdrawn.
    (unset RUSTC; cargo install wasm-bindgen-cli --version "$wanted" --no-default-features --quiet \
        --root "$cache/tools" --target-dir "$cache/tools/target")
fi

export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS=$flags
[ $# -gt 0 ] || set -- cpu webgpu judgements
for file in "$@"; do
    say "compiling wasm for $file"
    profile=wasm-$file
    CARGO_TARGET_DIR=$cache/wasm/target $cargo build --profile "$profile" --locked --target $target -p pair2score-web \
        --no-default-features --features "$file"
    "$bindgen" --target web --remove-name-section --remove-producers-section --out-dir "web/wasm/$file" \
        --out-name "pair2score_$file" "$cache/wasm/target/$target/$profile/pair2score_web.wasm"
done

say "building the pages"
cd web
[ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-audit --no-fund --ignore-scripts >&2
npm run --silent check
npm run --silent build
# With the ready scorer the page works before anything was trained: pair2score serve --site web/dist
cp -r ../export/bundle dist/bundle
