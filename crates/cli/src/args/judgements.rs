//! Arguments of `judgements`.

use std::path::PathBuf;

use clap::Subcommand;

use super::{DeviceArgs, FoldedArgs, KnownArgs, ScaleArgs, TextsArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum JudgementsCommand {
    /// Make a pair cache for stage 1 from judgement logs.
    Import(ImportArgs),
    /// Fit utilities (Bradley-Terry with ties) and write them with their standard errors.
    Fit(Box<FitArgs>),
    /// Print reliability, agreement between judges, and an account of each judge.
    Stats(JudgementStatsArgs),
    /// Make a scorer of judgements and of the grades of a few documents, on another scorer or on a backbone alone.
    Scorer(Box<JudgedScorerArgs>),
    /// Write what `serve --collect` collected as a log.
    Export(ExportJudgementsArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// Judgement logs: JSONL, or CSV as comparison tools write it, or tasks of Label Studio.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// File of the documents that were judged: .csv, .xlsx, .parquet or .jsonl.
    #[arg(long)]
    pub(crate) documents: PathBuf,
    /// Folder to write to.
    #[arg(long)]
    pub(crate) output_dir: PathBuf,
    /// Leave out documents with fewer judgements.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) min_per_document: usize,
    /// Fold kept for stage 2's test: judgements of its documents are left out.
    #[arg(long)]
    pub(crate) heldout_fold: Option<String>,
    /// Which trait, where the logs are about several or do not say.
    #[arg(long = "trait", value_name = "TRAIT")]
    pub(crate) target: Option<String>,
    /// Who judged, where the logs do not say.
    #[arg(long, value_name = "NAME")]
    pub(crate) judge: Option<String>,
    /// Number of the run, part of the file name.
    #[arg(long, default_value_t = 1)]
    pub(crate) run_id: u32,
    /// Seed of the split.
    #[arg(long, default_value_t = 36)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) layout: FoldedArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// Judgement logs: JSONL, or CSV as comparison tools write it, or tasks of Label Studio.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Which trait, where the logs are about several or do not say.
    #[arg(long = "trait", value_name = "TRAIT")]
    pub(crate) target: Option<String>,
    /// Who judged, where the logs do not say.
    #[arg(long, value_name = "NAME")]
    pub(crate) judge: Option<String>,
    /// Let judges count by their reliability.
    #[arg(long)]
    pub(crate) weigh_judges: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AccountArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Standard deviation of the prior of a utility, logits, above 0; "estimated" is the one that fits the judgements,
    /// for pairs that were chosen by the answers before.
    #[arg(long, default_value = "3", value_name = "SD", value_parser = prior_sd)]
    pub(crate) prior_sd: PriorSd,
    /// Seed of the divisions for split-half reliability.
    #[arg(long, default_value_t = 36)]
    pub(crate) seed: u64,
}

/// The prior of utilities.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PriorSd {
    /// A normal prior of this standard deviation, in logits.
    Given(f64),
    /// A normal prior whose standard deviation is estimated.
    Estimated,
}

fn prior_sd(text: &str) -> Result<PriorSd, String> {
    match text.parse() {
        _ if text == "estimated" => Ok(PriorSd::Estimated),
        Ok(sd) => Ok(PriorSd::Given(sd)),
        Err(_) => Err("neither a number nor \"estimated\"".to_owned()),
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct FitArgs {
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    /// CSV file to write: `id,utility,se,n,wins,ties,losses,infit`; with --anchors also `score,low,high`, and on a scale of
    /// grades `grade` and the probability of each.
    #[arg(long)]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) known: KnownArgs,
    /// File of documents: all of them have a row, judged or not. The prior is the one that fits the judgements
    /// then; --prior-sd and --seed are refused.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prior_sd", "seed"])]
    pub(crate) documents: Option<PathBuf>,
    /// Column of that table with the grades of some documents, empty for the others: from these follow the scores of all,
    /// with intervals that hold 90 %.
    #[arg(long, value_name = "COLUMN", requires = "documents")]
    pub(crate) anchors: Option<String>,
    #[command(flatten)]
    pub(crate) scale: ScaleArgs,
    #[command(flatten)]
    pub(crate) layout: TextsArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct JudgedScorerArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Folder to write: new, empty, or an earlier scorer of judgements, which is replaced.
    #[arg(long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) known: KnownArgs,
    /// File of documents, judged or not: .csv, .xlsx, .parquet or .jsonl.
    #[arg(long, value_name = "FILE")]
    pub(crate) documents: PathBuf,
    /// Column of that table with the grades of some documents, empty for the others.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) anchors: String,
    #[command(flatten)]
    pub(crate) scale: ScaleArgs,
    #[command(flatten)]
    pub(crate) layout: TextsArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct JudgementStatsArgs {
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    /// File of pairs whose right answers are known. May be repeated.
    #[arg(long, value_name = "FILE")]
    pub(crate) gold: Vec<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExportJudgementsArgs {
    /// The SQLite file; the server may be running.
    pub(crate) collection: PathBuf,
    /// File to write: JSONL, or a table where the name ends in .csv.
    #[arg(long)]
    pub(crate) output: PathBuf,
    /// CSV file to write of what judges noted about documents: `id,note,judge,at`.
    #[arg(long, value_name = "FILE")]
    pub(crate) flags: Option<PathBuf>,
}
