//! The options of `serve --collect`.

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Result, bail};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use pair2score_data::judgements::Selection;

use super::lock::beside;
use crate::args::{CacheArgs, KnownArgs, ReadingArgs, TextsArgs};
use crate::service::NamedFolder;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Collecting judgements")]
pub(crate) struct CollectArgs {
    /// Collect judgements in this SQLite file instead of hosting a site; begins one where there is none.
    #[arg(long, value_name = "FILE")]
    pub(crate) collect: Option<PathBuf>,
    /// File of documents to judge; needed once, later ones are added.
    #[arg(long, value_name = "FILE", requires = "collect")]
    pub(crate) documents: Option<PathBuf>,
    /// What is judged, as in the configuration; needed once.
    #[arg(long = "trait", value_name = "TRAIT", requires = "collect")]
    pub(crate) target: Option<String>,
    /// What judges are asked; kept until it is given again. At first: "Which text is better?"
    #[arg(long, value_name = "TEXT", requires = "collect")]
    pub(crate) question: Option<String>,
    /// Text file of what counts, which the page shows on request; kept until it is given again.
    #[arg(long, value_name = "FILE", requires = "collect")]
    pub(crate) rubric: Option<PathBuf>,
    /// Folder of the built page; by default where scripts/web.sh puts it.
    #[arg(long, value_name = "DIR", requires = "collect")]
    pub(crate) page: Option<PathBuf>,
    /// Add a judge and print their link, which is shown this once. May be repeated; known judges keep their links.
    #[arg(long = "judge", value_name = "NAME", requires = "collect")]
    pub(crate) judges: Vec<String>,
    /// Add judges called "judge 1" to "judge N" where they are missing.
    #[arg(long = "judges", value_name = "N", requires = "collect", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) n_judges: Option<u32>,
    /// Print a new link for a judge; the old one ends. May be repeated.
    #[arg(long = "new-link", value_name = "NAME", requires = "collect")]
    pub(crate) new_links: Vec<String>,
    /// Print a new link to the lead's page; the old one ends. The first start of a collection prints one.
    #[arg(long, requires = "collect")]
    pub(crate) new_lead_link: bool,
    /// How pairs are chosen; kept until it is given again. By default balanced, and adaptive where a scorer or backbone
    /// reads the documents.
    #[arg(long, value_parser = selection(), requires = "collect")]
    pub(crate) selection: Option<Selection>,
    /// Folder of a LLaMA backbone in Hugging Face layout that reads the documents, in place of a --scorer: what it tells
    /// of their texts goes into the choice of pairs.
    #[arg(long, value_name = "DIR", requires = "collect", conflicts_with = "scorers")]
    pub(crate) backbone: Option<PathBuf>,
    /// Which trait of a scorer of several counts; by default the one that is judged.
    #[arg(long, value_name = "TRAIT", requires = "collect", conflicts_with = "backbone")]
    pub(crate) scorer_trait: Option<String>,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
    /// Folder where embeddings of the documents are kept by content; by default beside the collection, its name with
    /// -embeddings.
    #[arg(long, value_name = "DIR", requires = "collect")]
    pub(crate) cache: Option<PathBuf>,
    /// Pairs per judge, or "all"; kept until it is given again. At first until every pair is judged.
    #[arg(long, value_name = "N", requires = "collect")]
    pub(crate) per_judge: Option<PerJudge>,
    /// Share of pairs that all judges get, to see how far they agree; kept until it is given again. At first 0.1.
    #[arg(long, value_name = "SHARE", requires = "collect")]
    pub(crate) shared: Option<f64>,
    /// Share of pairs shown once more, sides swapped, to measure consistency; kept until it is given again. At first 0.
    #[arg(long, value_name = "SHARE", requires = "collect")]
    pub(crate) repeat_share: Option<f64>,
    /// Only pairs that `judgements import` with the same documents and seed keeps together; a ranking of all documents
    /// needs the others too. Kept until it is given again, which `--within-splits=false` does.
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        requires = "collect"
    )]
    pub(crate) within_splits: Option<bool>,
    /// Seed of every random choice; kept until it is given again. At first 36.
    #[arg(long, value_name = "N", requires = "collect")]
    pub(crate) seed: Option<u64>,
    /// Requests per second that a judge, or the lead, may make; the default is more than keys can ask for.
    #[arg(long, default_value_t = 60.0, value_name = "N", requires = "collect")]
    pub(crate) rate: f64,
    /// Where judges reach the server, if TLS is in front: `https://judge.example.org`. Links begin with it.
    #[arg(long, value_name = "URL", requires = "collect")]
    pub(crate) public_url: Option<String>,
    #[command(flatten)]
    pub(crate) layout: TextsArgs,
}

impl CollectArgs {
    /// The scorer or backbone that tells something of the documents before anybody judges them, and where its embeddings
    /// are kept.
    ///
    /// # Errors
    /// Options that have no use together.
    pub(crate) fn known(&self, scorers: &[NamedFolder]) -> Result<KnownArgs> {
        let scorer = match scorers {
            [] => None,
            [one] => Some(one.folder.clone()),
            [..] => bail!("--collect has its documents read by one scorer; name one with --scorer"),
        };
        let kept = self.cache.clone().or_else(|| Some(beside(self.collect.as_deref()?, "-embeddings")));
        let known = KnownArgs {
            scorer,
            scorer_trait: self.scorer_trait.clone(),
            backbone: self.backbone.clone(),
            reading: self.reading.clone(),
            cache: CacheArgs { cache: kept },
        };
        if self.selection == Some(Selection::Balanced) && known.folder().is_some() {
            bail!("--selection balanced asks no scorer or backbone; leave out one of the two");
        }
        Ok(known)
    }
}

/// How many pairs a judge gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PerJudge {
    /// Every pair.
    All,
    /// At most so many, at least one.
    Most(usize),
}

impl FromStr for PerJudge {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse::<usize>()) {
            ("all", _) => Ok(Self::All),
            (_, Ok(most @ 1..)) => Ok(Self::Most(most)),
            _ => Err("give a number from 1 on, or all".into()),
        }
    }
}

impl Display for PerJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Most(most) => most.fmt(f),
        }
    }
}

const ADAPTIVE: &str = "adaptive";
const BALANCED: &str = "balanced";

/// What a way to choose pairs is called.
pub(super) fn name_of(selection: Selection) -> &'static str {
    match selection {
        Selection::Adaptive => ADAPTIVE,
        Selection::Balanced => BALANCED,
    }
}

/// The way to choose pairs that is called so.
pub(super) fn selection_called(name: &str) -> Option<Selection> {
    [Selection::Adaptive, Selection::Balanced].into_iter().find(|selection| name_of(*selection) == name)
}

/// Reads how pairs are chosen.
fn selection() -> impl TypedValueParser<Value = Selection> {
    let leaves_open =
        "What the answers so far, and what a scorer or backbone says of the documents, leave most open";
    let names = [
        PossibleValue::new(BALANCED).help("At random, every document equally often"),
        PossibleValue::new(ADAPTIVE).help(leaves_open),
    ];
    PossibleValuesParser::new(names).map(|name| selection_called(&name).expect("it is one of the names"))
}
