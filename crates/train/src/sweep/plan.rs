//! The file of a sweep.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pair2score_data::files::read_text;
use pair2score_data::pairs::PairOptions;
use serde::Deserialize;
use serde_yaml::{Mapping, Value};

use crate::TrainError;
use crate::config::{self, ConfigError, Name};

/// What a sweep varies, over which configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepPlan {
    /// The file, for messages and commands.
    pub path: PathBuf,
    /// The configuration that every run starts from.
    pub base: PathBuf,
    /// Folder of all logs and metrics.
    pub output_dir: PathBuf,
    /// Folder of all adapters and heads.
    pub checkpoint_dir: PathBuf,
    /// The rated attributes: at least one, no duplicates.
    pub traits: Vec<String>,
    /// Whether each run trains one scorer of all traits, instead of one of each.
    pub one_scorer: bool,
    /// The positions of the rotation, at least one; fold and seed rotate together.
    pub folds: Vec<FoldPlan>,
    /// Name and what differs from the base, as `KEY=VALUE`; at least one, no duplicates.
    pub settings: Vec<(String, Vec<String>)>,
    /// Folders of pair caches that are made where they are missing.
    pub pairs: BTreeMap<PathBuf, PairOptions>,
}

/// One position of the rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldPlan {
    /// Number of the position, from 1, which names the pair files.
    pub run: u32,
    /// Folds that train, in this order; at least one.
    pub train: Vec<String>,
    /// The fold that is measured, not one that trains.
    pub test: String,
    /// Seed of every random choice.
    pub seed: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSweep {
    base: PathBuf,
    output_dir: PathBuf,
    checkpoint_dir: PathBuf,
    traits: Vec<Name>,
    /// One scorer of all traits, instead of one of each.
    #[serde(default)]
    one_scorer: bool,
    folds: Vec<RawFold>,
    settings: Mapping,
    /// Overrides of the base that every setting has.
    #[serde(default)]
    set: Mapping,
    #[serde(default)]
    pairs: BTreeMap<PathBuf, PairOptions>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFold {
    test: Name,
    seed: u64,
    train: Option<Vec<Name>>,
}

/// Folders beside those of the settings.
pub(super) const STAGE1: &str = "stage1";
const TASKS: &str = "tasks";

impl SweepPlan {
    /// Reads a plan.
    ///
    /// # Errors
    /// When the file cannot be read, or everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, TrainError> {
        Ok(Self::parse(&read_text(path)?, path)?)
    }

    /// As [`load`](Self::load), from text; `path` is only named in messages.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let invalid = |problems| ConfigError::Invalid { path: path.to_owned(), problems };
        let raw: RawSweep = serde_yaml::from_str(config::without_mark(text)).map_err(|error| {
            let what = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            invalid(vec![format!("not a sweep: {what}")])
        })?;
        let mut problems = Vec::new();
        let traits = names("traits", raw.traits, &mut problems);
        let folds = folds(raw.folds, &mut problems);
        let mut merged = |mapping| {
            config::merged(mapping).unwrap_or_else(|what| {
                problems.push(what);
                Mapping::new()
            })
        };
        let (set, all) = (merged(raw.set), merged(raw.settings));
        let settings = settings(&set, all, &mut problems);
        if !problems.is_empty() {
            return Err(invalid(problems));
        }
        Ok(Self {
            path: path.to_owned(),
            base: raw.base,
            output_dir: raw.output_dir,
            checkpoint_dir: raw.checkpoint_dir,
            traits,
            one_scorer: raw.one_scorer,
            folds,
            settings,
            pairs: raw.pairs,
        })
    }

    /// Folder of the logs of tasks and of the scripts of engines.
    pub fn logs(&self) -> PathBuf {
        self.output_dir.join(TASKS)
    }

    /// The traits of each scorer that a setting trains on a fold.
    pub fn scorers(&self) -> Vec<&[String]> {
        match self.one_scorer {
            true => vec![&self.traits],
            false => self.traits.chunks(1).collect(),
        }
    }

    /// Number of runs, one for each scorer, setting and fold.
    pub fn n_runs(&self) -> usize {
        self.scorers().len() * self.settings.len() * self.folds.len()
    }
}

