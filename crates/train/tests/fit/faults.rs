//! What is said and what is saved when a batch cannot be computed.

use pair2score_train::Checkpoints;

use super::*;

/// What goes wrong with a batch that holds one of the points.
pub(super) enum Fault {
    /// The loss is not a number.
    Loss,
    /// The loss is finite, its gradient is not.
    Gradient,
    /// The device fails.
    Device,
}

/// [`Points`] with a fault at one of them.
pub(super) struct Faulty {
    points: Points,
    /// The point at which the fault is.
    at: usize,
    fault: Fault,
    replicas: Vec<Self>,
}

impl Sizes for Faulty {
    fn n_examples(&self) -> usize {
        self.points.n_examples()
    }
    fn tokens(&self, _: usize) -> usize {
        1
    }
}

impl Task<AD> for Faulty {
    type Model = Line<AD>;

    fn device(&self) -> FlexDevice {
        FlexDevice
    }
    fn replicas(&self) -> &[Self] {
        &self.replicas
    }
    fn describe(&self, example: usize) -> String {
        self.points.describe(example)
    }
    fn loss<'t>(&'t self, model: &'t Line<AD>, examples: &[usize], _: u64) -> Loss<'t, AD> {
        let loss = self.points.loss(model, examples, 0).sum;
        let loss = match self.fault {
            _ if !examples.contains(&self.at) => loss,
            Fault::Loss => loss * f32::NAN,
            // The square root of 0 has an infinite slope.
            Fault::Gradient => loss + (model.w.val() * 0.0).sqrt(),
            Fault::Device => panic!("out of memory"),
        };
        loss.into()
    }
    fn evaluate(&self, model: &Line<Flex>) -> Result<Evaluation, TrainError> {
        self.points.evaluate(model)
    }
}

fn ten() -> Vec<f32> {
    (1..=10).map(|x| x as f32 * 0.1).collect()
}

/// Ten points, with the fault at the seventh.
pub(super) fn ten_with(fault: Fault) -> Faulty {
    Faulty { points: Points::new(&ten(), &[None]), at: 6, fault, replicas: vec![] }
}

/// Ten points, one a step, with the fault at the seventh: the message, the step, and the checkpoints left.
pub(super) fn faulty(fault: Fault, every_steps: usize) -> (String, usize, Vec<String>) {
    let settings = TrainingSettings { log_every: 1000, lr: 0.01, ..training(1, 1) };
    stopped(&ten_with(fault), &settings, every_steps)
}

/// How a training ends that cannot go on.
fn stopped(task: &Faulty, settings: &TrainingSettings, every_steps: usize) -> (String, usize, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path().into(), Some(every_steps), 2, Default::default());
    let plan = FitPlan { checkpoints: Some(&checkpoints), ..FitPlan::new("test", settings, 5) };
    let error = fit(task, line(), &plan, &mut Recorder::default()).unwrap_err();
    let step = match &error {
        TrainError::NotFinite { step, .. } | TrainError::Device { step, .. } => *step,
        other => panic!("{other}"),
    };
    let entries = std::fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    (error.to_string(), step, names)
}

fn saved(steps: [usize; 2]) -> Vec<String> {
    steps.map(|step| format!("step_{step:08}.safetensors")).to_vec()
}

#[test]
fn a_device_that_fails_names_the_batch() {
    let (message, step, files) = faulty(Fault::Device, 1);
    let expected = format!("test: the device failed in step {step} (documents point 6): out of memory; ");
    assert!(message.starts_with(&expected), "{message}");
    assert_eq!(files, saved([step - 2, step - 1]));
}

#[test]
fn a_further_device_that_fails_names_the_step() {
    let settings = TrainingSettings { accumulation: 10, ..training(3, 1) };
    let points = || Points::new(&ten(), &[None; 3]);
    let faulty = |at, replicas| Faulty { points: points(), at, fault: Fault::Device, replicas };
    let others = (0..9).map(|_| faulty(6, vec![])).collect();
    // The first device computes one batch of an epoch, and has no fault of its own.
    let task = faulty(usize::MAX, others);
    let (message, step, _) = stopped(&task, &settings, 1);
    assert!(message.starts_with(&format!("test: the device failed in step {step} (documents ")), "{message}");
    assert!(message.contains("point 6") && message.contains("out of memory"), "{message}");
}

#[test]
fn a_loss_that_is_read_late_still_names_its_batch() {
    let (_, step, _) = faulty(Fault::Device, 1);
    assert!(step > 6, "choose a seed that meets the point later");
    // Losses are read every third step only, and nothing after the fault is saved.
    let (message, _, files) = faulty(Fault::Loss, 3);
    assert!(
        message.contains("the loss is NaN at step ") && message.contains("(documents point 6)"),
        "{message}"
    );
    assert_eq!(files, saved([3, 6]));
}

#[test]
fn weights_that_are_not_finite_are_not_saved() {
    let (message, step, files) = faulty(Fault::Gradient, 1);
    let expected =
        format!("test: a weight or a moment of AdamW is not finite at step {step} (documents point 6); ");
    assert!(message.starts_with(&expected), "{message}");
    assert_eq!(files, saved([step - 2, step - 1]));
}
