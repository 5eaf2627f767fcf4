//! The log of a run: text lines, `metrics.jsonl` and TensorBoard's event files.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;

use pair2score_data::DataError;
use pair2score_data::files::write_atomic;
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, macros::format_description};

use super::tensorboard::EventFile;
use crate::TrainError;
use crate::config::Settings;
pub(super) use crate::metrics::shown;
use crate::report::{EpochReport, Progress, StepReport};

/// The time in UTC, as it goes into file names: `20260131_235959`.
pub fn stamp() -> String {
    let format = format_description!("[year][month][day]_[hour][minute][second]");
    OffsetDateTime::now_utc().format(format).expect("the format has no part that can fail")
}

/// Writes what a run reports to its log, to `metrics.jsonl` and to TensorBoard's event files, and passes it on.
pub(super) struct RunLog<'a> {
    next: &'a mut dyn Progress,
    log: Lines,
    metrics: Lines,
    /// The file of the resolved configuration.
    resolved: PathBuf,
    output_dir: PathBuf,
    /// The event file of the stage that trains.
    events: Option<EventFile>,
    /// Whether this run goes on where an earlier one was stopped.
    resume: bool,
}

/// A text file that grows line by line.
struct Lines {
    path: PathBuf,
    file: File,
    failed: bool,
}

impl Lines {
    fn open(path: PathBuf) -> Result<Self, TrainError> {
        let file =
            OpenOptions::new().create(true).append(true).open(&path).map_err(|source| DataError::Io {
                path: path.clone(),
                action: "write",
                remedy: "check that the folder is writable and the disk has room",
                source,
            })?;
        Ok(Self { path, file, failed: false })
    }

    /// Appends a line; a log that cannot be written is reported once and does not stop the run.
    fn line(&mut self, text: &str) -> Result<(), String> {
        if self.failed {
            return Ok(());
        }
        writeln!(self.file, "{text}").map_err(|error| {
            self.failed = true;
            format!("{}: cannot be written any more: {error}", self.path.display())
        })
    }

    /// Drops what the newest run wrote about later steps and epochs of a stage, which are done again, and lines that
    /// were cut short.
    fn forget_after(&mut self, stage: &str, steps: usize, epochs: usize) -> Result<(), String> {
        let problem = |error: &dyn Display| format!("{}: cannot be rewritten: {error}", self.path.display());
        let text = std::fs::read_to_string(&self.path).map_err(|error| problem(&error))?;
        let lines: Vec<(&str, Value)> =
            text.lines().filter_map(|line| Some((line, serde_json::from_str(line).ok()?))).collect();
        let newest = lines.iter().rposition(|(_, value)| value.get("run").is_some()).unwrap_or(0);
        let above = |number: &Value, limit: usize| number.as_u64().is_some_and(|n| n > limit as u64);
        let beyond = |value: &Value| {
            let of_epoch = value.get("train_loss").is_some();
            value["stage"] == stage
                && (above(&value["step"], steps) || (of_epoch && above(&value["epoch"], epochs)))
        };
        let kept = lines.iter().enumerate().filter(|(place, (_, value))| *place < newest || !beyond(value));
        let kept: String = kept.map(|(_, (line, _))| format!("{line}\n")).collect();
        write_atomic(&self.path, kept.as_bytes()).map_err(|error| problem(&error))?;
        *self = Self::open(self.path.clone()).map_err(|error| error.to_string())?;
        Ok(())
    }
}

