//! The loop on a task small enough to check by hand: fitting `y = w · x` by squared error.

mod faults;
mod stops;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use burn::backend::{Autodiff, Flex, flex::FlexDevice};
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData, backend::Backend};
use pair2score_train::config::{Monitor, TrainingSettings};
use pair2score_train::schedule::ScheduleKind;
use pair2score_train::{
    EpochReport, Evaluation, FitOutcome, FitPlan, Loss, Progress, Sizes, StepReport, Task, TrainError, fit,
};

type AD = Autodiff<Flex>;

#[derive(Module, Debug)]
struct Line<B: Backend> {
    w: Param<Tensor<B, 1>>,
}

/// Points on `y = 3x`, and a validation metric given per epoch.
struct Points {
    xs: Vec<f32>,
    weights: Vec<f64>,
    values: Mutex<VecDeque<Option<f64>>>,
    loss_scale: f32,
    /// Whether predictions are put together from two halves.
    joined: bool,
    /// Batches that were computed here.
    computed: AtomicUsize,
    replicas: Vec<Self>,
}

impl Points {
    fn new(xs: &[f32], values: &[Option<f64>]) -> Self {
        Self {
            xs: xs.to_vec(),
            weights: vec![1.0; xs.len()],
            values: Mutex::new(values.iter().copied().collect()),
            loss_scale: 1.0,
            joined: false,
            computed: AtomicUsize::new(0),
            replicas: Vec::new(),
        }
    }

    /// With further devices.
    fn with_replicas(self, n: usize) -> Self {
        Self { replicas: (0..n).map(|_| Self::new(&self.xs, &[])).collect(), ..self }
    }
}

impl Sizes for Points {
    fn n_examples(&self) -> usize {
        self.xs.len()
    }
    fn tokens(&self, _: usize) -> usize {
        1
    }
}

impl Task<AD> for Points {
    type Model = Line<AD>;

    fn device(&self) -> FlexDevice {
        FlexDevice
    }
    fn replicas(&self) -> &[Self] {
        &self.replicas
    }
    fn weight(&self, example: usize) -> f64 {
        self.weights[example]
    }
    fn describe(&self, example: usize) -> String {
        format!("point {example}")
    }
    fn loss<'t>(&'t self, model: &'t Line<AD>, examples: &[usize], _: u64) -> Loss<'t, AD> {
        self.computed.fetch_add(1, Ordering::Relaxed);
        let column = |values: Vec<f32>| {
            let n = values.len();
            Tensor::<AD, 1>::from_data(TensorData::new(values, [n]), &Default::default())
        };
        let x = column(examples.iter().map(|&i| self.xs[i]).collect());
        let weight = column(examples.iter().map(|&i| self.weights[i] as f32).collect());
        let mut w = model.w.val();
        if self.joined {
            w = Tensor::cat(vec![w.clone() * 0.5, w * 0.5], 0).sum();
        }
        let error = x.clone() * w - x * 3.0;
        ((error.clone() * error * weight).sum() * self.loss_scale).into()
    }
    fn evaluate(&self, _: &Line<Flex>) -> Result<Evaluation, TrainError> {
        Ok(BTreeMap::from([("val_loss".to_owned(), self.values.lock().unwrap().pop_front().unwrap())]))
    }
}

fn line() -> Line<AD> {
    Line { w: Param::from_tensor(Tensor::from_floats([0.0], &Default::default())) }
}

fn training(epochs: usize, batch_size: usize) -> TrainingSettings {
    TrainingSettings {
        epochs,
        batch_size,
        lr: 0.1,
        weight_decay: 0.0,
        log_every: 1,
        monitor: Monitor::ValLoss,
        patience: None,
        min_delta: 0.0,
        ..TrainingSettings::default()
    }
}

#[derive(Default)]
struct Recorder {
    losses: Vec<f64>,
    epoch_losses: Vec<f64>,
    best: Vec<bool>,
}

impl Progress for Recorder {
    fn begin(&mut self, _: &str, _: usize) {}
    fn advance(&mut self, _: usize) {}
    fn step(&mut self, _: &str, report: &StepReport) {
        self.losses.extend(report.loss);
    }
    fn epoch(&mut self, _: &str, report: &EpochReport) {
        self.epoch_losses.push(report.train_loss);
        self.best.push(report.best);
    }
    fn end(&mut self) {}
    fn message(&mut self, _: &str) {}
}

