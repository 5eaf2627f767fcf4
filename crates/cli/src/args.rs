//! The command line, as clap reads it.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use pair2score_data::Columns;
use pair2score_export::{Format, Precision, Quantization};

use crate::collect::CollectArgs;
use crate::device::DeviceChoice;
use crate::scoring::Shard;

/// Train document scorers from pairwise preferences, and run them.
#[derive(Debug, Parser)]
#[command(name = "pair2score", version, propagate_version = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train baseline, warm start and fusion on an embedded synthetic corpus and compare them.
    Demo(DemoArgs),
    /// Run both stages of a configuration.
    Run(RunArgs),
    /// Run stage 1 only: learn to rank from pairs.
    Relative(RunArgs),
    /// Run stage 2 only: learn the score.
    Absolute(RunArgs),
    /// Run traits x settings x folds, here or on a cluster, and print the table.
    Sweep(SweepArgs),
    /// Add a fold column to a CSV file.
    Folds(FoldsArgs),
    /// Make and inspect pair caches.
    #[command(subcommand)]
    Pairs(PairsCommand),
    /// Import, fit and inspect judgement logs.
    #[command(subcommand)]
    Judgements(JudgementsCommand),
    /// Write pooled embeddings of documents.
    Embed(EmbedArgs),
    /// Score documents.
    Score(ScoreArgs),
    /// Compare two documents.
    Compare(CompareArgs),
    /// Measure a scorer on labelled documents.
    Evaluate(EvaluateArgs),
    /// Make a page with table, intervals and plots from the outputs of runs.
    Report(ReportArgs),
    /// Write a scorer as files that other programs load, and check their numbers.
    Export(ExportArgs),
    /// Host an exported site on this machine, or collect judgements.
    Serve(Box<ServeArgs>),
    /// Train a small backbone by next-token prediction, new or continued.
    Pretrain(PretrainArgs),
    /// List the devices this build can use.
    Devices,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Folder for everything the demo writes.
    #[arg(long, default_value = "demo")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeviceArgs {
    /// cpu, cuda, cuda:N or wgpu; by default the configuration's, else CUDA where there is some, else the CPU.
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<DeviceChoice>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// YAML configuration.
    pub(crate) config: PathBuf,
    /// Override a key: `--set stage1_relative.training.epochs=1`. May be repeated; the last one wins.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// Go on where a run of this configuration was stopped; starts one where there is none.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Throw away a run that was stopped, and start again.
    #[arg(long, conflicts_with = "resume")]
    pub(crate) restart: bool,
    /// Check everything and print what would happen, without training.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SweepArgs {
    /// YAML plan, such as configs/sweeps/demo.yaml.
    pub(crate) plan: PathBuf,
    /// Override a key in every run, as with `run`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// What runs the tasks; by default this machine.
    #[arg(long)]
    pub(crate) engine: Option<Engine>,
    /// Tasks at the same time: here 1 by default; an engine decides by itself.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) jobs: Option<u32>,
    /// Wait for the engine, then print the table.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Only write the scripts of the engine, or of all, into a folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) emit: Option<PathBuf>,
    /// Print what would run, how much that is and how long it takes.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Run this task only; engines do.
    #[arg(long, value_name = "ID", conflicts_with_all = ["engine", "emit", "dry_run", "jobs", "wait"])]
    pub(crate) task: Option<String>,
}

