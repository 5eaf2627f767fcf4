//! Arguments of `backbone`.

use std::path::PathBuf;

use clap::Subcommand;
use pair2score_export::Precision;

#[derive(Debug, Subcommand)]
pub(crate) enum BackboneCommand {
    /// Make a backbone folder from a GGUF file of a LLaMA.
    Import(BackboneImportArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct BackboneImportArgs {
    /// A .gguf file.
    pub(crate) source: PathBuf,
    /// Folder to write: new, empty, or an earlier import, which is replaced.
    #[arg(long)]
    pub(crate) output: PathBuf,
    /// f32, f16 or bf16: how the weights are written; by default f32.
    #[arg(long)]
    pub(crate) dtype: Option<Precision>,
}
