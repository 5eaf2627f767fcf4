//! Stage 2: learning the score, from scratch or from what stage 1 learned.
//!
//! Pair2Score (arXiv:2605.02069). The transfers differ only in data: which adapters are frozen, whether one trains,
//! and whether the frozen stage-1 embedding is concatenated before the head. Where nothing below the head trains,
//! the embeddings are computed once and an epoch costs only the head.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{DType, Int, Tensor, TensorData, backend::Backend};
use pair2score_data::ScoreScale;
use pair2score_data::rng::stream;
use pair2score_model::{Adapter, Kernels, LoraConfig, ScoreHead, ScoreLink, loss};
use pair2score_scorer::Encoder;

use crate::TrainError;
use crate::config::{Binning, Objective, Transfer};
use crate::examples::Examples;
use crate::fit::{Evaluation, Task, TrainBackend, evaluation};
use crate::loss::{Embedded, Loss};
use crate::metrics::{self, RegressionMetrics};
use crate::report::Progress;

/// What stage 2 trains.
#[derive(Module, Debug)]
pub struct AbsoluteModel<B: Backend> {
    /// The adapter that trains, if one does.
    pub adapter: Option<Adapter<B>>,
    /// Pooled embedding to outputs.
    pub head: ScoreHead<B>,
}

/// A transfer as data.
#[derive(Debug)]
pub struct Start<B: Backend> {
    /// Adapters that do not train, without dropout.
    pub frozen: Vec<Adapter<B>>,
    /// The adapter that trains.
    pub trainable: Option<Adapter<B>>,
    /// The adapter whose embedding is concatenated.
    pub fused: Option<Adapter<B>>,
}

impl<B: Kernels> Start<B> {
    /// The start a transfer asks for; `relative` is the stage-1 adapter, which the configuration guarantees where
    /// the transfer needs it.
    pub fn new(
        transfer: Transfer,
        lora: &LoraConfig,
        relative: Option<Adapter<B>>,
        encoder: &Encoder<B>,
        seed: u64,
        device: &B::Device,
    ) -> Self {
        let fresh = || {
            let mut rng = stream(seed, &["init", "absolute", "adapter"]);
            Adapter::init(lora, &encoder.config, &mut rng, device)
        };
        let relative = || relative.clone().expect("the configuration asks for stage 1 with this transfer");
        let frozen = || relative().with_dropout(0.0).no_grad();
        let reused = |train: bool| match train {
            true => (vec![], Some(relative().with_dropout(lora.dropout))),
            false => (vec![frozen()], None),
        };
        let ((frozen_adapters, trainable), fused) = match transfer {
            Transfer::HeadOnly => ((vec![], None), None),
            Transfer::Scratch => ((vec![], Some(fresh())), None),
            Transfer::WarmStart { train_adapter } => (reused(train_adapter), None),
            Transfer::Stacked => ((vec![frozen()], Some(fresh())), None),
            Transfer::Fusion { reuse: true, train_adapter } => (reused(train_adapter), Some(frozen())),
            Transfer::Fusion { reuse: false, .. } => ((vec![], Some(fresh())), Some(frozen())),
        };
        Self { frozen: frozen_adapters, trainable, fused }
    }
}

/// How the outputs of the head become a score under an objective.
pub fn link(objective: Objective, scale: &ScoreScale) -> ScoreLink {
    let (min, step, grades) = (scale.min, scale.step, scale.n_grades());
    match objective {
        Objective::L1 | Objective::Mse | Objective::Huber { .. } => ScoreLink::Identity,
        Objective::Ordinal => ScoreLink::Cumulative { min, step, grades },
        Objective::Classification => ScoreLink::Expected { min, step, grades },
    }
}

/// Stage 2 as the loop sees it.
#[derive(Debug)]
pub struct AbsoluteTask<'a, B: TrainBackend> {
    encoder: &'a Encoder<B>,
    inner: Encoder<B::InnerBackend>,
    examples: &'a Examples,
    frozen: Vec<Adapter<B>>,
    /// Pooled embeddings by document, where nothing below the head trains.
    pooled: Option<Embeddings>,
    /// Stage-1 embeddings by document, for fusion.
    fused: Option<Arc<Embeddings>>,
    objective: Objective,
    link: ScoreLink,
    scale: ScoreScale,
    binning: Binning,
    recompute: bool,
    device: &'a B::Device,
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

/// Embeddings on the host, by document.
type Embeddings = BTreeMap<usize, Vec<f32>>;

