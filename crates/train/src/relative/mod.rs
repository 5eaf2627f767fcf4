//! Stage 1: learning to rank from pairs.
//!
//! Pair2Score (arXiv:2605.02069): both documents go through one backbone and one adapter, a bias-free head gives
//! each its utility, and binary cross-entropy on their difference is the loss. What differs from the published
//! code: a document that occurs in several pairs of a batch is encoded once, and an evaluation encodes each
//! distinct document once.

mod exact;

use burn::module::Module;
use burn::tensor::{DType, Tensor, TensorData, backend::Backend};
use ndarray::Array1;
use pair2score_data::rng::stream;
use pair2score_heads::Standardisation;
use pair2score_model::{Adapter, Kernels, LoraConfig, UtilityHead, loss};
use pair2score_scorer::Encoder;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::backend::TrainBackend;
use crate::batches::Sizes;
use crate::embeddings::Embeddings;
use crate::examples::{Examples, PairExample, TraitLabels, distinct};
use crate::loss::{Embedded, Loss, indices};
use crate::metrics;
use crate::state::FitOutcome;
use crate::task::{Evaluation, Task, evaluation, over_traits};

pub use exact::SolvedUtilities;

/// What stage 1 trains.
#[derive(Module, Debug)]
pub struct RelativeModel<B: Backend> {
    /// The adapter on the frozen backbone.
    pub adapter: Adapter<B>,
    /// Pooled embedding to the utility of each trait.
    pub heads: Vec<UtilityHead<B>>,
}

impl<B: Kernels> RelativeModel<B> {
    /// A fresh adapter and a head for each of `traits`; same seed, same numbers on every device.
    pub fn init(
        lora: &LoraConfig,
        traits: usize,
        encoder: &Encoder<B>,
        seed: u64,
        device: &B::Device,
    ) -> Self {
        let mut rng = stream(seed, &["init", "relative"]);
        let adapter = Adapter::init(lora, &encoder.config, &mut rng, device);
        let heads = (0..traits).map(|_| UtilityHead::init(encoder.config.d_model, &mut rng, device));
        Self { adapter, heads: heads.collect() }
    }

    /// Utilities of documents in each trait.
    ///
    /// # Shapes
    /// - pooled: `[documents, d_model]`
    /// - output: `[documents, traits]`
    pub fn utilities(&self, pooled: Tensor<B, 2>) -> Tensor<B, 2> {
        Tensor::stack(self.heads.iter().map(|head| head.forward(pooled.clone())).collect(), 1)
    }

    /// Logits `u(a) - u(b)` of pairs of documents.
    ///
    /// # Shapes
    /// - pooled: `[documents, d_model]`, embeddings of distinct documents
    /// - pairs: positions of both documents in `pooled`, and the trait that the pair is about
    /// - output: `[pairs]`
    pub fn logits(&self, pooled: Tensor<B, 2>, pairs: &[(usize, usize, usize)]) -> Tensor<B, 1> {
        let (device, traits) = (pooled.device(), self.heads.len());
        let utilities: Tensor<B, 1> = self.utilities(pooled).flatten(0, 1);
        let side = |places: Vec<usize>| utilities.clone().select(0, indices(&places, &device));
        side(pairs.iter().map(|&(a, _, of)| a * traits + of).collect())
            - side(pairs.iter().map(|&(_, b, of)| b * traits + of).collect())
    }
}

/// Stage 1 as the loop sees it.
#[derive(Debug)]
pub struct RelativeTask<'a, B: TrainBackend> {
    encoder: &'a Encoder<B>,
    inner: Encoder<B::InnerBackend>,
    examples: &'a Examples,
    train: &'a [PairExample],
    val: &'a [PairExample],
    recompute: bool,
    /// The units of heads that begin at a solution, while they train.
    units: Option<Standardisation>,
    device: &'a B::Device,
    replicas: Vec<Self>,
}

impl<'a, B: TrainBackend> RelativeTask<'a, B> {
    /// Stage 1 on the training and validation pairs; with `recompute` the backward pass
    /// computes each layer once more, so that only what enters the layers is kept.
    pub fn new(
        encoder: &'a Encoder<B>,
        examples: &'a Examples,
        train: &'a [PairExample],
        val: &'a [PairExample],
        recompute: bool,
        device: &'a B::Device,
    ) -> Self {
        let inner = encoder.valid();
        Self { inner, encoder, examples, train, val, recompute, units: None, device, replicas: Vec::new() }
    }