/// Trimmed names that can be part of a path and of a word in a shell.
fn names(key: &str, names: Vec<Name>, problems: &mut Vec<String>) -> Vec<String> {
    let names: Vec<String> = names.into_iter().map(|name| name.0.trim().to_owned()).collect();
    if names.is_empty() {
        problems.push(format!("{key}: empty, name at least one"));
    }
    let mut seen = BTreeSet::new();
    for name in &names {
        if !is_plain(name) {
            problems.push(format!("{key}: {name:?} is not a name of letters, digits, _, - and ."));
        }
        if !seen.insert(name) {
            problems.push(format!("{key}: {name:?} occurs twice, remove one"));
        }
    }
    names
}

fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    !name.is_empty() && !name.starts_with(['.', '-']) && name.chars().all(plain)
}

fn folds(raw: Vec<RawFold>, problems: &mut Vec<String>) -> Vec<FoldPlan> {
    let (given, rest): (Vec<_>, Vec<_>) =
        raw.into_iter().map(|fold| ((fold.seed, fold.train), fold.test)).unzip();
    let tests = names("folds", rest, problems);
    let place_of_run = tests.iter().cloned().zip(given).enumerate();
    let plans = place_of_run.map(|(place, (test, (seed, train)))| {
        let train = match train {
            Some(train) => names("folds.train", train, problems),
            // The others as they follow in the rotation.
            None => tests.iter().cycle().skip(place + 1).take(tests.len() - 1).cloned().collect(),
        };
        if train.is_empty() {
            problems.push(format!("folds: nothing to train on when {test:?} is tested, give train: [A, B]"));
        }
        FoldPlan { run: place as u32 + 1, train, test, seed }
    });
    plans.collect()
}

fn settings(common: &Mapping, raw: Mapping, problems: &mut Vec<String>) -> Vec<(String, Vec<String>)> {
    if raw.is_empty() {
        problems.push("settings: empty, name at least one".into());
    }
    let mut seen = BTreeSet::new();
    let setting = |(name, overrides): (Value, Value)| {
        let name = setting_name(name, problems);
        if !seen.insert(name.clone()) {
            problems.push(format!("settings: {name:?} occurs twice, remove one"));
        }
        let mut sets = Vec::new();
        flatten("", common, &mut sets);
        match overrides {
            Value::Null => {}
            Value::Mapping(overrides) => flatten("", &overrides, &mut sets),
            _ => problems.push(format!("settings.{name}: not a mapping of keys to values")),
        }
        (name, sets)
    };
    raw.into_iter().map(setting).collect()
}

/// The name of a setting, which is text or a whole number, as those of traits and folds are.
fn setting_name(key: Value, problems: &mut Vec<String>) -> String {
    let written = serde_yaml::to_string(&key).unwrap_or_default().trim().to_owned();
    let Ok(Name(name)) = serde_yaml::from_value(key) else {
        problems.push(format!("settings: {written} is no name to YAML, write \"{written}\" in quotes"));
        return written;
    };
    let name = name.trim().to_owned();
    if !is_plain(&name) || [STAGE1, TASKS].contains(&name.as_str()) {
        problems.push(format!(
            "settings: {name:?} cannot be the name of a folder; use letters, digits, _, - and ., but not {STAGE1} or \
             {TASKS}"
        ));
    }
    name
}

/// Overrides as `--set` takes them: nested and dotted keys mean the same.
fn flatten(prefix: &str, overrides: &Mapping, sets: &mut Vec<String>) {
    for (key, value) in overrides {
        let key = format!("{prefix}{}", serde_yaml::to_string(key).unwrap_or_default().trim());
        match value {
            Value::Mapping(inner) => flatten(&format!("{key}."), inner, sets),
            // JSON is YAML in one line.
            value => sets.push(format!("{key}={}", serde_json::to_string(value).unwrap_or_default())),
        }
    }
}