impl<'a> RunLog<'a> {
    /// Creates the output folder, the log and the resolved configuration; a run that goes on keeps its
    /// `metrics.jsonl`.
    pub(super) fn create(
        settings: &Settings,
        resume: bool,
        next: &'a mut dyn Progress,
    ) -> Result<Self, TrainError> {
        let stamp = stamp();
        let folder = &settings.paths.output_dir;
        let resolved = folder.join(format!("run_{stamp}_config.yaml"));
        write_atomic(&resolved, settings.to_yaml().as_bytes())?;
        let log = Lines::open(folder.join(format!("run_{stamp}.log")))?;
        let metrics = Lines::open(folder.join("metrics.jsonl"))?;
        let mut run =
            Self { next, log, metrics, resolved, output_dir: folder.to_path_buf(), events: None, resume };
        if !resume || run.metrics.file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            run.write_metric(json!({ "run": stamp, "experiment": settings.pipeline.experiment }));
        }
        Ok(run)
    }

    /// Writes the resolved configuration again, with what the data have decided.
    pub(super) fn record(&self, settings: &Settings) -> Result<(), TrainError> {
        Ok(write_atomic(&self.resolved, settings.to_yaml().as_bytes())?)
    }

    fn write_log(&mut self, text: &str) {
        if let Err(problem) = self.log.line(&format!("{} {text}", stamp())) {
            self.next.message(&problem);
        }
    }

    /// Begins the event file of a stage.
    fn begin_events(&mut self, stage: &str, steps: usize) {
        match EventFile::create(&self.output_dir, stage, steps) {
            Ok(events) => self.events = Some(events),
            Err(problem) => self.next.message(&problem),
        }
    }

    fn write_scalars(&mut self, step: usize, values: &[(&str, f64)]) {
        if let Some(Err(problem)) = self.events.as_mut().map(|events| events.scalars(step, values)) {
            self.next.message(&problem);
        }
    }

    fn write_metric(&mut self, value: Value) {
        if let Err(problem) = self.metrics.line(&value.to_string()) {
            self.next.message(&problem);
        }
    }
}

impl Progress for RunLog<'_> {
    fn begin(&mut self, stage: &str, total: usize) {
        self.next.begin(stage, total);
    }

    fn advance(&mut self, done: usize) {
        self.next.advance(done);
    }

    fn resumed(&mut self, stage: &str, steps: usize, epochs: usize) {
        self.begin_events(stage, steps);
        if !self.resume {
            return;
        }
        if steps > 0 {
            self.write_log(&format!("{stage}: going on after step {steps}"));
        }
        if let Err(problem) = self.metrics.forget_after(stage, steps, epochs) {
            self.next.message(&problem);
        }
        self.next.resumed(stage, steps, epochs);
    }

    fn step(&mut self, stage: &str, report: &StepReport) {
        if let Some(loss) = report.loss {
            let StepReport { step, total_steps, epoch, lr, tokens_per_second, .. } = *report;
            self.write_log(&format!(
                "{stage} epoch {epoch} step {step}/{total_steps} loss {loss:.4} lr {lr:.3e} \
                 {tokens_per_second:.0} tokens/s"
            ));
            self.write_metric(json!({
                "stage": stage, "epoch": epoch, "step": step, "loss": loss, "lr": lr,
                "tokens_per_second": tokens_per_second,
            }));
            self.write_scalars(step, &[("loss", loss), ("lr", lr), ("tokens_per_second", tokens_per_second)]);
        }
        self.next.step(stage, report);
    }

    fn epoch(&mut self, stage: &str, report: &EpochReport) {
        let metrics: Vec<String> =
            report.metrics.iter().map(|(name, value)| format!("{name} {}", shown(*value))).collect();
        self.write_log(&format!(
            "{stage} epoch {} done: train_loss {:.4} {}{}",
            report.epoch,
            report.train_loss,
            metrics.join(" "),
            if report.best { " (best)" } else { "" }
        ));
        let mut line = Map::new();
        line.insert("stage".into(), stage.into());
        line.insert("epoch".into(), report.epoch.into());
        line.insert("step".into(), report.step.into());
        line.insert("train_loss".into(), report.train_loss.into());
        line.insert("best".into(), report.best.into());
        line.insert("seconds".into(), report.seconds.into());
        line.extend(report.metrics.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
        self.write_metric(line.into());
        let defined = report.metrics.iter().filter_map(|(name, value)| Some((name.as_str(), (*value)?)));
        let values: Vec<(&str, f64)> = defined.chain([("train_loss", report.train_loss)]).collect();
        self.write_scalars(report.step, &values);
        self.next.epoch(stage, report);
    }

    fn end(&mut self) {
        self.next.end();
    }

    fn message(&mut self, text: &str) {
        self.write_log(text);
        self.next.message(text);
    }
}