fn run(task: &Points, training: &TrainingSettings) -> (FitOutcome<Line<AD>>, Recorder) {
    let mut recorder = Recorder::default();
    let plan = FitPlan::new("test", training, 5);
    let outcome = fit(task, line(), &plan, &mut recorder).unwrap();
    (outcome, recorder)
}

fn w(outcome: &FitOutcome<Line<AD>>) -> f32 {
    outcome.model.w.val().into_scalar()
}

#[test]
fn accumulated_micro_batches_equal_one_large_batch() {
    let xs = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5];
    let large = run(&Points::new(&xs, &[None; 4]), &training(4, 6));
    let small = run(&Points::new(&xs, &[None; 4]), &TrainingSettings { accumulation: 3, ..training(4, 2) });
    // The last group of an epoch is short in both: one point.
    assert_eq!((large.0.steps, small.0.steps), (8, 8));
    assert!((w(&large.0) - w(&small.0)).abs() < 1e-5);
    for (a, b) in large.1.losses.iter().zip(&small.1.losses) {
        assert!((a - b).abs() < 1e-4 * a.max(1.0), "{:?}\n{:?}", large.1.losses, small.1.losses);
    }
}

#[test]
fn other_threads_that_train_take_no_gradient_away() {
    let xs: Vec<f32> = (0..64).map(|i| i as f32 / 64.0).collect();
    let training = TrainingSettings { accumulation: 16, ..training(60, 1) };
    // Concatenated from parts: what tracel-ai/burn#5573 names as the surest way to lose a gradient.
    let weight = || {
        let task = Points { joined: true, ..Points::new(&xs, &[None; 60]) };
        run(&task, &training).0.model.w.val().into_scalar()
    };
    let alone = weight();
    let beside: Vec<f32> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(weight)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(beside, [alone; 4]);
}

#[test]
fn further_devices_take_their_share_and_change_no_bit() {
    let xs: Vec<f32> = (1..=23).map(|x| x as f32 * 0.1).collect();
    let settings = TrainingSettings { accumulation: 5, lr: 0.01, ..training(4, 2) };
    let alone = run(&Points::new(&xs, &[None; 4]), &settings);
    for others in 1..=6 {
        let task = Points::new(&xs, &[None; 4]).with_replicas(others);
        let shared = run(&task, &settings);
        assert_eq!((w(&shared.0), &shared.1.losses), (w(&alone.0), &alone.1.losses), "{others}");
        // An epoch has twelve batches: steps of five, five and two.
        let computed = |task: &Points| task.computed.load(Ordering::Relaxed);
        let busy = task.replicas.iter().filter(|replica| computed(replica) > 0).count();
        assert_eq!(busy, others.min(4));
        assert_eq!(computed(&task) + task.replicas.iter().map(computed).sum::<usize>(), 4 * 12);
    }
}

#[test]
fn a_weight_counts_like_a_repetition() {
    let repeated = run(&Points::new(&[1.0, 2.0, 2.0, 2.0], &[None; 3]), &training(3, 4));
    let mut task = Points::new(&[1.0, 2.0], &[None; 3]);
    task.weights = vec![1.0, 3.0];
    let weighted = run(&task, &training(3, 2));
    assert!((w(&repeated.0) - w(&weighted.0)).abs() < 1e-6);
    assert!((repeated.1.losses[0] - weighted.1.losses[0]).abs() < 1e-5);
}

#[test]
fn the_first_loss_is_the_mean_over_the_batch() {
    // w = 0: the losses are 9x², so (9 + 36) / 2.
    let (_, recorder) = run(&Points::new(&[1.0, 2.0], &[None]), &training(1, 2));
    assert!((recorder.losses[0] - 22.5).abs() < 1e-5);
}

#[test]
fn the_best_epoch_is_restored() {
    let values = [Some(3.0), Some(1.0), Some(2.0), Some(2.5)];
    let (outcome, recorder) = run(&Points::new(&[1.0], &values), &training(4, 1));
    let (short, _) = run(&Points::new(&[1.0], &values), &training(2, 1));
    assert_eq!((outcome.best_epoch, outcome.epochs), (2, 4));
    assert_eq!(recorder.best, [true, true, false, false]);
    assert_eq!(w(&outcome), w(&short));
}

