//! Arguments of `pairs`.

use std::path::PathBuf;

use clap::Subcommand;
use pair2score_data::pairs::{MinGap, PairOptions};

use super::{DeviceArgs, FoldedArgs, KnownArgs, LabelledArgs, ScaleArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum PairsCommand {
    /// Make a pair cache from scored documents.
    Generate(Box<GenerateArgs>),
    /// Make documents and pairs of preference data: prompt, chosen and rejected.
    Import(PreferencesArgs),
    /// Print counts of pair caches; exit code 1 when splits share documents.
    Stats(StatsArgs),
    /// Choose the pairs that a scorer is least sure of, for people to judge.
    Propose(Box<ProposeArgs>),
}

#[derive(Debug, clap::Args)]
pub(crate) struct GenerateArgs {
    /// File of documents with folds and scores: .csv, .xlsx, .parquet or .jsonl.
    #[arg(long, alias = "essays-csv")]
    pub(crate) essays: PathBuf,
    /// Column of the scores. May be repeated: one cache for each.
    #[arg(long = "trait", value_name = "TRAIT", required = true)]
    pub(crate) targets: Vec<String>,
    /// Number of the run, part of the file name.
    #[arg(long)]
    pub(crate) run_id: u32,
    /// Seed of every random choice.
    #[arg(long)]
    pub(crate) seed: u64,
    /// Folds that pairs are made from, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    pub(crate) pair_folds: Vec<String>,
    /// Fold kept for stage 2's test.
    #[arg(long)]
    pub(crate) heldout_fold: Option<String>,
    /// Pairs per document to aim for.
    #[arg(long, default_value_t = PairOptions::default().target_usage)]
    pub(crate) target_usage: usize,
    /// Smallest difference of scores, in score units, or like 0.5sd as a share of their standard deviation.
    #[arg(long, default_value_t = PairOptions::default().min_gap)]
    pub(crate) min_gap: MinGap,
    /// Share of each split's documents to use, above 0, at most 1.
    #[arg(long, default_value_t = PairOptions::default().split_fraction)]
    pub(crate) split_fraction: f64,
    /// Makes groups of N documents, the same for all traits that are named together, and pairs within groups only, so that
    /// batches which share documents read few. Each group spans the scores.
    #[arg(long, value_name = "N")]
    pub(crate) group_size: Option<usize>,
    /// Folder to write to.
    #[arg(long)]
    pub(crate) output_dir: PathBuf,
    /// Refuse documents without a label, which otherwise are in no pair.
    #[arg(long)]
    pub(crate) require_labels: bool,
    #[command(flatten)]
    pub(crate) layout: LabelledArgs,
    #[command(flatten)]
    pub(crate) scale: ScaleArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PreferencesArgs {
    /// File of preferences with `chosen`, `rejected` and maybe `prompt`: .jsonl with texts or lists of messages, or .parquet,
    /// .csv or .xlsx with texts.
    pub(crate) file: PathBuf,
    /// Folder to write `documents.csv` and `pairs.jsonl` to.
    #[arg(long)]
    pub(crate) output_dir: PathBuf,
    /// What the preferences are about: the trait of the pairs, and a column of labels that is still empty.
    #[arg(long = "trait", value_name = "TRAIT", default_value = "preference")]
    pub(crate) target: String,
    /// Seed of the division of prompts into training, validation and test.
    #[arg(long, default_value_t = 36)]
    pub(crate) seed: u64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StatsArgs {
    /// JSONL files, or folders of them.
    #[arg(required = true)]
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ProposeArgs {
    #[command(flatten)]
    pub(crate) known: KnownArgs,
    /// File of documents: .csv, .xlsx, .parquet or .jsonl.
    #[arg(long)]
    pub(crate) documents: PathBuf,
    /// Number of pairs.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) n: u32,
    /// JSONL file to write: `{"a", "b", "shown_left"}` per line.
    #[arg(long)]
    pub(crate) output: PathBuf,
    /// Seed of every random choice.
    #[arg(long, default_value_t = 36)]
    pub(crate) seed: u64,
    /// Share of random pairs, which keep the scale together where what is known errs.
    #[arg(long, default_value_t = 0.1)]
    pub(crate) random_share: f64,
    /// Share of pairs shown once more, sides swapped, to measure consistency.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) repeat_share: f64,
    /// Judgement log of what was judged so far: what its answers leave open is proposed, and none of its pairs again. May
    /// be repeated.
    #[arg(long, value_name = "FILE")]
    pub(crate) judgements: Vec<PathBuf>,
    /// Which trait, where those logs or the scorer are about several.
    #[arg(long = "trait", value_name = "TRAIT")]
    pub(crate) target: Option<String>,
    /// Judgement logs or lists whose pairs are not proposed again. May be repeated.
    #[arg(long, value_name = "FILE")]
    pub(crate) without: Vec<PathBuf>,
    /// Propose no documents of this fold.
    #[arg(long)]
    pub(crate) heldout_fold: Option<String>,
    /// Only pairs that `judgements import` with the same documents, seed and held-out fold keeps together.
    #[arg(long)]
    pub(crate) within_splits: bool,
    #[command(flatten)]
    pub(crate) layout: FoldedArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}
