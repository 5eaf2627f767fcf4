//! Stage 2 as the loop sees it.

use burn::module::AutodiffModule;
use burn::tensor::Tensor;
use ndarray::{Array2, ArrayView2};
use pair2score_model::{Adapter, Kernels, ScoreHead};
use pair2score_scorer::Encoder;

use super::exact::ridges;
use super::goal::{Goal, column};
use super::inputs::HeadInputs;
use super::units::{self, Units};
use super::{AbsoluteModel, Unseen};
use crate::TrainError;
use crate::backend::TrainBackend;
use crate::batches::Sizes;
use crate::config::Binning;
use crate::exact;
use crate::loss::Loss;
use crate::metrics::{self, RegressionMetrics};
use crate::task::{Evaluation, Task, evaluation, over_traits};

/// Training documents with their labels of each trait, and validation documents that choose the epoch.
#[derive(Debug)]
pub struct AbsoluteTask<'a, B: TrainBackend> {
    inputs: HeadInputs<'a, B>,
    goal: Goal,
    /// Weight of each trait in the loss, above 0.
    weights: Vec<f64>,
    /// The units of heads that begin from data, while they train.
    units: Option<Units>,
    replicas: Vec<Self>,
}

/// Predictions of a trait and how good they are.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The documents that have a label of the trait.
    pub documents: Vec<usize>,
    /// Their labels.
    pub labels: Vec<f64>,
    /// Their scores in rubric units.
    pub scores: Vec<f64>,
    /// Mean of the objective.
    pub loss: f64,
    /// Agreement with the labels.
    pub metrics: RegressionMetrics,
}

impl Measured {
    /// As documents that did not decide the scores, where they did not.
    pub fn unseen(self) -> Unseen {
        let Self { documents, labels, scores, .. } = self;
        Unseen { documents, labels, scores }
    }

    /// As validation metrics for this goal: kappas only where there are grades.
    pub(super) fn evaluation(&self, goal: &Goal) -> Evaluation {
        let Goal { scale, binning, .. } = goal;
        let metrics = &self.metrics;
        let mut evaluation = evaluation([
            ("val_r2", metrics.r2),
            ("val_pearson", metrics.pearson),
            ("val_mae", Some(metrics.mae)),
            ("val_rmse", Some(metrics.rmse)),
            ("val_loss", Some(self.loss)),
        ]);
        if scale.grades().is_some() {
            let qwk = match binning {
                Binning::Nearest => metrics.qwk_nearest,
                Binning::Floor => metrics.qwk_floor,
            };
            let kappas = [
                ("val_qwk", qwk),
                ("val_qwk_nearest", metrics.qwk_nearest),
                ("val_qwk_floor", metrics.qwk_floor),
            ];
            evaluation.extend(kappas.map(|(name, value)| (name.to_owned(), value)));
        }
        evaluation
    }
}

/// Documents that are read to see where embeddings lie before an adapter trains. Each is a pass of the backbone, and so
/// many know a mean to a sixteenth of the deviation.
const MOST_READ: usize = 256;

/// Every so many of these documents that at most `most` are left.
fn thinned(documents: &[usize], most: usize) -> Vec<usize> {
    documents.iter().copied().step_by(documents.len().div_ceil(most).max(1)).collect()
}

impl<'a, B: TrainBackend> AbsoluteTask<'a, B> {
    /// Learning this goal from these inputs, in each trait; the traits have weights in the loss.
    pub fn new(inputs: HeadInputs<'a, B>, goal: Goal, weights: Vec<f64>) -> Self {
        Self { inputs, goal, weights, units: None, replicas: Vec::new() }
    }

    /// Lets the heads of a fresh model begin from the training documents: their embeddings before the first step, of
    /// 256 at most where they have to be computed for this, and their labels.
    ///
    /// # Errors
    /// When an embedding is not finite.
    pub fn start_from_data(self, model: AbsoluteModel<B>) -> Result<(Self, AbsoluteModel<B>), TrainError> {
        let AbsoluteModel { adapter, heads } = model;
        let documents = &self.inputs.examples.splits.train;
        let adapter_now = adapter.as_ref().map(AutodiffModule::valid);
        let read = if self.inputs.are_computed() { documents.clone() } else { thinned(documents, MOST_READ) };
        let rows = self.rows(adapter_now.as_ref(), &read)?;
        let (units, link) = (self.units_of(&read, rows.view())?, self.goal.link());
        let labels = |place| self.inputs.examples.labelled(place, documents).1;
        let head = |(place, head)| units::at_the_labels(head, &labels(place), &link, self.inputs.device);
        let heads = heads.into_iter().enumerate().map(head).collect();
        Ok((Self { units: Some(units), ..self }, AbsoluteModel { adapter, heads }))
    }

