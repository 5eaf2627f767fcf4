//! The command line, as clap reads it.

mod backbone;
mod judgements;
mod pairs;
#[cfg(test)]
mod reference_tests;
mod scorers;
mod training;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use pair2score_data::{Columns, Encoding, Interval, Layout, Mark, ScoreScale, TableOptions};
use pair2score_scorer::EmbeddingCache;

pub(crate) use backbone::{BackboneCommand, BackboneImportArgs};
pub(crate) use judgements::{
    AccountArgs, FitArgs, ImportArgs, JudgedScorerArgs, JudgementStatsArgs, JudgementsCommand, LogArgs,
    PriorSd,
};
pub(crate) use pairs::{GenerateArgs, PairsCommand, PreferencesArgs, ProposeArgs, StatsArgs};
pub(crate) use scorers::{
    CompareArgs, EmbedArgs, EvaluateArgs, ExportArgs, ListenArgs, ReportArgs, ScoreArgs, ServeArgs,
};
pub(crate) use training::{Engine, FoldsArgs, PretrainArgs, RunArgs, SweepArgs};

use crate::device::DeviceChoice;

/// Train document scorers from pairwise preferences, and run them.
#[derive(Debug, Parser)]
#[command(name = "pair2score", version, propagate_version = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show on an embedded synthetic corpus what judgements buy: few labels, the same with judgements, all labels.
    Demo(DemoArgs),
    /// Run both stages of a configuration.
    Run(RunArgs),
    /// Run stage 1 only: learn to rank from pairs.
    Relative(RunArgs),
    /// Run stage 2 only: learn the score.
    Absolute(RunArgs),
    /// Run traits x settings x folds, here or on a cluster, and print the table.
    Sweep(SweepArgs),
    /// Add a fold column to a table of documents.
    Folds(FoldsArgs),
    /// Make and inspect pair caches.
    #[command(subcommand)]
    Pairs(PairsCommand),
    /// Import, fit and inspect judgement logs.
    #[command(subcommand)]
    Judgements(JudgementsCommand),
    /// Bring pretrained backbones into the form that is read here.
    #[command(subcommand)]
    Backbone(BackboneCommand),
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
    /// Host an exported site on this machine, collect judgements, or score what programs send.
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
    /// Then host the scoring page with the scorer of labels and judgements, for this machine, until Ctrl-C.
    #[arg(long)]
    pub(crate) serve: bool,
    /// Port of the page; 0 takes a free one.
    #[arg(long, default_value_t = 8080, requires = "serve")]
    pub(crate) port: u16,
    /// Train again what an earlier demo has finished in the folder, which is kept otherwise.
    #[arg(long)]
    pub(crate) restart: bool,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeviceArgs {
    /// cpu, cuda, cuda:N or wgpu; by default that of the configuration, where there is one, else CUDA where there is
    /// some, else the CPU.
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<DeviceChoice>,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CacheArgs {
    /// Folder where embeddings are kept by content, so that none is computed twice; any number of commands may share it.
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
}

impl CacheArgs {
    /// The cache that was asked for.
    pub(crate) fn open(&self) -> Option<EmbeddingCache> {
        self.cache.as_ref().map(EmbeddingCache::new)
    }

    /// The overrides of a configuration that say the same, after those that were given.
    pub(crate) fn sets(&self, sets: &[String]) -> Vec<String> {
        let cache = self.cache.as_ref().map(|folder| {
            // A string in JSON is one in YAML.
            format!("paths.embedding_dir={}", serde_json::Value::from(folder.to_string_lossy()))
        });
        sets.iter().cloned().chain(cache).collect()
    }
}

/// How a backbone is read that a command takes in place of a scorer; both arguments need `--backbone`.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ReadingArgs {
    /// Longest text read, in tokens, by default 512; a scorer has its own.
    #[arg(long, value_name = "N", requires = "backbone")]
    max_length: Option<usize>,
    /// Decoder layers that are read, from the first; a scorer has its own, and a backbone is read whole by default.
    #[arg(long, value_name = "N", requires = "backbone")]
    pub(crate) layers: Option<usize>,
}

impl ReadingArgs {
    /// Longest text read, in tokens.
    pub(crate) fn max_length(&self) -> usize {
        self.max_length.unwrap_or(512)
    }

    /// Refuses both arguments beside a scorer. clap does not: it drops what an argument requires where that conflicts with
    /// one that was given.
    ///
    /// # Errors
    /// Names the argument.
    pub(crate) fn check(&self, scorer: Option<&Path>) -> Result<()> {
        let given = [("--max-length", self.max_length.is_some()), ("--layers", self.layers.is_some())];
        match (scorer, given.into_iter().find(|(_, is_given)| *is_given)) {
            (Some(folder), Some((name, _))) => {
                bail!(
                    "{name}: {} reads texts as it was trained; leave it out, or give --backbone",
                    folder.display()
                )
            }
            _ => Ok(()),
        }
    }
}

