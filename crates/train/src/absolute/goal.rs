//! What a score is measured against: the objective on the scale of the labels.

use burn::tensor::{DType, Int, Tensor, TensorData, backend::Backend};
use pair2score_data::{Grades, ScoreScale};
use pair2score_model::{Kernels, ScoreLink, loss};

use crate::config::{AbsoluteSettings, Binning, Objective};

/// What stage 2 learns, and how it is judged.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// The loss.
    pub objective: Objective,
    /// Where the Huber loss turns from squared to linear, in score units; above 0.
    pub huber_delta: f64,
    /// What a label can be; validated.
    pub scale: ScoreScale,
    /// Which kappa `val_qwk` means.
    pub binning: Binning,
}

impl Goal {
    /// The goal that a configuration sets, on its scale.
    pub fn new(settings: &AbsoluteSettings, scale: ScoreScale) -> Self {
        let AbsoluteSettings { objective, huber_delta, binning, .. } = *settings;
        Self { objective, huber_delta, scale, binning }
    }

    /// How the outputs of the head become a score.
    pub fn link(&self) -> ScoreLink {
        let of_grades = || {
            let grades = self.grades();
            (grades.min, grades.step, grades.n_grades())
        };
        match self.objective {
            Objective::L1 | Objective::Mse | Objective::Huber => ScoreLink::Identity,
            Objective::Ordinal => {
                let (min, step, grades) = of_grades();
                ScoreLink::Cumulative { min, step, grades }
            }
            Objective::Classification => {
                let (min, step, grades) = of_grades();
                ScoreLink::Expected { min, step, grades }
            }
        }
    }

    /// The grades of an objective that counts them: without any, the configuration refuses it.
    fn grades(&self) -> &Grades {
        self.scale.grades().expect("the configuration refuses this objective on a scale without grades")
    }

    /// Loss of each document.
    ///
    /// # Shapes
    /// - outputs: `[documents, n_outputs]`, of the head
    /// - labels: one per document, in score units
    /// - output: `[documents]`
    pub(super) fn losses<B: Kernels>(&self, outputs: Tensor<B, 2>, labels: &[f64]) -> Tensor<B, 1> {
        let device = outputs.device();
        let scores = || self.link().score(outputs.clone());
        let targets = || column(labels.iter().map(|&label| label as f32).collect(), &device);
        match self.objective {
            Objective::L1 => loss::l1(scores(), targets()),
            Objective::Mse => loss::mse(scores(), targets()),
            Objective::Huber => loss::huber(scores(), targets(), self.huber_delta),
            Objective::Ordinal => {
                let above = self.above_thresholds(labels, &device);
                loss::ordinal(outputs, above)
            }
            Objective::Classification => {
                let grades: Vec<i32> = self.grades_of(labels).map(|grade| grade as i32).collect();
                let n = grades.len();
                let grades = Tensor::<B, 1, Int>::from_data(TensorData::new(grades, [n]), &device);
                loss::classification(outputs, grades)
            }
        }
    }

    /// Whether each label is above each threshold between grades, `[documents, grades - 1]`: 1 or 0.
    fn above_thresholds<B: Backend>(&self, labels: &[f64], device: &B::Device) -> Tensor<B, 2> {
        let thresholds = self.grades().n_grades() - 1;
        let of_grade = |grade| (0..thresholds).map(move |k| if grade > k { 1.0 } else { 0.0 });
        let above: Vec<f32> = self.grades_of(labels).flat_map(of_grade).collect();
        Tensor::from_data(TensorData::new(above, [labels.len(), thresholds]), (device, DType::F32))
    }

    /// The nearest grade of each label, from 0.
    fn grades_of<'l>(&'l self, labels: &'l [f64]) -> impl Iterator<Item = usize> + 'l {
        labels.iter().map(|&label| self.grades().index_nearest(label))
    }
}

/// A number per document, `[documents]`.
pub(super) fn column<B: Backend>(values: Vec<f32>, device: &B::Device) -> Tensor<B, 1> {
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n]), (device, DType::F32))
}
