//! A run as its output folder tells it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pair2score_data::files::read_text;
use pair2score_data::{Columns, DataError, ScoreScale, Table, TableOptions};
use pair2score_train::config::{self, Head, Settings, Transfer};
use pair2score_train::metrics::{RegressionMetrics, regression};
use pair2score_train::sweep::{SETTING, STAGE1_EPOCHS, STAGE1_PAIRS};
use serde_json::Value;

use crate::ReportError;

/// What makes a folder the outputs of a run.
const PREDICTIONS: &str = "test_predictions.csv";
const INFO: &str = "absolute_metrics_info.txt";

/// A document of the test fold.
#[derive(Debug, Clone)]
pub(crate) struct Prediction {
    pub(crate) id: String,
    pub(crate) label: f64,
    pub(crate) score: f64,
    /// Calibrated score and grade.
    pub(crate) calibrated: Option<[f64; 2]>,
}

/// A training epoch with its evaluation.
#[derive(Debug, Clone)]
pub(crate) struct Epoch {
    pub(crate) stage: String,
    pub(crate) epoch: usize,
    pub(crate) train_loss: f64,
    /// Validation kappa of stage 2, pair accuracy of stage 1.
    pub(crate) metric: Option<f64>,
}

/// How a run was set up, without what differs between folds and traits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Setup {
    /// Place in the table by kind of transfer.
    pub(crate) rank: usize,
    /// Kind of transfer, or what a run that is not ours calls itself.
    pub(crate) transfer: String,
    /// Everything else that could tell two setups apart.
    pub(crate) keys: BTreeMap<String, String>,
}

/// The outputs of one run.
#[derive(Debug)]
pub(crate) struct Run {
    /// As the user named it, or found below that.
    pub(crate) folder: PathBuf,
    pub(crate) target: String,
    pub(crate) fold: String,
    pub(crate) setup: Setup,
    pub(crate) scale: ScoreScale,
    /// CSV of the documents and the names of its columns.
    pub(crate) documents: Option<(PathBuf, Columns)>,
    pub(crate) predictions: Vec<Prediction>,
    pub(crate) epochs: Vec<Epoch>,
    /// Of raw scores.
    pub(crate) plain: RegressionMetrics,
    /// Of calibrated scores, and kappa of the grades by thresholds.
    pub(crate) calibrated: Option<(RegressionMetrics, Option<f64>)>,
}

/// Folders of runs below these, sorted.
///
/// # Errors
/// A folder that cannot be read or holds no run.
pub(crate) fn find(folders: &[PathBuf]) -> Result<Vec<PathBuf>, ReportError> {
    let mut found = Vec::new();
    for folder in folders {
        let before = found.len();
        walk(folder, &mut found)?;
        if found.len() == before {
            return Err(file(
                folder,
                format!("holds no outputs of a finished run (no {PREDICTIONS})"),
                "name output folders, or a folder above them",
            ));
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), ReportError> {
    if folder.join(PREDICTIONS).is_file() {
        found.push(folder.to_path_buf());
    }
    let io = |source| DataError::Io {
        path: folder.into(),
        action: "read",
        remedy: "check that the folder exists and may be read",
        source,
    };
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), found)?;
        }
    }
    Ok(())
}

pub(crate) fn file(path: &Path, what: impl Into<String>, remedy: &str) -> ReportError {
    DataError::File { path: path.into(), what: what.into(), remedy: remedy.into() }.into()
}

impl Run {
    /// Reads a run's folder. One without a configuration, written by another program, says in its info file what it
    /// is: `trait`, `transfer` and `test_fold`.
    ///
    /// # Errors
    /// When a file is missing or damaged.
    pub(crate) fn read(folder: &Path) -> Result<Self, ReportError> {
        let predictions = read_predictions(&folder.join(PREDICTIONS))?;
        let settings = newest_config(folder).map(|path| config::load(&path, &[])).transpose()?;
        let (target, fold, setup, scale, documents) = match settings {
            Some(settings) => {
                let documents = (settings.paths.essays_csv.to_path_buf(), settings.data.columns.clone());
                let setup = Setup::of(&settings);
                (
                    settings.pipeline.target.to_string(),
                    settings.pipeline.test_fold.to_string(),
                    setup,
                    settings.scale,
                    Some(documents),
                )
            }
            None => {
                let (target, fold, setup) = foreign(&folder.join(INFO))?;
                (target, fold, setup, ScoreScale::default(), None)
            }
        };
        let column = |part: fn(&Prediction) -> f64| predictions.iter().map(part).collect::<Vec<_>>();
        let labels = column(|p| p.label);
        let plain = regression(&labels, &column(|p| p.score), &scale)?;
        let part =
            |side: usize| predictions.iter().map(|p| Some(p.calibrated?[side])).collect::<Option<Vec<_>>>();
        let calibrated = match (part(0), part(1)) {
            (Some(scores), Some(grades)) => Some((
                regression(&labels, &scores, &scale)?,
                regression(&labels, &grades, &scale)?.qwk_nearest,
            )),
            _ => None,
        };
        let epochs = read_epochs(&folder.join("metrics.jsonl"))?;
        let folder = folder.to_path_buf();
        Ok(Self { folder, target, fold, setup, scale, documents, predictions, epochs, plain, calibrated })
    }
}

/// The resolved configuration of the newest run; the stamps in the names sort.
fn newest_config(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_config = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("run_") && name.ends_with("_config.yaml")
    };
    paths.filter(is_config).max()
}

