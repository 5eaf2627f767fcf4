//! A training that is stopped, and goes on later.

use pair2score_train::{Checkpoints, Stop};

use super::faults::{Fault, faulty, ten_with};
use super::*;

/// Requests a stop when it hears of a step, which is after the loss of that step was read or left unread.
struct StopAfter<'a> {
    step: usize,
    stop: &'a Stop,
    heard: Recorder,
}

impl Progress for StopAfter<'_> {
    fn begin(&mut self, _: &str, _: usize) {}
    fn advance(&mut self, _: usize) {}
    fn step(&mut self, stage: &str, report: &StepReport) {
        self.heard.step(stage, report);
        if report.step == self.step {
            self.stop.request();
        }
    }
    fn epoch(&mut self, stage: &str, report: &EpochReport) {
        self.heard.epoch(stage, report);
    }
    fn end(&mut self) {}
    fn message(&mut self, _: &str) {}
}

#[test]
fn a_stop_at_any_step_changes_nothing() {
    // Four steps an epoch, three epochs; or the last one cut short.
    stop_at_any_step(None, 12);
    stop_at_any_step(Some(10), 10);
}

fn stop_at_any_step(max_steps: Option<usize>, steps: usize) {
    let xs: Vec<f32> = (1..=7).map(|x| x as f32 * 0.1).collect();
    let (warmup_steps, schedule) = (3, ScheduleKind::Cosine);
    let settings = TrainingSettings { warmup_steps, schedule, max_steps, ..training(3, 2) };
    let values = [Some(3.0), Some(1.0), Some(2.0)];
    let (whole, recorder) = run(&Points::new(&xs, &values), &settings);
    // Each step is logged, or only the last of an epoch, so that losses are unread when the stop is requested.
    for log_every in [1, 1000] {
        let settings = TrainingSettings { log_every, ..settings.clone() };
        for step in 1..steps {
            let folder = tempfile::tempdir().unwrap();
            let checkpoints = Checkpoints::new(folder.path().into(), None, 2, Default::default());
            let task = Points::new(&xs, &values);
            let stop = Stop::new();
            let plan = FitPlan {
                checkpoints: Some(&checkpoints),
                stop: &stop,
                ..FitPlan::new("test", &settings, 5)
            };
            let mut stopper = StopAfter { step, stop: &stop, heard: Recorder::default() };
            let error = fit(&task, line(), &plan, &mut stopper).unwrap_err().to_string();
            let end = format!(" of {steps}, which is saved");
            assert!(error.starts_with("test: stopped after step ") && error.ends_with(&end), "{error}");

            let plan = FitPlan { stop: &Stop::new(), ..plan };
            let mut rest = Recorder::default();
            let again = fit(&task, line(), &plan, &mut rest).unwrap();
            let epoch_losses = [stopper.heard.epoch_losses, rest.epoch_losses].concat();
            assert_eq!(epoch_losses, recorder.epoch_losses, "stopped at step {step}");
            assert_eq!(w(&again).to_bits(), w(&whole).to_bits(), "stopped at step {step}");
            assert_eq!((again.best_epoch, again.steps, again.best), (2, steps, whole.best.clone()));
        }
    }
}

#[test]
fn a_loss_that_a_stop_left_unread_is_looked_at_before_saving() {
    let settings = TrainingSettings { log_every: 1000, lr: 0.01, ..training(1, 1) };
    let (_, at, _) = faulty(Fault::Device, 1);
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path().into(), None, 2, Default::default());
    let task = ten_with(Fault::Loss);
    let stop = Stop::new();
    let plan = FitPlan { checkpoints: Some(&checkpoints), stop: &stop, ..FitPlan::new("test", &settings, 5) };
    let mut stopper = StopAfter { step: at, stop: &stop, heard: Recorder::default() };
    let error = fit(&task, line(), &plan, &mut stopper).unwrap_err().to_string();
    assert!(error.contains("the loss is NaN") && error.contains("(documents point 6)"), "{error}");
}