impl<'a, B: TrainBackend> AbsoluteTask<'a, B> {
    /// Computes what can be computed once and makes the model to train; with `recompute` the backward pass
    /// computes each layer once more, so that only what enters the layers is kept.
    #[expect(clippy::too_many_arguments, reason = "the data and settings of a whole stage meet here")]
    pub fn new(
        encoder: &'a Encoder<B>,
        examples: &'a Examples,
        start: Start<B>,
        objective: Objective,
        scale: ScoreScale,
        binning: Binning,
        seed: u64,
        recompute: bool,
        device: &'a B::Device,
        progress: &mut dyn Progress,
    ) -> (Self, AbsoluteModel<B>) {
        let inner = encoder.valid();
        let mut embed = |stage: &str, adapters: &[&Adapter<B>]| {
            let adapters: Vec<Adapter<B::InnerBackend>> = adapters.iter().map(|a| valid(*a)).collect();
            let adapters: Vec<&Adapter<B::InnerBackend>> = adapters.iter().collect();
            let splits = &examples.splits;
            let documents: Vec<usize> =
                [&splits.train, &splits.val, &splits.test].into_iter().flatten().copied().collect();
            embed_documents(stage, &inner, examples, &documents, &adapters, device, progress)
        };
        let fused = start.fused.as_ref().map(|adapter| Arc::new(embed("embed stage 1", &[adapter])));
        let pooled =
            start.trainable.is_none().then(|| embed("embed", &start.frozen.iter().collect::<Vec<_>>()));

        let d = encoder.config.d_model;
        let width = if fused.is_some() { 2 * d } else { d };
        let link = link(objective, &scale);
        let mut rng = stream(seed, &["init", "absolute", "head"]);
        let head = ScoreHead::init(width, link.n_outputs(), &mut rng, device);
        let model = AbsoluteModel { adapter: start.trainable, head };
        let frozen = start.frozen;
        let task = Self {
            encoder,
            inner,
            examples,
            frozen,
            pooled,
            fused,
            objective,
            link,
            scale,
            binning,
            recompute,
            device,
            replicas: Vec::new(),
        };
        (task, model)
    }

    /// The task with further devices for its steps, each with the encoder on it; evaluation stays on the first, and
    /// so does everything where only the head trains.
    pub fn shared_with(self, others: &'a [(Encoder<B>, B::Device)]) -> Self {
        if self.pooled.is_some() {
            return self;
        }
        let replica = |(encoder, device): &'a (Encoder<B>, B::Device)| Self {
            inner: encoder.valid(),
            encoder,
            frozen: self.frozen.iter().map(|adapter| adapter.clone().fork(device)).collect(),
            pooled: None,
            fused: self.fused.clone(),
            device,
            replicas: Vec::new(),
            ..self
        };
        let replicas = others.iter().map(replica).collect();
        Self { replicas, ..self }
    }

    /// Outputs of the head; `pooled` embeds the documents where that is not done once for all.
    fn outputs<K: Kernels<Device = B::Device>>(
        &self,
        head: &ScoreHead<K>,
        documents: &[usize],
        pooled: impl FnOnce() -> Tensor<K, 2>,
    ) -> Tensor<K, 2> {
        let rows_of = |embeddings: &Embeddings| {
            let values: Vec<f32> = documents.iter().flat_map(|d| embeddings[d].iter().copied()).collect();
            let shape = [documents.len(), values.len() / documents.len()];
            Tensor::<K, 2>::from_data(TensorData::new(values, shape), (self.device, DType::F32))
        };
        let mut pooled = self.pooled.as_ref().map_or_else(pooled, rows_of);
        if let Some(fused) = &self.fused {
            pooled = Tensor::cat(vec![pooled, rows_of(fused)], 1);
        }
        head.forward(pooled)
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
        let frozen: Vec<_> = self.frozen.iter().map(valid).collect();
        let encoded: Vec<_> = documents.iter().map(|&d| self.examples.encoded(d)).collect();
        let labels: Vec<f64> = documents.iter().map(|&d| self.examples.label(d)).collect();
        let rows = self.inner.map_documents(
            &encoded,
            |_| (),
            |group, rows| {
                let documents: Vec<usize> = group.iter().map(|&i| documents[i]).collect();
                let group_labels: Vec<f64> = group.iter().map(|&i| labels[i]).collect();
                let outputs = self.outputs(&model.head, &documents, || {
                    let adapters: Vec<_> = frozen.iter().chain(&model.adapter).collect();
                    self.inner.embed(rows, &adapters, self.device)
                });
                let losses = self.losses(outputs.clone(), &group_labels);
                Tensor::stack(vec![self.link.score(outputs), losses], 1)
            },
        );
        let scores: Vec<f64> = rows.chunks_exact(2).map(|row| f64::from(row[0])).collect();
        let loss = rows.chunks_exact(2).map(|row| f64::from(row[1])).sum::<f64>() / scores.len() as f64;
        let metrics = metrics::regression(&labels, &scores, &self.scale)?;
        Ok(Measured { scores, loss, metrics })
    }

    /// Loss of each document.
    fn losses<K: Kernels<Device = B::Device>>(&self, outputs: Tensor<K, 2>, labels: &[f64]) -> Tensor<K, 1> {
        let n = labels.len();
        let column = |values: Vec<f32>| {
            Tensor::<K, 1>::from_data(TensorData::new(values, [n]), (self.device, DType::F32))
        };
        let scores = || self.link.score(outputs.clone());
        let targets = || column(labels.iter().map(|&label| label as f32).collect());
        let grade = |label: &f64| self.scale.index_nearest(*label);
        match self.objective {
            Objective::L1 => loss::l1(scores(), targets()),
            Objective::Mse => loss::mse(scores(), targets()),
            Objective::Huber { delta } => loss::huber(scores(), targets(), delta),
            Objective::Ordinal => {
                let thresholds = self.scale.n_grades() - 1;
                let above = labels.iter().flat_map(|label| {
                    let grade = grade(label);
                    (0..thresholds).map(move |k| if grade > k { 1.0 } else { 0.0 })
                });
                let above = TensorData::new(above.collect::<Vec<f32>>(), [n, thresholds]);
                loss::ordinal(outputs, Tensor::from_data(above, (self.device, DType::F32)))
            }
            Objective::Classification => {
                let grades: Vec<i32> = labels.iter().map(|label| grade(label) as i32).collect();
                let grades = Tensor::<K, 1, Int>::from_data(TensorData::new(grades, [n]), self.device);
                loss::classification(outputs, grades)
            }
        }
    }
}

