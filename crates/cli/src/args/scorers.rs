//! Arguments of the commands that use what was trained.

use std::path::PathBuf;

use pair2score_export::{Format, Precision, Quantization};

use super::{CacheArgs, DeviceArgs, LabelledArgs, ReadingArgs, TextsArgs};
use crate::collect::CollectArgs;
use crate::device::DeviceChoice;
use crate::scoring::Shard;
use crate::service::ServiceArgs;

#[derive(Debug, clap::Args)]
pub(crate) struct EmbedArgs {
    /// Folder of a LLaMA backbone in Hugging Face layout.
    #[arg(long)]
    pub(crate) backbone: PathBuf,
    /// PEFT folder of an adapter.
    #[arg(long)]
    pub(crate) adapter: Option<PathBuf>,
    /// File of documents: .csv, .xlsx, .parquet or .jsonl.
    #[arg(long)]
    pub(crate) input: PathBuf,
    /// Safetensors file to write: `embeddings [n, d]`, ids in the metadata.
    #[arg(long)]
    pub(crate) output: PathBuf,
    /// Longest text read, in tokens.
    #[arg(long, default_value_t = 512)]
    pub(crate) max_length: usize,
    /// Decoder layers that are read, from the first; by default all, with the final norm.
    #[arg(long, value_name = "N")]
    pub(crate) layers: Option<usize>,
    /// Take the last token instead of the mean over tokens.
    #[arg(long)]
    pub(crate) last_token: bool,
    #[command(flatten)]
    pub(crate) layout: TextsArgs,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ScoreArgs {
    /// A run's checkpoint folder or an exported scorer.
    #[arg(long)]
    pub(crate) scorer: PathBuf,
    /// File of documents: .csv, .xlsx, .parquet or .jsonl.
    #[arg(long)]
    pub(crate) input: PathBuf,
    /// CSV or .parquet file to write: `id,score,grade,truncated`, of several traits `TRAIT,TRAIT_grade` for each; - for CSV on
    /// standard output.
    #[arg(long)]
    pub(crate) output: PathBuf,
    /// Write the scorer's calibrated scores and grades in place of the raw ones.
    #[arg(long)]
    pub(crate) calibrated: bool,
    /// Write the ends of the interval that nine in ten labels lie in, after the grade: `low,high`, of several traits
    /// `TRAIT_low,TRAIT_high` for each.
    #[arg(long)]
    pub(crate) intervals: bool,
    /// q8: computes with the projections in 8 bits, as a packed bundle does: faster on most processors, in a quarter of
    /// the memory, and not quite the same scores.
    #[arg(long, value_name = "KIND")]
    pub(crate) quantize: Option<Quantization>,
    /// Write CSV for spreadsheets: with a byte order mark, and an apostrophe before ids that look like formulas.
    #[arg(long)]
    pub(crate) spreadsheet: bool,
    /// Score the I-th of N parts of the input, into OUTPUT-0000I-of-0000N.
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
    /// Keep what is done where the command is stopped, and go on there; skip what is done already.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Documents read, scored and written at once.
    #[arg(long, value_name = "N", default_value_t = pair2score_scorer::WINDOW as u32, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) window: u32,
    #[command(flatten)]
    pub(crate) layout: TextsArgs,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CompareArgs {
    /// A run's checkpoint folder or an exported scorer.
    #[arg(long)]
    pub(crate) scorer: PathBuf,
    /// Text file.
    pub(crate) file_a: PathBuf,
    /// Text file.
    pub(crate) file_b: PathBuf,
    /// Text file with the prompt that both answer; needed by scorers that read prompts.
    #[arg(long, value_name = "FILE")]
    pub(crate) prompt: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EvaluateArgs {
    /// A run's checkpoint folder or an exported scorer.
    #[arg(long)]
    pub(crate) scorer: PathBuf,
    /// File of documents with labels: .csv, .xlsx, .parquet or .jsonl.
    #[arg(long)]
    pub(crate) input: PathBuf,
    /// Column of the labels; by default the trait the scorer was trained on. Of a scorer of several traits, the one to
    /// evaluate; by default all of them.
    #[arg(long = "trait", value_name = "TRAIT")]
    pub(crate) target: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Use only the documents of this fold (column `fold`).
    #[arg(long)]
    pub(crate) fold: Option<String>,
    /// Column of a second rating by somebody else, for how far two people agree and a scorer can.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) second_col: Option<String>,
    /// Refuse documents without a label, which otherwise are left out.
    #[arg(long)]
    pub(crate) require_labels: bool,
    #[command(flatten)]
    pub(crate) layout: LabelledArgs,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReportArgs {
    /// Output folders of runs, or folders above them.
    #[arg(required = true, value_name = "DIR")]
    pub(crate) folders: Vec<PathBuf>,
    /// HTML file to write; beside it the table (.md) and the plots with their numbers (.files/).
    #[arg(long)]
    pub(crate) output: PathBuf,
    /// Row that the others are compared with, as the table names it; by default the one without stage 1.
    #[arg(long, value_name = "ROW")]
    pub(crate) baseline: Option<String>,
    /// File of the documents, for lengths and groups; by default the one that the runs name.
    #[arg(long, value_name = "FILE")]
    pub(crate) documents: Option<PathBuf>,
    /// Column of groups. May be repeated; by default every column that looks like one.
    #[arg(long = "group", value_name = "COLUMN")]
    pub(crate) groups: Vec<String>,
    /// Kappa between people for a trait, like grammar=0.55. May be repeated.
    #[arg(long = "human", value_name = "TRAIT=QWK", value_parser = human)]
    pub(crate) human: Vec<(String, f64)>,
    /// Draws of the bootstrap.
    #[arg(long, default_value_t = 2000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) resamples: u32,
}

/// A trait and a kappa.
fn human(text: &str) -> Result<(String, f64), String> {
    let value =
        text.split_once('=').and_then(|(name, value)| Some((name.trim().to_owned(), value.parse().ok()?)));
    value
        .filter(|(name, kappa): &(String, f64)| !name.is_empty() && (-1.0..=1.0).contains(kappa))
        .ok_or_else(|| "expected a trait and a kappa of -1 to 1, like grammar=0.55".into())
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// A run's checkpoint folder or an exported scorer.
    #[arg(long, value_name = "DIR", required_unless_present = "backbone", conflicts_with = "backbone")]
    pub(crate) scorer: Option<PathBuf>,
    /// Folder of a LLaMA backbone in Hugging Face layout, for --format web: a site for judging, before there is a scorer.
    #[arg(long, value_name = "DIR")]
    pub(crate) backbone: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
    /// hf, sentence-transformers, onnx or web.
    #[arg(long)]
    pub(crate) format: Format,
    /// Folder to write: new, empty, or an earlier export, which is replaced.
    #[arg(long)]
    pub(crate) output: PathBuf,
    /// Let the model itself give calibrated scores, for sentence-transformers and onnx; hf and web give both.
    #[arg(long)]
    pub(crate) calibrated: bool,
    /// f32, f16 or bf16: how the backbone's weights are written; by default f32, and f16 beside packed projections.
    #[arg(long)]
    pub(crate) dtype: Option<Precision>,
    /// q8: writes the projections of a web bundle in blocks of 8-bit weights, a quarter of the size of f32.
    #[arg(long, value_name = "KIND")]
    pub(crate) quantize: Option<Quantization>,
    /// Folder of the built page for the web format; by default where scripts/web.sh puts it.
    #[arg(long, value_name = "DIR")]
    pub(crate) page: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Folder with the site [default: demo/site].
    #[arg(long, value_name = "DIR")]
    pub(crate) site: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) listen: ListenArgs,
    /// Where scorers compute: cpu, cuda, cuda:N or wgpu; by default CUDA where there is some, else the CPU.
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<DeviceChoice>,
    #[command(flatten)]
    pub(crate) collect: CollectArgs,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// Where a server listens.
#[derive(Debug, clap::Args)]
pub(crate) struct ListenArgs {
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,
    /// Address to listen on; others than this machine's own can then open the page.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub(crate) host: std::net::IpAddr,
    /// Allow a --host that other machines reach, with --collect and --scorer. The server itself does not encrypt.
    #[arg(long)]
    pub(crate) allow_remote: bool,
}
