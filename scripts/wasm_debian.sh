# Debian's compiler for wasm alone, for hosts where rustup cannot bring the target wasm32-unknown-unknown: a mirror of
# toolchains without it, or none that can be reached. Debian packages the source of the standard library, and cargo
# builds it for the target into a sysroot in the cache. Read by scripts/setup.sh, which makes it, and scripts/web.sh,
# which uses it; both have read scripts/common.sh. PAIR2SCORE_DEBIAN_WASM=1 takes it where it is not needed.
target=wasm32-unknown-unknown
wasm_sysroot=$cache/wasm/sysroot
debian_wasm_packages=(rustc-web cargo-web rust-web-src rust-web-llvm lld-22)

# Whether the compiler that is there has the target.
wasm_target() {
    [ -z "${PAIR2SCORE_DEBIAN_WASM:-}" ] && [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ]
}

# Whether Debian's compiler and the library that it built are there.
debian_wasm() {
    [ -x /usr/bin/rustc ] && [ "$(cat "$wasm_sysroot/version" 2>/dev/null)" = "$(/usr/bin/rustc --version)" ]
}

# Builds the standard library where that is not done yet.
debian_wasm_library() {
    ! debian_wasm || return 0
    local version crate=$cache/wasm/empty lib=$wasm_sysroot/lib/rustlib/$target/lib
    version=$(/usr/bin/rustc --version)
    say "building the library of $target with $version"
    rm -rf "$crate" "$wasm_sysroot"
    mkdir -p "$crate/src" "$lib"
    printf '[package]\nname = "empty"\nedition = "2024"\n[lib]\ncrate-type = ["cdylib"]\n[workspace]\n' >"$crate/Cargo.toml"
    : >"$crate/src/lib.rs"
    # The standard library can only be built with unstable options.
    (cd "$crate" && CARGO_TARGET_DIR=$crate/target RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
        /usr/bin/cargo build --quiet -Zbuild-std=std,panic_abort --target $target --release)
    find "$crate/target/$target/release/deps" \( -name '*.rlib' -o -name '*.rmeta' \) ! -name '*empty*' \
        -exec cp {} "$lib" \;
    echo "$version" >"$wasm_sysroot/version"
}
