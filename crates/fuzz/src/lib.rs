//! Fuzzing of everything that reads a file of a user.
//!
//! The one key decision: a target is a plain function over bytes ([`targets`]), so that the fuzz programs and the
//! ordinary tests run the same code. `crates/cli/tests/corpus.rs` includes that module and replays every committed
//! input; `scripts/fuzz.sh` builds the programs and runs them. See `docs/fuzzing.md`.
//!
//! The package is a workspace of its own, as it is built with a sanitizer and nothing depends on it.

pub mod targets;

use std::path::PathBuf;
use std::sync::LazyLock;

/// Tries one input with the target of that name, in a folder of this process below the temporary folder, which
/// `scripts/fuzz.sh` puts in memory.
///
/// # Panics
/// When the input breaks what the target promises; when there is no such target, or no such folder can be made.
pub fn run(target: &str, input: &[u8]) {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = std::env::temp_dir().join(format!("pair2score-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the temporary folder can be written to");
        folder
    });
    let (_, check) = targets::TARGETS.iter().find(|(name, _)| *name == target).expect("the name of a target");
    check(input, &FOLDER);
}
