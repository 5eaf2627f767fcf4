//! A bundle as a folder of files.

use std::path::{Path, PathBuf};

use pair2score_data::files::read_bytes;
use pair2score_model::Kernels;

use super::loader::BundleLoader;
use super::manifest::BundleError;
use crate::error::{ScorerError, read_to_string};
use crate::scorer::Scorer;

/// Folder of the bundle in a site.
pub const BUNDLE: &str = "bundle";
/// Its first file.
pub const MANIFEST: &str = "manifest.json";

/// The bundle in a folder, which may be a site or the bundle itself.
pub(crate) fn find(folder: &Path) -> Option<PathBuf> {
    let candidates = [folder.to_path_buf(), folder.join(BUNDLE)];
    candidates.into_iter().find(|folder| folder.join(MANIFEST).is_file())
}

/// Loads a bundle in f32.
pub(crate) fn load<B: Kernels>(folder: &Path, device: &B::Device) -> Result<Scorer<B>, ScorerError> {
    let in_folder = |error: BundleError| match error {
        BundleError::Manifest(problem) => ScorerError::invalid(&folder.join(MANIFEST), problem),
        BundleError::Damaged { file, problem } => {
            ScorerError::invalid(&folder.join(file), format!("{problem}; export the scorer again"))
        }
        BundleError::TooLarge(problem) => ScorerError::invalid(folder, problem),
        BundleError::Scorer(error) => error,
    };
    let manifest = read_to_string(&folder.join(MANIFEST))?;
    let mut loader = BundleLoader::<B>::new(&manifest, false, device).map_err(in_folder)?;
    let files: Vec<String> = loader.manifest().shards.iter().map(|shard| shard.file.clone()).collect();
    for file in files {
        loader.put_shard(&read_bytes(folder.join(file))?).map_err(in_folder)?;
    }
    let tokenizer = read_bytes(folder.join(&loader.manifest().tokenizer.file))?;
    loader.put_tokenizer(&tokenizer).map_err(in_folder)?;
    loader.finish().map_err(in_folder)
}
