//! A run as its output folder tells it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pair2score_data::files::read_text;
use pair2score_data::{DataError, Layout, ScoreScale, Table, TableOptions};
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
    /// Calibrated score.
    pub(crate) calibrated: Option<f64>,
    /// Grade by the thresholds of the calibration, where the scale has grades.
    pub(crate) calibrated_grade: Option<f64>,
    /// By another person, where there is one.
    pub(crate) second_rating: Option<f64>,
}

/// A training epoch with its evaluation.
#[derive(Debug, Clone)]
pub(crate) struct Epoch {
    pub(crate) stage: String,
    pub(crate) epoch: usize,
    pub(crate) train_loss: f64,
    /// Pair accuracy of stage 1; kappa of stage 2, or explained variance without grades.
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
    /// Table of the documents and where they are in it.
    pub(crate) documents: Option<(PathBuf, Layout)>,
    pub(crate) predictions: Vec<Prediction>,
    pub(crate) epochs: Vec<Epoch>,
    /// Metrics of raw scores.
    pub(crate) plain: RegressionMetrics,
    /// Metrics of calibrated scores, and kappa of the grades by thresholds.
    pub(crate) calibrated: Option<(RegressionMetrics, Option<f64>)>,
}

/// What agreement with people is measured by: kappa where there are grades, else the variance explained.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Measure {
    pub(crate) short: &'static str,
    pub(crate) long: &'static str,
    /// In names of files and columns.
    pub(crate) key: &'static str,
}

pub(crate) const KAPPA: Measure = Measure { short: "QWK", long: "quadratic weighted kappa", key: "qwk" };
pub(crate) const EXPLAINED: Measure =
    Measure { short: "R²", long: "share of variance explained, R²", key: "r2" };

impl Measure {
    /// The measure of a scale.
    pub(crate) fn on(scale: &ScoreScale) -> &'static Self {
        if scale.grades().is_some() { &KAPPA } else { &EXPLAINED }
    }

    /// Its value.
    pub(crate) fn of(&self, metrics: &RegressionMetrics) -> Option<f64> {
        if *self == KAPPA { metrics.qwk_nearest } else { metrics.r2 }
    }
}

/// What a section of a report is about: a trait, on scales that are measured alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Subject<'a> {
    pub(crate) target: &'a str,
    /// Whether the scale has no grades.
    pub(crate) continuous: bool,
}

impl Run {
    /// What it is about.
    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject { target: &self.target, continuous: self.scale.grades().is_none() }
    }

    /// What its agreement is measured by.
    pub(crate) fn measure(&self) -> &'static Measure {
        Measure::on(&self.scale)
    }

    /// Agreement of the raw scores with people.
    pub(crate) fn agreement(&self) -> Option<f64> {
        self.measure().of(&self.plain)
    }

    /// Agreement of the calibrated scores with people.
    pub(crate) fn calibrated_agreement(&self) -> Option<f64> {
        self.measure().of(&self.calibrated?.0)
    }
}

/// Folders of runs below these, sorted.
///
/// # Errors
/// A folder that cannot be read or holds no run.
pub(crate) fn find(folders: &[PathBuf]) -> Result<Vec<PathBuf>, ReportError> {
    let mut found = Vec::new();
    for folder in folders {
        let before = found.len();
        let mut below = Vec::new();
        walk(folder, &mut below)?;
        for folder in below {
            if is_of_its_run(&folder)? {
                found.push(folder);
            }
        }
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
        let column = |part: fn(&Prediction) -> f64| predictions.iter().map(part).collect::<Vec<_>>();
        let labels = column(|p| p.label);
        let outputs = outputs(folder);
        let settings = configuration(outputs).map(|path| config::load(&path, &[])).transpose()?;
        let (target, fold, setup, scale, documents) = match settings {
            Some(settings) => {
                let documents = (settings.paths.essays_csv.to_path_buf(), settings.data.layout());
                let setup = Setup::of(&settings);
                (
                    target_of(folder, &settings)?,
                    settings.pipeline.test_fold.to_string(),
                    setup,
                    settings.scale.get(),
                    Some(documents),
                )
            }
            None => {
                let (target, fold, setup) = foreign(&folder.join(INFO))?;
                (target, fold, setup, foreign_scale(&labels), None)
            }
        };
        let plain = regression(&labels, &column(|p| p.score), &scale)?;
        let measured = |part: fn(&Prediction) -> Option<f64>| {
            let scores = predictions.iter().map(part).collect::<Option<Vec<f64>>>();
            scores.map(|scores| regression(&labels, &scores, &scale)).transpose()
        };
        let thresholds = measured(|p| p.calibrated_grade)?.and_then(|metrics| metrics.qwk_nearest);
        let calibrated = measured(|p| p.calibrated)?.map(|metrics| (metrics, thresholds));
        let epochs = read_epochs(&outputs.join("metrics.jsonl"), &target)?;
        let folder = folder.to_path_buf();
        Ok(Self { folder, target, fold, setup, scale, documents, predictions, epochs, plain, calibrated })
    }
}