/// What runs the tasks of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Engine {
    /// Processes on this machine.
    Local,
    /// Job arrays, through `sbatch`.
    Slurm,
    /// A task graph, through `hq`.
    Hyperqueue,
    /// Indexed Jobs, through `kubectl`.
    Kubernetes,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PretrainArgs {
    /// YAML configuration with a `pretrain` section.
    pub(crate) config: PathBuf,
    /// Override a key, as with `run`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("source").required(true).args(["fold_map", "assign"])))]
pub(crate) struct FoldsArgs {
    /// CSV file of documents.
    #[arg(long)]
    pub(crate) input: PathBuf,
    /// JSON file that maps each id to its fold.
    #[arg(long)]
    pub(crate) fold_map: Option<PathBuf>,
    /// Make this many folds instead, 2 to 26.
    #[arg(long, requires = "stratify", value_name = "N")]
    pub(crate) assign: Option<usize>,
    /// Column whose values every fold gets equal shares of.
    #[arg(long, value_name = "TRAIT")]
    pub(crate) stratify: Option<String>,
    /// Seed of the assignment.
    #[arg(long, default_value_t = 36)]
    pub(crate) seed: u64,
    /// CSV file to write.
    #[arg(long)]
    pub(crate) output: PathBuf,
    /// Column of the ids.
    #[arg(long, default_value = "text_id")]
    pub(crate) id_col: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PairsCommand {
    /// Make a pair cache from scored documents.
    Generate(Box<GenerateArgs>),
    /// Print counts of pair caches; exit code 1 when splits share documents.
    Stats(StatsArgs),
    /// Choose the pairs that a scorer is least sure of, for people to judge.
    Propose(Box<ProposeArgs>),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ProposeArgs {
    /// A run's checkpoint folder or an exported scorer; its stage 1 is used.
    #[arg(long)]
    pub(crate) scorer: PathBuf,
    /// CSV or JSONL file of documents.
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
    /// Share of random pairs, which keep the scale together where the scorer errs.
    #[arg(long, default_value_t = 0.1)]
    pub(crate) random_share: f64,
    /// Share of pairs shown once more, sides swapped, to measure consistency.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) repeat_share: f64,
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
    pub(crate) columns: ColumnArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JudgementsCommand {
    /// Make a pair cache for stage 1 from judgement logs.
    Import(ImportArgs),
    /// Fit utilities (Bradley-Terry with ties) and write them with their standard errors.
    Fit(FitArgs),
    /// Print reliability, agreement between judges, and an account of each judge.
    Stats(JudgementStatsArgs),
    /// Write what `serve --collect` collected as a log.
    Export(ExportJudgementsArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExportJudgementsArgs {
    /// The SQLite file; the server may be running.
    pub(crate) collection: PathBuf,
    /// JSONL file to write.
    #[arg(long)]
    pub(crate) output: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// Judgement logs, JSONL.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// CSV or JSONL file of the documents that were judged.
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
    /// Which trait, where the logs are about several.
    #[arg(long = "trait", value_name = "TRAIT")]
    pub(crate) target: Option<String>,
    /// Number of the run, part of the file name.
    #[arg(long, default_value_t = 1)]
    pub(crate) run_id: u32,
    /// Seed of the split.
    #[arg(long, default_value_t = 36)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) columns: ColumnArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// Judgement logs, JSONL.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Which trait, where the logs are about several.
    #[arg(long = "trait", value_name = "TRAIT")]
    pub(crate) target: Option<String>,
    /// Standard deviation of the prior of a utility, logits, above 0.
    #[arg(long, default_value_t = 3.0, value_name = "SD")]
    pub(crate) prior_sd: f64,
    /// Let judges count by their reliability.
    #[arg(long)]
    pub(crate) weigh_judges: bool,
    /// Seed of the divisions for split-half reliability.
    #[arg(long, default_value_t = 36)]
    pub(crate) seed: u64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FitArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// CSV file to write: `id,utility,se,n,wins,ties,losses,infit`.
    #[arg(long)]
    pub(crate) output: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct JudgementStatsArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// File of pairs whose right answers are known. May be repeated.
    #[arg(long, value_name = "FILE")]
    pub(crate) gold: Vec<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct GenerateArgs {
    /// CSV file of documents with folds and scores.
    #[arg(long, alias = "essays-csv")]
    pub(crate) essays: PathBuf,
    /// Column of the scores.
    #[arg(long = "trait", value_name = "TRAIT")]
    pub(crate) target: String,
    /// Number of the run, part of the file name.
    #[arg(long)]
    pub(crate) run_id: u32,
    /// Seed of every random choice.
    #[arg(long)]
    pub(crate) seed: u64,
    /// Folds that pairs are made from.
    #[arg(long, value_delimiter = ',', required = true)]
    pub(crate) pair_folds: Vec<String>,
    /// Fold kept for stage 2's test.
    #[arg(long)]
    pub(crate) heldout_fold: Option<String>,
    /// Pairs per document to aim for.
    #[arg(long, default_value_t = 5)]
    pub(crate) target_usage: usize,
    /// Smallest difference of scores, in score units.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) min_gap: f64,
    /// Share of each split's documents to use, above 0, at most 1.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) split_fraction: f64,
    /// Folder to write to.
    #[arg(long)]
    pub(crate) output_dir: PathBuf,
    #[command(flatten)]
    pub(crate) columns: ColumnArgs,
    #[command(flatten)]
    pub(crate) scale: ScaleArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StatsArgs {
    /// JSONL files, or folders of them.
    #[arg(required = true)]
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ScaleArgs {
    /// Lowest grade.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) scale_min: f64,
    /// Highest grade.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) scale_max: f64,
    /// Distance between grades.
    #[arg(long, default_value_t = 0.5)]
    pub(crate) scale_step: f64,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ColumnArgs {
    /// CSV column of the ids.
    #[arg(long, default_value = "text_id")]
    pub(crate) id_col: String,
    /// CSV column of the texts.
    #[arg(long, default_value = "full_text")]
    pub(crate) text_col: String,
    /// CSV column of the folds, where folds are read.
    #[arg(long, default_value = "fold")]
    pub(crate) fold_col: String,
    /// CSV column of the scores, where scores are read; by default the one named like the trait.
    #[arg(long)]
    pub(crate) label_col: Option<String>,
}

impl From<ColumnArgs> for Columns {
    fn from(args: ColumnArgs) -> Self {
        Self { id: args.id_col, text: args.text_col, fold: args.fold_col, label: args.label_col }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct EmbedArgs {
    /// Folder of a LLaMA backbone in Hugging Face layout.
    #[arg(long)]
    pub(crate) backbone: PathBuf,
    /// PEFT folder of an adapter.
    #[arg(long)]
    pub(crate) adapter: Option<PathBuf>,
    /// CSV or JSONL file of documents.
    #[arg(long)]
    pub(crate) input: PathBuf,
    /// Safetensors file to write: `embeddings [n, d]`, ids in the metadata.
    #[arg(long)]
    pub(crate) output: PathBuf,
    /// Longest text read, in tokens.
    #[arg(long, default_value_t = 512)]
    pub(crate) max_length: usize,
    /// Take the last token instead of the mean over tokens.
    #[arg(long)]
    pub(crate) last_token: bool,
    #[command(flatten)]
    pub(crate) columns: ColumnArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ScoreArgs {
    /// A run's checkpoint folder or an exported scorer.
    #[arg(long)]
    pub(crate) scorer: PathBuf,
    /// CSV, JSONL or Parquet file of documents.
    #[arg(long)]
    pub(crate) input: PathBuf,
    /// CSV or .parquet file to write: `id,score,grade,truncated`.
    #[arg(long)]
    pub(crate) output: PathBuf,
    /// Write the scorer's calibrated scores and grades in place of the raw ones.
    #[arg(long)]
    pub(crate) calibrated: bool,
    /// Score the I-th of N parts of the input, into OUTPUT-0000I-of-0000N.
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
    /// Keep what is done where the command is stopped, and go on there; skip what is done already.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Documents read, scored and written at once.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) window: u32,
    #[command(flatten)]
    pub(crate) columns: ColumnArgs,
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
    /// CSV file of documents with scores.
    #[arg(long)]
    pub(crate) input: PathBuf,
    /// Column of the scores; by default the trait the scorer was trained on.
    #[arg(long = "trait", value_name = "TRAIT")]
    pub(crate) target: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Use only the documents of this fold (column `fold`).
    #[arg(long)]
    pub(crate) fold: Option<String>,
    #[command(flatten)]
    pub(crate) columns: ColumnArgs,
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
    /// CSV file of the documents, for lengths and groups; by default the one that the runs name.
    #[arg(long, value_name = "CSV")]
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
    #[arg(long)]
    pub(crate) scorer: PathBuf,
    /// hf, sentence-transformers, onnx or web.
    #[arg(long)]
    pub(crate) format: Format,
    /// Folder to write: new, empty, or an earlier export, which is replaced.
    #[arg(long)]
    pub(crate) output: PathBuf,
    /// Let the model itself give calibrated scores, for sentence-transformers and onnx; hf and web give both.
    #[arg(long)]
    pub(crate) calibrated: bool,
    /// f32, f16 or bf16: how the backbone's weights are written.
    #[arg(long, default_value = "f32")]
    pub(crate) dtype: Precision,
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
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,
    /// Address to listen on; others than this machine's own can then open the page.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub(crate) host: std::net::IpAddr,
    #[command(flatten)]
    pub(crate) collect: CollectArgs,
}
