//! Arguments of `backbone`.

use std::path::PathBuf;

use clap::Subcommand;
use pair2score_export::Precision;

#[derive(Debug, Subcommand)]
pub(crate) enum BackboneCommand {
    /// Make a backbone folder from a GGUF file, a repository of the Hub or a Hugging Face folder.
    Import(BackboneImportArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct BackboneImportArgs {
    /// A .gguf file, organisation/name or organisation/name@revision on the Hugging Face Hub, or a folder of a LLaMA or of a reward model.
    pub(crate) source: String,
    /// Folder to write: new, empty, or an earlier import, which is replaced.
    #[arg(long)]
    pub(crate) output: PathBuf,
    /// f32, f16 or bf16: how the weights are written; by default as a folder has them, and f32 from a GGUF file.
    #[arg(long)]
    pub(crate) dtype: Option<Precision>,
}
