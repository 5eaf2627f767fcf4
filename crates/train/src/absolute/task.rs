//! Stage 2 as the loop sees it.

use burn::module::AutodiffModule;
use burn::tensor::Tensor;
use ndarray::Array2;
use pair2score_model::{Kernels, ScoreHead};
use pair2score_scorer::Encoder;

use super::AbsoluteModel;
use super::goal::Goal;
use super::inputs::HeadInputs;
use super::units::{self, Units};
use crate::TrainError;
use crate::backend::TrainBackend;
use crate::batches::Sizes;
use crate::config::Binning;
use crate::exact;
use crate::loss::Loss;
use crate::metrics::{self, RegressionMetrics};
use crate::task::{Evaluation, Task, evaluation};

/// Training documents with their labels, and validation documents that choose the epoch.
#[derive(Debug)]
pub struct AbsoluteTask<'a, B: TrainBackend> {
    inputs: HeadInputs<'a, B>,
    goal: Goal,
    /// The units of a head that begins from data, while it trains.
    units: Option<Units>,
    replicas: Vec<Self>,
}

/// Predictions and how good they are.
#[derive(Debug, Clone)]
pub struct Measured {
    /// In rubric units.
    pub scores: Vec<f64>,
    /// Mean of the objective.
    pub loss: f64,
    /// Agreement with the labels.
    pub metrics: RegressionMetrics,
}

impl Measured {
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

impl<'a, B: TrainBackend> AbsoluteTask<'a, B> {
    /// Learning this goal from these inputs.
    pub fn new(inputs: HeadInputs<'a, B>, goal: Goal) -> Self {
        Self { inputs, goal, units: None, replicas: Vec::new() }
    }

    /// Lets the head of a fresh model begin from the training documents: their embeddings before the first step, and
    /// their labels.
    ///
    /// # Errors
    /// When an embedding is not finite.
    pub fn start_from_data(self, model: AbsoluteModel<B>) -> Result<(Self, AbsoluteModel<B>), TrainError> {
        let AbsoluteModel { adapter, head } = model;
        let (documents, link, device) =
            (&self.inputs.examples.splits.train, self.goal.link(), self.inputs.device);
        let labels = self.inputs.examples.labels(documents);
        let adapter_now = adapter.as_ref().map(AutodiffModule::valid);
        let rows = self.inputs.map(adapter_now.as_ref(), documents, |_, inputs| inputs)?;
        let rows = Array2::from_shape_vec((documents.len(), self.inputs.width()), rows)
            .expect("each document has one row");
        let units = Units::of(rows.view(), &labels, &link)
            .map_err(|problem| exact::named(problem, "absolute", self.inputs.examples, documents))?;
        let head = units::at_the_labels(head, &labels, &link, device);
        Ok((Self { units: Some(units), ..self }, AbsoluteModel { adapter, head }))
    }

    /// A trained model whose head reads embeddings as they are, and the task for it.
    pub fn finished(self, model: AbsoluteModel<B>) -> (Self, AbsoluteModel<B>) {
        let model = match &self.units {
            None => model,
            Some(units) => AbsoluteModel { head: units.fold(&model.head, self.inputs.device), ..model },
        };
        (Self { units: None, replicas: Vec::new(), ..self }, model)
    }

    /// What the link of the goal reads.
    fn outputs<K: Kernels>(&self, head: &ScoreHead<K>, inputs: Tensor<K, 2>) -> Tensor<K, 2> {
        match &self.units {
            None => head.forward(inputs),
            Some(units) => units.outputs(head.forward(units.inputs(inputs))),
        }
    }

    /// The task with further devices for its steps, each with the encoder on it; evaluation stays on the first, and
    /// so does everything where only the head trains.
    pub fn shared_with(self, others: &'a [(Encoder<B>, B::Device)]) -> Self {
        if self.inputs.are_computed() {
            return self;
        }
        let replica = |(encoder, device): &'a (Encoder<B>, B::Device)| {
            let (inputs, units) = (self.inputs.on(encoder, device), self.units.clone());
            Self { units, ..Self::new(inputs, self.goal) }
        };
        Self { replicas: others.iter().map(replica).collect(), ..self }
    }

    /// Scores of documents in rubric units, in the order given, and how they agree with the labels.
    ///
    /// # Errors
    /// When there is no document or a score is not finite.
    pub fn measure(
        &self,
        model: &AbsoluteModel<B::InnerBackend>,
        documents: &[usize],
    ) -> Result<Measured, TrainError> {
        let labels = self.inputs.examples.labels(documents);
        let link = self.goal.link();
        let rows = self.inputs.map(model.adapter.as_ref(), documents, |places, inputs| {
            let labels: Vec<f64> = places.iter().map(|&place| labels[place]).collect();
            let outputs = self.outputs(&model.head, inputs);
            let losses = self.goal.losses(outputs.clone(), &labels);
            Tensor::stack(vec![link.score(outputs), losses], 1)
        })?;
        let scores: Vec<f64> = rows.chunks_exact(2).map(|row| f64::from(row[0])).collect();
        let loss = rows.chunks_exact(2).map(|row| f64::from(row[1])).sum::<f64>() / scores.len() as f64;
        let metrics = metrics::regression(&labels, &scores, &self.goal.scale)?;
        Ok(Measured { scores, loss, metrics })
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

    fn loss<'t>(&'t self, model: &'t AbsoluteModel<B>, examples: &[usize], dropout_seed: u64) -> Loss<'t, B> {
        let documents: Vec<usize> = examples.iter().map(|&example| self.document(example)).collect();
        let labels = self.inputs.examples.labels(&documents);
        let (inputs, embedded) = self.inputs.in_training(model.adapter.as_ref(), &documents, dropout_seed);
        let outputs = self.outputs(&model.head, inputs);
        Loss { sum: self.goal.losses(outputs, &labels).sum(), documents: embedded }
    }

    fn evaluate(&self, model: &AbsoluteModel<B::InnerBackend>) -> Result<Evaluation, TrainError> {
        let measured = self.measure(model, &self.inputs.examples.splits.val)?;
        Ok(measured.evaluation(&self.goal))
    }
}
