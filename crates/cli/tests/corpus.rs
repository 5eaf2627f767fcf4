//! The committed inputs of the fuzz targets, tried again in the ordinary build: see `docs/fuzzing.md`.
#![cfg(feature = "cpu")]

#[path = "../../fuzz/src/targets/mod.rs"]
mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use targets::TARGETS;

fn fuzz(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(folder)
}

/// Names of the entries of a folder, without endings.
fn names(folder: &str) -> BTreeSet<String> {
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    fs::read_dir(fuzz(folder)).unwrap().map(|entry| stem(entry.unwrap().path())).collect()
}

#[test]
fn every_input_holds() {
    let folder = tempfile::tempdir().unwrap();
    let mut failed = Vec::new();
    for (name, check) in TARGETS {
        for entry in fs::read_dir(fuzz("corpus").join(name)).unwrap() {
            let path = entry.unwrap().path();
            let input = fs::read(&path).unwrap();
            if catch_unwind(AssertUnwindSafe(|| check(&input, folder.path()))).is_err() {
                failed.push(path);
            }
        }
    }
    assert!(failed.is_empty(), "panics above are from {failed:#?}");
}

#[test]
fn every_target_has_its_program_and_its_inputs() {
    let targets: BTreeSet<String> = TARGETS.map(|(name, _)| name.to_owned()).into();
    assert_eq!(names("fuzz_targets"), targets);
    assert_eq!(names("corpus"), targets);
    let manifest = fs::read_to_string(fuzz("Cargo.toml")).unwrap();
    let missing: Vec<_> =
        targets.iter().filter(|name| !manifest.contains(&format!("fuzz_targets/{name}.rs"))).collect();
    assert!(missing.is_empty(), "Cargo.toml lacks {missing:?}");
}