    /// Lets the heads of a fresh model begin at the ridge of the training documents; `before` are the inputs of these
    /// before the first step.
    ///
    /// # Errors
    /// When there are too few labels, or an embedding is not finite.
    pub(crate) fn start_from_ridge(
        self,
        before: &HeadInputs<'_, B>,
        model: AbsoluteModel<B>,
    ) -> Result<(Self, AbsoluteModel<B>), TrainError> {
        let documents = &self.inputs.examples.splits.train;
        let units = self.units_of(documents, before.rows(documents).view())?;
        let heads = ridges(before, documents)?.into_iter().zip(&model.heads).enumerate();
        let heads =
            heads.map(|(place, (ridge, fresh))| units.begun_at_linear(place, fresh, &ridge)).collect();
        Ok((Self { units: Some(units), ..self }, AbsoluteModel { heads, ..model }))
    }

    /// The units of inputs of documents, `[documents, width]`, and of the labels of all training documents.
    fn units_of(&self, documents: &[usize], inputs: ArrayView2<'_, f32>) -> Result<Units, TrainError> {
        let examples = self.inputs.examples;
        let labels = |place| examples.labelled(place, &examples.splits.train).1;
        let labels: Vec<Vec<f64>> = (0..examples.traits.len()).map(labels).collect();
        Units::of(inputs, &labels, &self.goal.link())
            .map_err(|problem| exact::named(problem, "absolute", examples, documents))
    }

    /// A trained model whose heads read embeddings as they are, and the task for it.
    pub fn finished(self, model: AbsoluteModel<B>) -> (Self, AbsoluteModel<B>) {
        let model = match &self.units {
            None => model,
            Some(units) => {
                let heads = model.heads.iter().enumerate();
                let fold = |(place, head)| units.fold(place, head, self.inputs.device);
                AbsoluteModel { heads: heads.map(fold).collect(), ..model }
            }
        };
        (Self { units: None, replicas: Vec::new(), ..self }, model)
    }

    /// What the link of the goal reads, from the head of each trait.
    fn outputs<K: Kernels>(&self, heads: &[ScoreHead<K>], inputs: Tensor<K, 2>) -> Vec<Tensor<K, 2>> {
        let inputs = match &self.units {
            None => inputs,
            Some(units) => units.inputs(inputs),
        };
        let outputs = heads.iter().map(|head| head.forward(inputs.clone())).enumerate();
        outputs
            .map(|(place, outputs)| match &self.units {
                None => outputs,
                Some(units) => units.outputs(place, outputs),
            })
            .collect()
    }

    /// The task with further devices for its steps, each with the encoder on it; evaluation stays on the first, and
    /// so does everything where only the head trains.
    pub fn shared_with(self, others: &'a [(Encoder<B>, B::Device)]) -> Self {
        if self.inputs.are_computed() {
            return self;
        }
        let replica = |(encoder, device): &'a (Encoder<B>, B::Device)| {
            let (inputs, units) = (self.inputs.on(encoder, device), self.units.clone());
            Self { units, ..Self::new(inputs, self.goal, self.weights.clone()) }
        };
        Self { replicas: others.iter().map(replica).collect(), ..self }
    }

    /// Scores of documents in rubric units and how they agree with the labels, of each trait, in the order given.
    ///
    /// # Errors
    /// When no document has a label of a trait or a score is not finite.
    pub fn measure(
        &self,
        model: &AbsoluteModel<B::InnerBackend>,
        documents: &[usize],
    ) -> Result<Vec<Measured>, TrainError> {
        let (examples, link) = (self.inputs.examples, self.goal.link());
        let rows = self.inputs.map(model.adapter.as_ref(), documents, |places, inputs| {
            let documents: Vec<usize> = places.iter().map(|&place| documents[place]).collect();
            let outputs = self.outputs(&model.heads, inputs).into_iter().enumerate();
            let columns = outputs.flat_map(|(place, outputs)| {
                let losses = self.goal.losses(outputs.clone(), &self.labels_or_any(place, &documents));
                [link.score(outputs), losses]
            });
            Tensor::stack(columns.collect(), 1)
        })?;
        let of_trait = |place: usize| {
            let of = &examples.traits[place];
            let rows = rows.chunks_exact(2 * examples.traits.len()).zip(documents);
            let rows = rows.filter(|(_, document)| of.labels[**document].is_some());
            let (scores, losses): (Vec<f64>, Vec<f64>) =
                rows.map(|(row, _)| (f64::from(row[2 * place]), f64::from(row[2 * place + 1]))).unzip();
            let loss = losses.iter().sum::<f64>() / scores.len() as f64;
            let (documents, labels) = examples.labelled(place, documents);
            let metrics = metrics::regression(&labels, &scores, &self.goal.scale)?;
            Ok(Measured { documents, labels, scores, loss, metrics })
        };
        (0..examples.traits.len()).map(of_trait).collect()
    }

    /// What the heads read of documents, `[documents, width]`.
    ///
    /// # Errors
    /// When a number is not finite.
    pub fn embeddings(
        &self,
        model: &AbsoluteModel<B::InnerBackend>,
        documents: &[usize],
    ) -> Result<Array2<f32>, TrainError> {
        self.rows(model.adapter.as_ref(), documents)
    }

    fn rows(
        &self,
        adapter: Option<&Adapter<B::InnerBackend>>,
        documents: &[usize],
    ) -> Result<Array2<f32>, TrainError> {
        let rows = self.inputs.map(adapter, documents, |_, inputs| inputs)?;
        let shape = (documents.len(), self.inputs.width());
        Ok(Array2::from_shape_vec(shape, rows).expect("each document has one row"))
    }

    /// The labels of documents in a trait; where there is none, one that any document could have.
    fn labels_or_any(&self, place: usize, documents: &[usize]) -> Vec<f64> {
        let labels = &self.inputs.examples.traits[place].labels;
        documents.iter().map(|&document| labels[document].unwrap_or(self.goal.scale.min())).collect()
    }

    /// Weights of documents in the loss of a trait: 0 where they have no label.
    fn label_weights<'t>(&'t self, place: usize, documents: &'t [usize]) -> impl Iterator<Item = f64> + 't {
        let (of, weight) = (&self.inputs.examples.traits[place], self.weights[place]);
        let weight = move |document: usize| weight * of.weight(document);
        documents.iter().map(move |&document| of.labels[document].map_or(0.0, |_| weight(document)))
    }

    /// What the head reads.
    pub fn inputs(&self) -> &HeadInputs<'a, B> {
        &self.inputs
    }

    /// What is learned.
    pub fn goal(&self) -> &Goal {
        &self.goal
    }

    /// The document of a training example.
    fn document(&self, example: usize) -> usize {
        self.inputs.examples.splits.train[example]
    }
}

