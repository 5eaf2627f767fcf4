//! Imports of backbones: whatever a pretrained LLaMA is stored as becomes a Hugging Face folder.
//!
//! The key decision: an import is a conversion of files, one tensor at a time, without a device and without the
//! model's code. The cost is that nothing is computed with the result; it is read back file by file instead, with the
//! readers that everything else here uses. A source is a [`Checkpoint`]; what writes does not know which kind it is.

mod error;
mod folder;
pub mod gguf;
pub mod hub;
mod source;
mod tokenizer_files;
mod write;

use std::path::{Path, PathBuf};

use pair2score_data::staging::{Kind, Staging};
use pair2score_model::LlamaConfig;
use pair2score_scorer::WeightDType;
use pair2score_scorer::names::Weight;

pub use error::BackboneError;
pub use folder::FolderModel;
pub use gguf::GgufModel;
pub use source::Source;
pub use tokenizer_files::TokenizerFiles;

/// Marks a folder as an import, so that a later one may replace it.
const IMPORT: Kind = Kind { name: "import", marker: "pair2score_import.json" };

/// A pretrained LLaMA that was found to be whole, its weights still unread.
pub trait Checkpoint {
    /// Where it lies.
    fn path(&self) -> &Path;

    /// Its shape.
    fn config(&self) -> &LlamaConfig;

    /// A weight in Hugging Face's orientation and order of rows.
    ///
    /// # Errors
    /// When the file cannot be read.
    fn values(&self, weight: Weight) -> Result<Vec<f32>, BackboneError>;

    /// Its tokenizer.
    fn tokenizer(&self) -> &TokenizerFiles;

    /// The dtype that holds its weights exactly.
    fn dtype(&self) -> WeightDType;

    /// What the weights are stored as.
    fn stored_as(&self) -> Vec<String>;

    /// What of it an import leaves out.
    fn left_aside(&self) -> Vec<String>;
}

/// What an import came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Shape of the backbone.
    pub config: LlamaConfig,
    /// What the weights were stored as.
    pub stored_as: Vec<String>,
    /// What they are now.
    pub dtype: WeightDType,
    /// What was left out.
    pub left_aside: Vec<String>,
    /// The commit of the Hub that the source was.
    pub commit: Option<String>,
}

/// Hears what is being done, how much of it is done and how much there is, in tensors or bytes.
pub type Progress<'a> = dyn FnMut(&str, u64, u64) + 'a;

/// Writes the backbone that `source` holds as a Hugging Face folder, reads it back and puts it at `output`.
///
/// # Errors
/// When the source cannot be used, a weight is no number in this dtype, a file cannot be written or read back, or the
/// output is something else than an earlier import. Nothing is left behind then.
pub fn import(
    source: &Source,
    output: &Path,
    dtype: WeightDType,
    progress: &mut Progress<'_>,
) -> Result<Report, BackboneError> {
    let staging = Staging::create(output, IMPORT)?;
    let (checkpoint, commit) = source.open(progress)?;
    let dtype = if dtype == WeightDType::Auto { checkpoint.dtype() } else { dtype };
    let report = Report {
        config: checkpoint.config().clone(),
        stored_as: checkpoint.stored_as(),
        dtype,
        left_aside: checkpoint.left_aside(),
        commit,
    };
    write::folder(&*checkpoint, &source.to_string(), &report, staging.path(), progress)?;
    write::check(staging.path(), &report)?;
    staging.finish()?;
    Ok(report)
}

/// The folder of a backbone that a configuration names by its path or by its name on the Hub, and the commit of the Hub
/// that it is. What the cache of Hugging Face's programs lacks is fetched.
///
/// # Errors
/// When nothing is there and the text names no repository, or the repository cannot be fetched.
pub fn resolve(text: &str, progress: &mut Progress<'_>) -> Result<(PathBuf, Option<String>), BackboneError> {
    match Source::find(text)? {
        Source::Folder(path) => Ok((path, None)),
        Source::File(path) => Err(BackboneError::invalid(
            &path,
            "is a file, not the folder of a backbone; make one with `pair2score backbone import`",
        )),
        Source::Hub(id, hub) => {
            let snapshot = hub.snapshot(&id, progress)?;
            Ok((snapshot.folder, Some(snapshot.commit)))
        }
    }
}
