//! Panics of libraries that are an answer: the library could not do what it was asked.
//!
//! The hook that prints panics belongs to the process, and other threads may panic meanwhile. So it is replaced once, by
//! one that keeps silent on threads that say so, and is never put back.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static SILENT: Cell<bool> = const { Cell::new(false) };
}

/// What `work` gives; `None` where it panics, of which nothing is printed. Where a panic ends the program, as on a page,
/// it is printed and does so.
pub fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    if cfg!(panic = "abort") {
        return Some(work());
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = take_hook();
        set_hook(Box::new(move |panic| {
            if !SILENT.try_with(Cell::get).unwrap_or(false) {
                print(panic);
            }
        }));
    });
    let before = SILENT.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    SILENT.set(before);
    result.ok()
}