impl<B: TrainBackend> Sizes for AbsoluteTask<'_, B> {
    fn n_examples(&self) -> usize {
        self.inputs.examples.splits.train.len()
    }

    fn tokens(&self, example: usize) -> usize {
        self.inputs.examples.ids(self.document(example)).len()
    }
}

impl<B: TrainBackend> Task<B> for AbsoluteTask<'_, B> {
    type Model = AbsoluteModel<B>;

    fn device(&self) -> B::Device {
        self.inputs.device.clone()
    }

    fn replicas(&self) -> &[Self] {
        &self.replicas
    }

    fn describe(&self, example: usize) -> String {
        self.inputs.examples.id(self.document(example)).to_owned()
    }

    fn weight(&self, example: usize) -> f64 {
        let document = [self.document(example)];
        (0..self.weights.len()).flat_map(|place| self.label_weights(place, &document)).sum()
    }

    fn loss<'t>(&'t self, model: &'t AbsoluteModel<B>, examples: &[usize], dropout_seed: u64) -> Loss<'t, B> {
        let documents: Vec<usize> = examples.iter().map(|&example| self.document(example)).collect();
        let (inputs, embedded) = self.inputs.in_training(model.adapter.as_ref(), &documents, dropout_seed);
        let of_trait = |(place, outputs): (usize, Tensor<B, 2>)| {
            let losses = self.goal.losses(outputs, &self.labels_or_any(place, &documents));
            let weights = self.label_weights(place, &documents).map(|weight| weight as f32).collect();
            (losses * column(weights, self.inputs.device)).sum()
        };
        let sums = self.outputs(&model.heads, inputs).into_iter().enumerate().map(of_trait);
        Loss { sum: sums.reduce(|sum, next| sum + next).expect("there is a trait"), documents: embedded }
    }

    fn evaluate(&self, model: &AbsoluteModel<B::InnerBackend>) -> Result<Evaluation, TrainError> {
        let measured = self.measure(model, &self.inputs.examples.splits.val)?;
        let traits = self.inputs.examples.traits.iter().zip(&measured);
        let of_each = traits.map(|(of, measured)| (of.target.as_str(), measured.evaluation(&self.goal)));
        Ok(over_traits(of_each.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_thinned_evenly_to_what_is_enough() {
        let all: Vec<usize> = (10..20).collect();
        assert_eq!(thinned(&all, 10), all);
        assert_eq!(thinned(&all, 9), [10, 12, 14, 16, 18]);
        assert_eq!(thinned(&all, 3), [10, 14, 18]);
        assert!(thinned(&[], 3).is_empty());
    }
}