    /// Lets the heads of a fresh model begin where [`SolvedUtilities`] end; `embeddings` are those of the documents of
    /// the training pairs, by the backbone alone, as a fresh adapter leaves them.
    ///
    /// # Errors
    /// When an embedding is not finite.
    pub(crate) fn start_from_solution(
        self,
        embeddings: &Embeddings,
        model: RelativeModel<B>,
    ) -> Result<(Self, RelativeModel<B>), TrainError> {
        let documents = distinct(self.train).0;
        let units = Standardisation::of(embeddings.rows(&documents).view())
            .map_err(|problem| crate::exact::named(problem, "relative", self.examples, &documents))?;
        let solved = exact::utilities(embeddings, self.examples, self.train)?;
        let head =
            |weights: Vec<f32>| scaled(weights.into_iter().map(f64::from), &units.deviation, self.device);
        let heads = solved.into_iter().map(head).collect();
        Ok((Self { units: Some(units), ..self }, RelativeModel { heads, ..model }))
    }

    /// The outcome of this task with heads that read embeddings as they are. Their utilities differ from those in training
    /// by a constant, which no pair sees.
    pub(crate) fn finished(&self, outcome: FitOutcome<RelativeModel<B>>) -> FitOutcome<RelativeModel<B>> {
        let Some(units) = &self.units else { return outcome };
        let RelativeModel { adapter, heads } = outcome.model;
        let fold = |head: UtilityHead<B>| {
            let weights = head.weight.val().into_data().convert::<f64>().into_vec::<f64>();
            scaled(weights.expect("converted to f64"), &(1.0 / &units.deviation), self.device)
        };
        let heads = heads.into_iter().map(fold).collect();
        FitOutcome { model: RelativeModel { adapter, heads }, ..outcome }
    }

    /// Embeddings as the heads read them in training, `[documents, d_model]`.
    fn inputs<K: Backend>(&self, pooled: Tensor<K, 2>) -> Tensor<K, 2> {
        match &self.units {
            None => pooled,
            Some(units) => crate::exact::standardised(units, pooled),
        }
    }

    /// The task with further devices for its steps, each with the encoder on it; evaluation stays on the first.
    pub fn shared_with(self, others: &'a [(Encoder<B>, B::Device)]) -> Self {
        let replica = |(encoder, device): &'a (Encoder<B>, B::Device)| {
            let units = self.units.clone();
            Self { units, ..Self::new(encoder, self.examples, self.train, self.val, self.recompute, device) }
        };
        Self { replicas: others.iter().map(replica).collect(), ..self }
    }

    /// Logits of pairs on the inner backend, each distinct document encoded once.
    ///
    /// # Errors
    /// When the utility of a document is not finite.
    pub fn predict(
        &self,
        model: &RelativeModel<B::InnerBackend>,
        pairs: &[PairExample],
    ) -> Result<Vec<f64>, TrainError> {
        let (documents, place) = distinct(pairs);
        let encoded: Vec<_> = documents.iter().map(|&d| self.examples.encoded(d)).collect();
        let utilities = self.inner.map_documents(
            &encoded,
            |_| (),
            |_, rows| {
                let pooled = self.inner.embed(rows, &[&model.adapter], self.device);
                model.utilities(self.inputs(pooled))
            },
        );
        let utilities =
            utilities.map_err(|error| error.of_document(|i| self.examples.id(documents[i]).to_owned()))?;
        let traits = model.heads.len();
        let utility = |document: usize, of: usize| utilities[place[&document] * traits + of];
        let logit =
            |pair: &PairExample| f64::from(utility(pair.a, pair.target) - utility(pair.b, pair.target));
        Ok(pairs.iter().map(logit).collect())
    }

    /// Accuracy and mean loss over pairs, and those of each trait.
    ///
    /// # Errors
    /// When a logit is not finite.
    pub fn measure(
        &self,
        model: &RelativeModel<B::InnerBackend>,
        pairs: &[PairExample],
    ) -> Result<MeasuredPairs, TrainError> {
        MeasuredPairs::of(&self.predict(model, pairs)?, pairs, self.examples)
    }
}

/// The head with these weights, each times a factor of its component.
fn scaled<B: Backend>(
    weights: impl IntoIterator<Item = f64>,
    factors: &Array1<f64>,
    device: &B::Device,
) -> UtilityHead<B> {
    let weights = weights.into_iter().zip(factors).map(|(weight, factor)| (weight * factor) as f32);
    UtilityHead::linear(weights.collect(), device)
}

/// How well pairs are ranked, all together and those about each trait.
#[derive(Debug, Clone)]
pub struct MeasuredPairs {
    /// All pairs.
    pub all: PairMetrics,
    /// By trait, where pairs are about it.
    pub traits: Vec<(String, PairMetrics)>,
}

