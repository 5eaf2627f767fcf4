//! How memory goes back to the system.

/// Keeps freed memory in the process.
///
/// A training step allocates and frees gigabytes of tensors. glibc gives large blocks back to the kernel at once,
/// which has to clear every page again at the next use: a quarter of the time of a step on a CPU. Peak use stays the
/// same. Elsewhere than on glibc nothing is changed.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "glibc has no other interface for this")]
    // SAFETY: `mallopt` is called before any other thread starts and only sets parameters of the allocator; with
    // these values it cannot fail to allocate what it could before.
    unsafe {
        // No block is mapped on its own, and the heap's end is never given back.
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
        libc::mallopt(libc::M_TOP_PAD, 64 << 20);
        // One heap for all threads: those of a further one are too small for large blocks.
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}