#[test]
fn a_start_that_counts_is_restored_where_no_epoch_improves_on_it() {
    let fit = |values: [Option<f64>; 3]| {
        let settings = TrainingSettings { patience: Some(2), ..training(2, 1) };
        let task = Points::new(&[1.0], &values);
        let plan = FitPlan { start_counts: true, ..FitPlan::new("test", &settings, 5) };
        pair2score_train::fit(&task, line(), &plan, &mut Recorder::default()).unwrap()
    };
    let kept = fit([Some(1.0), Some(2.0), Some(3.0)]);
    assert_eq!((kept.best_epoch, kept.best["val_loss"], w(&kept)), (0, Some(1.0), 0.0));
    let improved = fit([Some(1.0), Some(2.0), Some(0.5)]);
    assert_eq!((improved.best_epoch, improved.best["val_loss"]), (2, Some(0.5)));
    assert!(w(&improved) > 0.0);
    // A metric that is never defined leaves the start, and its own being undefined is no epoch without improvement.
    let undefined = fit([None; 3]);
    assert_eq!((undefined.best_epoch, undefined.epochs, w(&undefined)), (0, 2, 0.0));
    let later = fit([None, None, Some(0.5)]);
    assert_eq!((later.best_epoch, later.best["val_loss"]), (2, Some(0.5)));
}

#[test]
fn patience_stops_and_undefined_never_wins() {
    let values = [None, Some(2.0), None, Some(2.0), Some(1.0)];
    let settings = TrainingSettings { patience: Some(2), ..training(5, 1) };
    let (outcome, recorder) = run(&Points::new(&[1.0], &values), &settings);
    assert_eq!((outcome.best_epoch, outcome.epochs), (2, 4));
    assert_eq!(recorder.best, [false, true, false, false]);
}

#[test]
fn training_ends_after_its_steps() {
    let xs = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5];
    // Four steps an epoch.
    let (whole, all) = run(&Points::new(&xs, &[None; 4]), &training(4, 2));
    for max_steps in [1, 4, 6, 15, 16, 1000] {
        let settings = TrainingSettings { max_steps: Some(max_steps), ..training(4, 2) };
        let (outcome, recorder) = run(&Points::new(&xs, &[None; 4]), &settings);
        let steps = max_steps.min(whole.steps);
        assert_eq!((outcome.steps, outcome.epochs), (steps, steps.div_ceil(4)));
        assert_eq!(recorder.losses, all.losses[..steps]);
        assert_eq!(recorder.epoch_losses.len(), outcome.epochs, "evaluated at the end");
    }
}

#[test]
fn the_schedule_ends_with_the_steps() {
    let xs = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5];
    let linear = TrainingSettings { schedule: ScheduleKind::Linear, ..training(1, 2) };
    let bounded = TrainingSettings { max_steps: Some(4), epochs: 9, ..linear.clone() };
    let [one, other] = [linear, bounded].map(|settings| run(&Points::new(&xs, &[None; 9]), &settings).0);
    assert_eq!((w(&one).to_bits(), one.steps), (w(&other).to_bits(), other.steps));
}

#[test]
fn clipping_changes_only_gradients_beyond_the_norm() {
    // AdamW is blind to the size of a constant gradient, so two steps of different size show the clipping.
    let clipped = |max_grad_norm| {
        let settings = TrainingSettings { max_grad_norm, ..training(3, 1) };
        w(&run(&Points::new(&[1.0, 30.0], &[None; 3]), &settings).0)
    };
    assert_eq!(clipped(None), clipped(Some(1e9)));
    assert_ne!(clipped(None), clipped(Some(1.0)));
}

#[test]
fn a_loss_that_is_not_finite_stops_with_the_documents() {
    let mut task = Points::new(&[1.0, 2.0], &[None]);
    task.loss_scale = f32::NAN;
    let settings = training(1, 2);
    let plan = FitPlan::new("test", &settings, 5);
    let error = fit(&task, line(), &plan, &mut Recorder::default()).unwrap_err();
    let message = error.to_string();
    for part in ["test: the loss is NaN at step 1", "point 0", "point 1", "learning rate"] {
        assert!(message.contains(part), "{message}");
    }
}
