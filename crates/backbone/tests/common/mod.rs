//! The fixtures, and imports into temporary folders.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::fs;
use std::path::{Path, PathBuf};

use pair2score_backbone::{BackboneError, Report, Source, import};
use pair2score_scorer::WeightDType;

/// A file that `scripts/peers/gguf_check.py fixtures` wrote.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A tiny backbone with a language-model head in Hugging Face layout.
pub fn oracle() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scorer/tests/fixtures/oracle/backbone")
}

/// A temporary folder for sources and imports.
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// A copy of the flat folder of the oracle.
    pub fn oracle(&self, name: &str) -> PathBuf {
        for entry in fs::read_dir(oracle()).unwrap() {
            let entry = entry.unwrap();
            let file = entry.file_name().into_string().unwrap();
            self.write(&format!("{name}/{file}"), fs::read(entry.path()).unwrap());
        }
        self.path(name)
    }

    /// Imports into `out`.
    pub fn import(&self, source: &Path, dtype: WeightDType) -> Result<Report, BackboneError> {
        let source = Source::find(source.to_str().unwrap())?;
        import(&source, &self.path("out"), dtype, &mut |_, _, _| {})
    }

    /// The message of an import that must fail and leave nothing behind.
    pub fn refused(&self, source: &Path) -> String {
        self.refused_in(source, WeightDType::Auto)
    }

    /// As [`refused`](Self::refused), in a dtype.
    pub fn refused_in(&self, source: &Path, dtype: WeightDType) -> String {
        let before = self.names();
        let error = self.import(source, dtype).expect_err("the import should have been refused");
        assert_eq!(self.names(), before, "something is left behind");
        let message = error.to_string();
        assert!(!message.contains('\n') && !message.ends_with('.'), "{message}");
        message
    }

    /// What the folder holds.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}
