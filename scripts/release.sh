#!/usr/bin/env bash
# Makes what a release holds, and uses each piece as a stranger would: scripts/release.sh [FOLDER], by default
# dist/release. The folder must be new or empty, and the checkout a commit without changes. The version is that of
# Cargo.toml. Needs what scripts/setup.sh brings, and a network for npm, PyPI and crates.
. "$(dirname "$0")/common.sh"
folder=$(realpath -m "${1:-dist/release}")
# The oldest glibc on which program and wheel run: that of Debian 10, RHEL 8 and Ubuntu 18.10.
glibc=2.28
target=$(uname -m)-unknown-linux-gnu

[ "$(uname -s)" = Linux ] || fail "a release is made on Linux"
changes=$(git status --porcelain)
[ -z "$changes" ] || fail "a release is made from a commit; commit or remove what differs from it:"$'\n'"$changes"
mkdir -p "$folder"
[ -z "$(ls -A "$folder")" ] || fail "$folder is not empty; remove it or name another folder"

tools=$(dirname "$(python3 scripts/environment.py release)")
export PATH=$tools:$PATH
version=$(cargo pkgid --locked -p pair2score-cli)
version=${version##*[@#]}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

step "the pages"
scripts/web.sh

step "parts and their licences"
parts=$folder/pair2score-$version.cdx.json
python3 scripts/release/parts.py "$parts"
# Every piece carries the texts.
third=LICENSE-third-party.txt
python3 scripts/release/licences.py "$parts" "$scratch/$third"
for place in crates/python web/scorer web/dist; do cp "$scratch/$third" "$place"; done
trap 'rm -rf "$scratch" crates/python/$third web/scorer/$third' EXIT

step "the site, and the package for other pages"
(cd web/scorer && npm pack --silent --pack-destination "$folder")
python3 -m zipfile -c "$folder/pair2score-$version-site.zip" web/dist/*

step "the program for glibc $glibc"
CARGO_ENCODED_RUSTFLAGS=$(encoded_flags)
export CARGO_ENCODED_RUSTFLAGS PAIR2SCORE_RELEASE=1
# With the Python package, whose dependencies turn on more of theirs: then both are made of the same crates.
PYO3_BUILD_EXTENSION_MODULE=1 cargo zigbuild --release --locked -p pair2score-cli -p pair2score-python --target "$target.$glibc"
name=pair2score-$version-linux-$(uname -m)
mkdir "$scratch/$name"
cp "$CARGO_TARGET_DIR/$target/release/pair2score" LICENSE "$scratch/$third" docs/CHANGELOG.md "$scratch/$name"
tar -C "$scratch" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" \
    -czf "$folder/$name.tar.gz" "$name"

step "the Python package"
# maturin's cargo: it compiles through cargo-zigbuild as above, so that crates with the same features are compiled once.
# `maturin --zig` would compile everything again, with a linker of its own.
cargo=$(command -v cargo)
cat >"$scratch/cargo" <<END
#!/usr/bin/env bash
export CARGO=$cargo
[ "\$1" = rustc ] || exec "\$CARGO" "\$@"
exec cargo-zigbuild "\${@/%$target/$target.$glibc}"
END
chmod +x "$scratch/cargo"
CARGO=$scratch/cargo scripts/wheel.sh "$folder" --compatibility "manylinux_${glibc/./_}" --target "$target"

step "checksums"
(cd "$folder" && sha256sum -- *) >"$scratch/SHA256SUMS"
mv "$scratch/SHA256SUMS" "$folder"

step "used as a stranger would"
python3 scripts/release/check.py "$folder"
ls -l "$folder"
