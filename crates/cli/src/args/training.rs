//! Arguments of the commands that train, and of what they read.

use std::path::PathBuf;

use super::{CacheArgs, DeviceArgs, TableArgs};

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// YAML configuration.
    pub(crate) config: PathBuf,
    /// Override a key: `--set stage1_relative.training.epochs=1`. May be repeated; the last one wins.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
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
    /// Refuse documents without a label: `--set data.require_labels=true`.
    #[arg(long)]
    pub(crate) require_labels: bool,
}

impl RunArgs {
    /// The overrides, with what other options say.
    pub(crate) fn sets(&self) -> Vec<String> {
        let required = self.require_labels.then(|| "data.require_labels=true".to_owned());
        self.sets.iter().cloned().chain(required).collect()
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct SweepArgs {
    /// YAML plan, such as configs/sweeps/demo.yaml.
    pub(crate) plan: PathBuf,
    /// Override a key in every run, as with `run`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// What runs the tasks; by default this machine.
    #[arg(long)]
    pub(crate) engine: Option<Engine>,
    /// Tasks at the same time: here 1 by default, of a Slurm array as many as N (%N); an engine decides by itself.
    #[arg(long, visible_alias = "throttle", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
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
    /// Save and stop when standard input ends; so a task ends with the program that started it.
    #[arg(long, hide = true, requires = "task")]
    pub(crate) stop_with_input: bool,
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
    /// File of documents: .csv, .xlsx, .parquet or .jsonl.
    #[arg(long)]
    pub(crate) input: PathBuf,
    /// JSON file that maps each id to its fold.
    #[arg(long)]
    pub(crate) fold_map: Option<PathBuf>,
    /// Make this many folds instead, 2 to 26, which need --stratify.
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
    #[command(flatten)]
    pub(crate) table: TableArgs,
}
