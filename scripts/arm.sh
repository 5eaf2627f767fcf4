# A processor with Arm's instructions, emulated by QEMU, for the bodies of our kernels that other processors cannot run. Read
# by scripts/setup.sh, which makes it, and scripts/test.sh, which uses it.
arm_target=aarch64-unknown-linux-gnu

# Whether the target, the linker and the emulator are there.
arm_emulated() {
    [ -d "$(rustc --print sysroot)/lib/rustlib/$arm_target/lib" ] \
        && command -v aarch64-linux-gnu-gcc >/dev/null && command -v qemu-aarch64 >/dev/null
}

# The unit tests of a crate whose names begin so, on such a processor: arm_test PROCESSOR CRATE NAMES
arm_test() {
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -cpu $1 -L /usr/aarch64-linux-gnu" \
        cargo test -p "$2" --lib --target $arm_target --locked -- "$3"
}