/// The folder with the configuration and the logs of a run: that of its predictions, or the one above, where a run of several
/// traits has a folder for each.
fn outputs(folder: &Path) -> &Path {
    match folder.parent() {
        Some(above) if configuration(folder).is_none() && configuration(above).is_some() => above,
        _ => folder,
    }
}

/// Whether the predictions in a folder are of the run whose configuration is there: one of a single trait has them beside
/// it, one of several in a folder for each. Others are what an earlier run with other traits has left.
fn is_of_its_run(folder: &Path) -> Result<bool, ReportError> {
    let outputs = outputs(folder);
    let Some(path) = configuration(outputs) else { return Ok(true) };
    let settings = config::load(&path, &[])?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    Ok(match settings.pipeline.targets() {
        [_] => outputs == folder,
        several => outputs != folder && several.iter().any(|target| *target == name),
    })
}

/// The trait whose predictions are in a folder: the one of the run, or of several the one that the folder is called by.
fn target_of(folder: &Path, settings: &Settings) -> Result<String, ReportError> {
    let targets = settings.pipeline.targets();
    if let [target] = targets {
        return Ok(target.clone());
    }
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    targets.iter().find(|target| **target == *name).cloned().ok_or_else(|| {
        let what = format!("is none of the traits of its run ({})", settings.pipeline.named());
        file(folder, what, "leave folders of a run as they are, or remove this one")
    })
}

/// The resolved configuration that the results in a folder of outputs are of: the newest that was there when they were
/// written, as a later run may have been stopped. The stamps in the names sort.
fn configuration(folder: &Path) -> Option<PathBuf> {
    let info = read_text(folder.join(INFO)).unwrap_or_default();
    let written = info.lines().find_map(|line| line.strip_prefix("timestamp: "));
    let entries = std::fs::read_dir(folder).ok()?;
    let configurations = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let name = path.file_name()?.to_str()?;
        let stamp = name.strip_prefix("run_")?.strip_suffix("_config.yaml")?.to_owned();
        Some((stamp, path))
    });
    let is_of_results =
        |(stamp, _): &(String, PathBuf)| written.is_none_or(|written| stamp.as_str() <= written);
    configurations.filter(is_of_results).max().map(|(_, path)| path)
}

/// Keys on which results depend and which do not tell setups apart: they say how a file is written, differ between folds and
/// traits, or the transfer already says them. One that ends in a dot stands for a section.
const SHARED: [&str; 19] = [
    "data.columns.fold",
    "data.columns.id",
    "data.columns.label",
    "data.columns.second_rating",
    "data.columns.text",
    "data.delimiter",
    "data.encoding",
    "data.escape",
    "pipeline.trait",
    "pipeline.traits",
    "pipeline.train_folds",
    "pipeline.test_fold",
    "pipeline.seed",
    "stage1_relative.enabled",
    "stage2_absolute.mode",
    "stage2_absolute.embedding_fusion.",
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
            !SHARED.iter().any(|shared| key == shared || shared.ends_with('.') && key.starts_with(shared))
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

/// The scale of a run of another program: the default one, or a continuous one where labels are off it.
fn foreign_scale(labels: &[f64]) -> ScoreScale {
    let grades = ScoreScale::default();
    if labels.iter().all(|label| grades.label(*label).is_some()) {
        return grades;
    }
    ScoreScale::observed(labels.iter().copied()).unwrap_or(grades)
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
    let [calibrated, calibrated_grade, second_rating] =
        ["calibrated", "calibrated_grade", "second_rating"].map(|name| table.column(name));
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
        let optional = |column: Option<usize>| {
            column.filter(|column| !record.fields[*column].trim().is_empty()).map(number).transpose()
        };
        Ok(Prediction {
            id: record.fields[id].clone(),
            label: number(label)?,
            score: number(score)?,
            calibrated: calibrated.map(number).transpose()?,
            // Empty where there are no grades.
            calibrated_grade: optional(calibrated_grade)?,
            second_rating: optional(second_rating)?,
        })
    });
    rows.collect()
}

/// The epochs of the newest run, with the metrics of a trait where it has several; none where there is no such file.
fn read_epochs(path: &Path, target: &str) -> Result<Vec<Epoch>, ReportError> {
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
            let metric = match stage {
                "relative" => "val_acc",
                _ if value.get("val_qwk_nearest").is_some() => "val_qwk_nearest",
                _ => "val_r2",
            };
            epochs.push(Epoch {
                stage: stage.to_owned(),
                epoch: epoch as usize,
                train_loss,
                metric: value.get(format!("{metric}[{target}]")).unwrap_or(&value[metric]).as_f64(),
            });
        }
    }
    Ok(epochs)
}
