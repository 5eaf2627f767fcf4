# What the shell scripts share: they run in the repository, and what they build or install lies in the cache, so that a
# second run builds only what changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pair2score
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
export PATH=$cache/tools/bin:$PATH

# encoded_flags FLAG...: for CARGO_ENCODED_RUSTFLAGS, with flags under which what is compiled names no folder of this machine.
# The checkout's own files have relative names; with its folder among the flags, every checkout would compile everything.
encoded_flags() {
    local IFS=$'\x1f'
    set -- "$@" "--remap-path-prefix=$HOME=/home" "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
    echo "$*"
}

step() { printf '\n== %s\n' "$*"; }
say() { printf '== %s\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 2; }

# cargo_tool NAME VERSION [OPTION]...: a program from crates.io in the cache, where that version is not there yet. Hardly
# optimised: it runs for seconds, and would compile for minutes.
cargo_tool() {
    local name=$1 version=$2
    shift 2
    [ "$(cat "$cache/tools/$name.version" 2>/dev/null)" != "$version" ] || return 0
    say "building $name $version"
    # Without what is set for the product's own compilation.
    env -u RUSTC -u RUSTC_BOOTSTRAP CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=0 \
        cargo install "$name" --version "$version" --debug --force --quiet \
        --root "$cache/tools" --target-dir "$cache/tools/target" "$@"
    echo "$version" >"$cache/tools/$name.version"
}