impl MeasuredPairs {
    /// The metrics of logits, one per pair.
    fn of(logits: &[f64], pairs: &[PairExample], examples: &Examples) -> Result<Self, TrainError> {
        let mut traits = Vec::new();
        for (place, TraitLabels { target, .. }) in examples.traits.iter().enumerate() {
            let of_trait = logits.iter().zip(pairs).filter(|(_, pair)| pair.target == place);
            let (logits, pairs): (Vec<f64>, Vec<PairExample>) = of_trait.map(|(l, p)| (*l, *p)).unzip();
            if !pairs.is_empty() {
                traits.push((target.clone(), PairMetrics::of(&logits, &pairs)?));
            }
        }
        Ok(Self { all: PairMetrics::of(logits, pairs)?, traits })
    }

    /// As validation metrics: means over the traits.
    fn evaluation(&self) -> Evaluation {
        let of_each = self.traits.iter().map(|(target, PairMetrics { accuracy, loss })| {
            (target.as_str(), evaluation([("val_acc", *accuracy), ("val_loss", Some(*loss))]))
        });
        over_traits(of_each.collect())
    }
}

/// How well pairs are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PairMetrics {
    /// Share of decided pairs whose logit has the right sign; `None` when every pair is a tie.
    pub accuracy: Option<f64>,
    /// Mean binary cross-entropy.
    pub loss: f64,
}

impl PairMetrics {
    /// The metrics of logits, one per pair.
    fn of(logits: &[f64], pairs: &[PairExample]) -> Result<Self, TrainError> {
        let targets: Vec<f64> = pairs.iter().map(|pair| pair.y).collect();
        let weight: f64 = pairs.iter().map(|pair| pair.weight).sum();
        let losses = logits.iter().zip(pairs).map(|(&x, pair)| pair.weight * preference_loss(x, pair.y));
        let loss = losses.sum::<f64>() / weight;
        Ok(Self { accuracy: metrics::pair_accuracy(logits, &targets)?, loss })
    }
}

/// [`loss::preference`] of one logit, on the host.
fn preference_loss(logit: f64, y: f64) -> f64 {
    // log(1 + e^-|x|) is exact where e^x would overflow.
    logit.max(0.0) - logit * y + (-logit.abs()).exp().ln_1p()
}

impl<B: TrainBackend> Sizes for RelativeTask<'_, B> {
    fn n_examples(&self) -> usize {
        self.train.len()
    }

    fn tokens(&self, example: usize) -> usize {
        let PairExample { a, b, .. } = self.train[example];
        self.examples.ids(a).len() + self.examples.ids(b).len()
    }

    fn documents(&self, example: usize) -> Vec<usize> {
        let PairExample { a, b, .. } = self.train[example];
        vec![a, b]
    }

    fn batch_tokens(&self, examples: &[usize]) -> usize {
        let pairs: Vec<PairExample> = examples.iter().map(|&i| self.train[i]).collect();
        distinct(&pairs).0.iter().map(|&document| self.examples.ids(document).len()).sum()
    }
}

impl<B: TrainBackend> Task<B> for RelativeTask<'_, B> {
    type Model = RelativeModel<B>;

    fn device(&self) -> B::Device {
        self.device.clone()
    }

    fn replicas(&self) -> &[Self] {
        &self.replicas
    }

    fn weight(&self, example: usize) -> f64 {
        self.train[example].weight
    }

    fn describe(&self, example: usize) -> String {
        let PairExample { a, b, .. } = self.train[example];
        format!("{} | {}", self.examples.id(a), self.examples.id(b))
    }

    fn loss<'t>(&'t self, model: &'t RelativeModel<B>, examples: &[usize], dropout_seed: u64) -> Loss<'t, B> {
        let pairs: Vec<PairExample> = examples.iter().map(|&i| self.train[i]).collect();
        let (documents, place) = distinct(&pairs);
        let rows: Vec<&[u32]> = documents.iter().map(|&d| self.examples.ids(d)).collect();
        let places: Vec<_> = pairs.iter().map(|pair| (place[&pair.a], place[&pair.b], pair.target)).collect();
        let adapters = [&model.adapter];
        let documents =
            Embedded::new(self.encoder, &rows, &adapters, dropout_seed, self.recompute, self.device);
        let logits = model.logits(self.inputs(documents.pooled.clone()), &places);
        let column = |values: Vec<f32>| {
            let n = values.len();
            Tensor::<B, 1>::from_data(TensorData::new(values, [n]), (self.device, DType::F32))
        };
        let targets = column(pairs.iter().map(|pair| pair.y as f32).collect());
        let weights = column(pairs.iter().map(|pair| pair.weight as f32).collect());
        Loss { sum: (loss::preference(logits, targets) * weights).sum(), documents: Some(documents) }
    }

    fn evaluate(&self, model: &RelativeModel<B::InnerBackend>) -> Result<Evaluation, TrainError> {
        Ok(self.measure(model, self.val)?.evaluation())
    }
}
