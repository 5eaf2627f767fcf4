//! Fuzzing of everything that reads a file of a user.
//!
//! The one key decision: a target is a plain function over bytes ([`targets`]), so that the fuzz programs and the
//! ordinary tests run the same code. `crates/cli/tests/corpus.rs` includes that module and replays every committed
//! input; `scripts/tests/fuzz.sh` builds the programs and runs them. See `docs/fuzzing.md`.
//!
//! The package is a workspace of its own, as it is built with a sanitizer and nothing depends on it.

pub mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind, set_hook};
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};

/// Tries one input with the target of that name, in a folder of this process below the temporary folder, which
/// `scripts/tests/fuzz.sh` puts in memory.
///
/// A panic that the program itself catches is no crash, though libFuzzer's own hook would end the process there.
///
/// # Panics
/// When the input breaks what the target promises; when there is no such target, or no such folder can be made.
pub fn run(target: &str, input: &[u8]) {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = std::env::temp_dir().join(format!("pair2score-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the temporary folder can be written to");
        folder
    });
    static LAST_PANIC: Mutex<String> = Mutex::new(String::new());
    static HOOK: LazyLock<()> = LazyLock::new(|| {
        set_hook(Box::new(|panic| {
            *LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
        }));
    });
    LazyLock::force(&HOOK);
    let (_, check) = targets::TARGETS.iter().find(|(name, _)| *name == target).expect("the name of a target");
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(input, &FOLDER))) {
        eprintln!("{}", LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner));
        // Where nobody catches it, libFuzzer's wrapper ends the process and keeps the input.
        resume_unwind(panic);
    }
}
