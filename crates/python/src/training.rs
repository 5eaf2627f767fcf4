//! Runs of a configuration.

use std::path::{Path, PathBuf};

use pair2score_cli::{Device, DeviceChoice, Training, fetch_backbone};
use pair2score_train::config::{self, Settings};
use pair2score_train::run::{RunReport, Stages};
use pair2score_train::{EpochReport, OnUnfinished, Progress, StepReport, Stop};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::device::choice;
use crate::error::{Error, exception};

/// How a run is asked for.
struct Asked {
    /// The configuration as text; `None` to read the file.
    config: Option<String>,
    /// The file, or what messages call the text.
    name: PathBuf,
    sets: Vec<String>,
    device: Option<DeviceChoice>,
    stages: Stages,
    unfinished: OnUnfinished,
}

/// What a run comes to: folders, and the reports of its stages as JSON.
#[derive(IntoPyObject)]
pub(crate) struct Done {
    outputs: PathBuf,
    checkpoints: PathBuf,
    relative: Option<String>,
    absolute: Option<String>,
}

/// Runs the stages of a configuration: of a file, or of text in YAML, which messages call `name`.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "each is a keyword of `pair2score.train`")]
pub(crate) fn train(
    py: Python<'_>,
    name: PathBuf,
    config: Option<String>,
    sets: Vec<String>,
    stages: &str,
    device: Option<&str>,
    resume: bool,
    restart: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<Done> {
    let stages = match stages {
        "both" => Stages::Both,
        "relative" => Stages::Relative,
        "absolute" => Stages::Absolute,
        other => {
            let problem =
                format!("stages {other:?} is not known; give \"both\", \"relative\" or \"absolute\"");
            return Err(Error::new_err(problem));
        }
    };
    let unfinished = match (resume, restart) {
        (true, true) => {
            return Err(Error::new_err("resume and restart exclude each other; give one of them"));
        }
        (true, false) => OnUnfinished::Resume,
        (false, true) => OnUnfinished::Discard,
        (false, false) => OnUnfinished::Refuse,
    };
    let asked = Asked { config, name, sets, device: choice(device)?, stages, unfinished };
    let (result, raised) = py.detach(|| {
        let stop = Stop::new();
        let mut hearer = Hearer { callback: progress, stop: &stop, raised: None };
        let result = run(&asked, &stop, &mut hearer);
        (result, hearer.raised)
    });
    match (result, raised) {
        (Ok((settings, report)), None) => Done::new(&settings, &report),
        (Err(error), None) => Err(exception(error)),
        (result, Some(raised)) => {
            if let Err(error) = result {
                // Where it stopped, and whether that is saved.
                raised.value(py).call_method1("add_note", (format!("{error:#}"),))?;
            }
            Err(raised)
        }
    }
}

fn run(asked: &Asked, stop: &Stop, progress: &mut Hearer<'_>) -> anyhow::Result<(Settings, RunReport)> {
    let mut settings = match &asked.config {
        Some(text) => config::parse(text, &asked.name, &asked.sets)?,
        None => config::load(&asked.name, &asked.sets)?,
    };
    fetch_backbone(&mut settings, progress)?;
    let device = Device::choose(asked.device, Some(&settings))?;
    let others = device.others(asked.device, &settings)?;
    let Asked { stages, unfinished, .. } = *asked;
    let report = device.run(Training { settings: &settings, stages, unfinished, others, stop, progress })?;
    Ok((settings, report))
}

impl Done {
    fn new(settings: &Settings, report: &RunReport) -> PyResult<Self> {
        let folder = |path: &Path| path.to_path_buf();
        Ok(Self {
            outputs: folder(&settings.paths.output_dir),
            checkpoints: folder(&settings.paths.checkpoint_dir),
            relative: report.relative.as_ref().map(json).transpose()?,
            absolute: report.absolute.as_ref().map(json).transpose()?,
        })
    }
}

fn json(report: &impl serde::Serialize) -> PyResult<String> {
    serde_json::to_string(report).map_err(exception)
}

/// Tells a function of Python what a run does, and lets the run stop where it, or Ctrl-C, raises something.
struct Hearer<'a> {
    callback: Option<Py<PyAny>>,
    stop: &'a Stop,
    raised: Option<PyErr>,
}

impl Hearer<'_> {
    /// Calls the function with an event: a dict that `fill` completes.
    fn tell(&mut self, event: &str, fill: impl FnOnce(&Bound<'_, PyDict>) -> PyResult<()>) {
        if self.raised.is_some() {
            return;
        }
        let told = Python::attach(|py| {
            py.check_signals()?;
            let Some(callback) = &self.callback else { return Ok(()) };
            let dict = PyDict::new(py);
            dict.set_item("event", event)?;
            fill(&dict)?;
            callback.call1(py, (dict,)).map(drop)
        });
        if let Err(raised) = told {
            self.raised = Some(raised);
            self.stop.request();
        }
    }
}

impl Progress for Hearer<'_> {
    fn begin(&mut self, stage: &str, total: usize) {
        self.tell("begin", |event| {
            event.set_item("stage", stage)?;
            event.set_item("total", total)
        });
    }

    fn advance(&mut self, done: usize) {
        self.tell("advance", |event| event.set_item("done", done));
    }

    fn step(&mut self, stage: &str, report: &StepReport) {
        let StepReport { step, total_steps, epoch, loss, lr, tokens_per_second } = *report;
        self.tell("step", |event| {
            event.set_item("stage", stage)?;
            event.set_item("step", step)?;
            event.set_item("total_steps", total_steps)?;
            event.set_item("epoch", epoch)?;
            event.set_item("loss", loss)?;
            event.set_item("lr", lr)?;
            event.set_item("tokens_per_second", tokens_per_second)
        });
    }

    fn epoch(&mut self, stage: &str, report: &EpochReport) {
        let EpochReport { epoch, step, train_loss, ref metrics, best, seconds } = *report;
        self.tell("epoch", |event| {
            event.set_item("stage", stage)?;
            event.set_item("epoch", epoch)?;
            event.set_item("step", step)?;
            event.set_item("train_loss", train_loss)?;
            event.set_item("metrics", metrics.clone())?;
            event.set_item("best", best)?;
            event.set_item("seconds", seconds)
        });
    }

    fn end(&mut self) {
        self.tell("end", |_| Ok(()));
    }

    fn message(&mut self, text: &str) {
        self.tell("message", |event| event.set_item("text", text));
    }
}
