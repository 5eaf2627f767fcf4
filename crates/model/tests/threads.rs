//! Threads of parts, counted by the system.
#![cfg(target_os = "linux")]

use pair2score_model::side_by_side;

/// Threads of this process.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn threads_do_not_grow_with_the_divisions_that_came_up() {
    const THREADS: usize = 8;
    rayon::ThreadPoolBuilder::new().num_threads(THREADS).build_global().unwrap();
    let before = threads();
    for n in (2..=THREADS).chain((2..=THREADS).rev()) {
        let doubled = side_by_side((0..n).collect(), |x| 2 * x);
        assert!(doubled.into_iter().eq((0..n).map(|x| 2 * x)));
    }
    // One division at a time has at most this many threads, each pool rounded up. A pool that was dropped ends its
    // threads in its own time.
    let most = |n: usize| n * THREADS.div_ceil(n);
    let allowed = before + (2..=THREADS).map(most).max().unwrap();
    let settled = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        threads() <= allowed
    });
    assert!(settled, "{} threads, {before} before, {allowed} allowed", threads());
}
