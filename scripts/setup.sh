#!/usr/bin/env bash
# Installs what the pages and the tests need beyond cargo, python3, node 20 and npm, once on a machine: scripts/setup.sh, or
# scripts/setup.sh pages for what building the pages needs alone.
# From rustup the target wasm32-unknown-unknown, or what scripts/wasm_debian.sh puts in its place, and for the tests an Arm
# target; with apt-get (Debian, as root or through sudo) Chromium, Slurm, munge, and an emulator and a linker for Arm. Only
# what is missing is installed.
. "$(dirname "$0")/common.sh"
. scripts/wasm_debian.sh
. scripts/arm.sh

packages=()
case "$*" in
    pages) ;;
    "")
        command -v chromium >/dev/null || packages+=(chromium)
        command -v slurmctld >/dev/null || packages+=(slurm-wlm)
        command -v munged >/dev/null || packages+=(munge)
        python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)
        if rustup target add "$arm_target" 2>/dev/null; then
            command -v qemu-aarch64 >/dev/null || packages+=(qemu-user)
            command -v aarch64-linux-gnu-gcc >/dev/null || packages+=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross)
        fi
        ;;
    *) fail "scripts/setup.sh takes nothing, or pages" ;;
esac
wasm_target || rustup target add $target 2>/dev/null || true
if ! wasm_target; then
    say "rustup does not bring $target: Debian's compiler takes its place"
    debian_wasm || packages+=("${debian_wasm_packages[@]}")
fi
if [ ${#packages[@]} -gt 0 ]; then
    command -v apt-get >/dev/null || fail "there is no apt-get here; install ${packages[*]} by hand"
    say "installing ${packages[*]}"
    as=""
    [ "$(id -u)" = 0 ] || as=sudo
    $as apt-get update -qq
    $as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2
fi
wasm_target || debian_wasm_library
say "all is there"