/// The module on the inner backend.
fn valid<B: TrainBackend>(adapter: &Adapter<B>) -> Adapter<B::InnerBackend> {
    burn::module::AutodiffModule::valid(adapter)
}

/// Embeddings of documents, each computed once.
pub(crate) fn embed_documents<K: Kernels>(
    stage: &str,
    encoder: &Encoder<K>,
    examples: &Examples,
    documents: &[usize],
    adapters: &[&Adapter<K>],
    device: &K::Device,
    progress: &mut dyn Progress,
) -> Embeddings {
    let encoded: Vec<_> = documents.iter().map(|&d| examples.encoded(d)).collect();
    progress.begin(stage, documents.len());
    let values = encoder.map_documents(
        &encoded,
        |done| progress.advance(done),
        |_, rows| encoder.embed(rows, adapters, device),
    );
    progress.end();
    let rows = values.chunks_exact(encoder.config.d_model);
    documents.iter().copied().zip(rows.map(<[f32]>::to_vec)).collect()
}

impl<B: TrainBackend> Task<B> for AbsoluteTask<'_, B> {
    type Model = AbsoluteModel<B>;

    fn device(&self) -> B::Device {
        self.device.clone()
    }

    fn replicas(&self) -> &[Self] {
        &self.replicas
    }

    fn n_examples(&self) -> usize {
        self.examples.splits.train.len()
    }

    fn tokens(&self, example: usize) -> usize {
        self.examples.ids(self.examples.splits.train[example]).len()
    }

    fn describe(&self, example: usize) -> String {
        self.examples.id(self.examples.splits.train[example]).to_owned()
    }

    fn loss<'t>(&'t self, model: &'t AbsoluteModel<B>, examples: &[usize], dropout_seed: u64) -> Loss<'t, B> {
        let documents: Vec<usize> = examples.iter().map(|&i| self.examples.splits.train[i]).collect();
        let rows: Vec<&[u32]> = documents.iter().map(|&d| self.examples.ids(d)).collect();
        let labels: Vec<f64> = documents.iter().map(|&d| self.examples.label(d)).collect();
        let mut embedded = None;
        let outputs = self.outputs(&model.head, &documents, || {
            let adapters: Vec<_> = self.frozen.iter().chain(&model.adapter).collect();
            let documents =
                Embedded::new(self.encoder, &rows, &adapters, dropout_seed, self.recompute, self.device);
            embedded.insert(documents).pooled.clone()
        });
        Loss { sum: self.losses(outputs, &labels).sum(), documents: embedded }
    }

    fn evaluate(&self, model: &AbsoluteModel<B::InnerBackend>) -> Result<Evaluation, TrainError> {
        let Measured { loss, metrics, .. } = self.measure(model, &self.examples.splits.val)?;
        let qwk = match self.binning {
            Binning::Nearest => metrics.qwk_nearest,
            Binning::Floor => metrics.qwk_floor,
        };
        Ok(evaluation([
            ("val_qwk", qwk),
            ("val_qwk_nearest", metrics.qwk_nearest),
            ("val_qwk_floor", metrics.qwk_floor),
            ("val_mae", Some(metrics.mae)),
            ("val_rmse", Some(metrics.rmse)),
            ("val_loss", Some(loss)),
        ]))
    }
}