/// Keys on which results depend and which do not tell setups apart: they differ between folds and traits, or the
/// transfer already says them.
const SHARED: [&str; 12] = [
    "data.",
    "pipeline.trait",
    "pipeline.train_folds",
    "pipeline.test_fold",
    "pipeline.seed",
    "stage1_relative.enabled",
    "stage2_absolute.mode",
    "stage2_absolute.embedding_fusion.",
    "stage2_absolute.calibration",
    "stage2_absolute.lora.reuse_relative_adapter",
    "stage2_absolute.lora.stack_new_adapter",
    "stage2_absolute.lora.train_reused_adapter",
];

/// The folder of a stage 1 that other runs share.
const FROM: &str = "stage1_relative.from";

/// The key of the pairs' folder, and of stage 1's epochs.
pub(crate) const PAIRS: &str = "pairs";
pub(crate) const EPOCHS: &str = "stage1_relative.training.epochs";

impl Setup {
    fn of(settings: &Settings) -> Self {
        let transfer = settings.absolute.transfer();
        let rank = match transfer {
            Transfer::HeadOnly => 1,
            Transfer::Scratch => 2,
            Transfer::WarmStart { train_adapter: true } => 3,
            Transfer::WarmStart { .. } => 4,
            Transfer::Stacked => 5,
            Transfer::Fusion { train_adapter: true, .. } => 6,
            Transfer::Fusion { .. } => 7,
        };
        let uses_pairs = transfer.needs_stage1() || settings.absolute.head == Head::Joint;
        let mut keys = settings.compared(config::STAGE1);
        keys.extend(settings.compared(config::STAGE2));
        keys.extend(settings.relative.from.iter().map(|from| (FROM.to_owned(), from.display().to_string())));
        keys.retain(|key, _| {
            !SHARED.iter().any(|shared| key.starts_with(shared))
                && (uses_pairs || !key.starts_with("stage1_relative."))
        });
        let last = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        keys.insert("backbone".into(), last(&settings.model.backbone));
        let note = |key: &str| settings.metadata.get(key).cloned();
        let pairs = match settings.stage1() {
            Some(relative) => Some(relative.pairs_file.to_path_buf()),
            None => note(STAGE1_PAIRS).map(PathBuf::from),
        };
        if let Some(pairs) = pairs.filter(|_| uses_pairs) {
            let cache = last(pairs.parent().unwrap_or(Path::new("")));
            keys.insert(PAIRS.into(), cache.trim_start_matches("pairs_").to_owned());
        }
        // A run that shares its stage 1 knows a folder, another one in every fold; the sweep left notes.
        if let (true, Some(_), Some(name)) = (uses_pairs, &settings.relative.from, note(SETTING)) {
            keys.remove(FROM);
            keys.insert(SETTING.into(), name);
            keys.extend(note(STAGE1_EPOCHS).map(|epochs| (EPOCHS.to_owned(), epochs)));
        }
        Self { rank, transfer: transfer.name().into(), keys }
    }
}

/// Trait, fold and setup of a run of another program.
fn foreign(path: &Path) -> Result<(String, String, Setup), ReportError> {
    let text = read_text(path)?;
    let entry = |key: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(": "));
        let value = lines.find(|(name, _)| *name == key).map(|(_, value)| value.trim().to_owned());
        value.ok_or_else(|| {
            file(path, format!("no line \"{key}: …\""), "add it, or keep the run_…_config.yaml beside it")
        })
    };
    let setup = Setup { rank: 0, transfer: entry("transfer")?, keys: BTreeMap::new() };
    Ok((entry("trait")?, entry("test_fold")?, setup))
}

fn read_predictions(path: &Path) -> Result<Vec<Prediction>, ReportError> {
    let table = Table::read(path, &TableOptions::default())?;
    let remedy = "run stage 2 again, which writes the file";
    let required = |name: &str| table.require_column(name, "of predictions", remedy);
    let (id, label, score) = (required("id")?, required("label")?, required("score")?);
    let calibrated = table.column("calibrated").zip(table.column("calibrated_grade"));
    let rows = table.records.iter().map(|record| {
        let number = |column: usize| {
            record.fields[column].trim().parse::<f64>().ok().filter(|value| value.is_finite()).ok_or_else(
                || DataError::Row {
                    path: path.into(),
                    row: record.row,
                    what: format!("{} is {:?}, not a number", table.header[column], record.fields[column]),
                    remedy: remedy.into(),
                },
            )
        };
        Ok(Prediction {
            id: record.fields[id].clone(),
            label: number(label)?,
            score: number(score)?,
            calibrated: match calibrated {
                Some((score, grade)) => Some([number(score)?, number(grade)?]),
                None => None,
            },
        })
    });
    rows.collect()
}

/// The epochs of the newest run; none where there is no such file.
fn read_epochs(path: &Path) -> Result<Vec<Epoch>, ReportError> {
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let mut epochs = Vec::new();
    for (index, line) in read_text(path)?.lines().enumerate() {
        let value: Value = serde_json::from_str(line).map_err(|source| DataError::Json {
            path: path.into(),
            line: index + 1,
            expected: "a line of metrics",
            remedy: "remove that line",
            source: source.into(),
        })?;
        if value.get("run").is_some() {
            epochs.clear();
        }
        let stage = value["stage"].as_str().unwrap_or_default();
        if let (Some(train_loss), Some(epoch)) = (value["train_loss"].as_f64(), value["epoch"].as_u64()) {
            let metric = if stage == "relative" { "val_acc" } else { "val_qwk_nearest" };
            epochs.push(Epoch {
                stage: stage.to_owned(),
                epoch: epoch as usize,
                train_loss,
                metric: value[metric].as_f64(),
            });
        }
    }
    Ok(epochs)
}