/// Where comes from what is known of documents before anybody judges them.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct KnownArgs {
    /// A run's checkpoint folder or an exported scorer: what it says of the documents and their embeddings tell about
    /// documents, judged or not.
    #[arg(long, value_name = "DIR", conflicts_with = "backbone")]
    pub(crate) scorer: Option<PathBuf>,
    /// Which trait of a scorer of several counts; by default the one that is judged.
    #[arg(long, value_name = "TRAIT", requires = "scorer")]
    pub(crate) scorer_trait: Option<String>,
    /// Folder of a LLaMA backbone in Hugging Face layout: the embeddings alone do.
    #[arg(long, value_name = "DIR")]
    pub(crate) backbone: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
}

impl KnownArgs {
    /// The folder that is read, where one is.
    pub(crate) fn folder(&self) -> Option<&PathBuf> {
        self.scorer.as_ref().or(self.backbone.as_ref())
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ScaleArgs {
    /// Lowest label; by default 1.
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) scale_min: Option<f64>,
    /// Highest label; by default 5.
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) scale_max: Option<f64>,
    /// Distance between grades; by default 0.5, unless both ends are given: then labels are any numbers between them.
    #[arg(long)]
    pub(crate) scale_step: Option<f64>,
    /// auto: labels are any numbers.
    #[arg(long, value_name = "KIND", value_parser = ["auto"], conflicts_with_all = ["scale_min", "scale_max", "scale_step"])]
    pub(crate) scale: Option<String>,
}

impl ScaleArgs {
    /// The scale that is meant, as a configuration would mean it.
    pub(crate) fn scale(&self) -> ScoreScale {
        let Self { scale_min, scale_max, scale_step, scale } = self;
        let (min, max) = (scale_min.unwrap_or(1.0), scale_max.unwrap_or(5.0));
        let observed = scale.is_some();
        match scale_step {
            None if observed || (scale_min.is_some() && scale_max.is_some()) => {
                ScoreScale::Continuous(Interval { min, max, observed })
            }
            step => ScoreScale::graded(min, max, step.unwrap_or(0.5)),
        }
    }
}

/// Where ids and texts are in a file.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct TextsArgs {
    /// Column of the ids, or their key in JSONL, where `id` stands in for the default.
    #[arg(long, default_value = "text_id")]
    pub(crate) id_col: String,
    /// Column of the texts, or their key in JSONL, where `text` stands in for the default.
    #[arg(long, default_value = "full_text")]
    pub(crate) text_col: String,
    /// Column of the prompts that the texts answer, or their key in JSONL; needed by scorers that read prompts.
    #[arg(long)]
    pub(crate) prompt_col: Option<String>,
    #[command(flatten)]
    pub(crate) table: TableArgs,
}

impl From<TextsArgs> for Layout {
    fn from(args: TextsArgs) -> Self {
        let columns =
            Columns { id: args.id_col, text: args.text_col, prompt: args.prompt_col, ..Columns::default() };
        Self { columns, table: args.table.into() }
    }
}

/// Where documents with folds are in a file.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct FoldedArgs {
    #[command(flatten)]
    pub(crate) texts: TextsArgs,
    /// Column of the folds, where folds are read.
    #[arg(long, default_value = "fold")]
    pub(crate) fold_col: String,
}

impl From<FoldedArgs> for Layout {
    fn from(args: FoldedArgs) -> Self {
        let mut layout = Self::from(args.texts);
        layout.columns.fold = args.fold_col;
        layout
    }
}

/// Where documents with folds and labels are in a file.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LabelledArgs {
    #[command(flatten)]
    pub(crate) folded: FoldedArgs,
    /// Column of the labels; by default the one named like the trait.
    #[arg(long)]
    pub(crate) label_col: Option<String>,
}

impl From<LabelledArgs> for Layout {
    fn from(args: LabelledArgs) -> Self {
        let mut layout = Self::from(args.folded);
        layout.columns.label = args.label_col;
        layout
    }
}

/// How a table is written.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct TableArgs {
    /// What separates fields: one character, or "tab"; by default what the header shows, of , ; | and tab.
    #[arg(long, value_name = "CHARACTER")]
    pub(crate) delimiter: Option<Mark>,
    /// utf-8, utf-16, windows-1252 or latin-1; by default utf-8. A byte order mark in the file is followed anyway.
    #[arg(long, value_name = "NAME")]
    pub(crate) encoding: Option<Encoding>,
    /// Character before quotes inside fields, where they are not doubled: mostly a backslash.
    #[arg(long, value_name = "CHARACTER")]
    pub(crate) escape: Option<Mark>,
}

impl From<TableArgs> for TableOptions {
    fn from(args: TableArgs) -> Self {
        Self { delimiter: args.delimiter, encoding: args.encoding, escape: args.escape }
    }
}
