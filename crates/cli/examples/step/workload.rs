//! The work that is timed: a forward pass, a step of stage 1 and a step of stage 2 on random weights.
//!
//! `shapes.json` holds the shapes, the document lengths and the adapter; `scripts/bench/steps_torch.py` reads the same file.
//! The real lengths are eight quantiles of the words of 2,001 ELLIPSE essays (mean 425), times 1.2 tokens a word, cut
//! at 512.

use std::collections::BTreeMap;

use burn::module::{AutodiffModule, Module, Param};
use burn::optim::{AdamW, AdamWConfig, Optimizer, adaptor::OptimizerAdaptor};
use burn::tensor::{DType, Distribution, Tensor, TensorData, backend::AutodiffBackend, backend::Backend};
use pair2score_data::rng::stream;
use pair2score_model::{
    Adapter, Backbone, Decoder, DecoderLayer, LlamaConfig, LoraConfig, Pooling, Projection, RmsNorm,
    RopeConfig, RopeScaling, ScoreHead, loss,
};
use pair2score_scorer::{Encoded, Encoder};
use pair2score_train::absolute::AbsoluteModel;
use pair2score_train::relative::RelativeModel;
use pair2score_train::{Embedded, Loss, TrainBackend};
use serde::Deserialize;

const SHAPES: &str = include_str!("shapes.json");

#[derive(Deserialize)]
struct Shapes {
    lengths: BTreeMap<String, Vec<usize>>,
    /// By the name of the work, of documents by place.
    pairs: BTreeMap<String, Vec<(usize, usize)>>,
    lora: LoraConfig,
    shapes: BTreeMap<String, Shape>,
}

#[derive(Deserialize)]
struct Shape {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    rope_theta: f64,
}

/// Real tokens that a work reads, a document once for each pair it is in; the lengths by name.
pub fn tokens(lengths: &str, work: Work) -> usize {
    let shapes = shapes();
    let lengths = &shapes.lengths[lengths];
    match shapes.pairs.get(work.name()) {
        Some(pairs) => pairs.iter().map(|&(a, b)| lengths[a] + lengths[b]).sum(),
        None => lengths.iter().sum(),
    }
}

fn shapes() -> Shapes {
    serde_json::from_str(SHAPES).expect("shapes.json is part of the program")
}

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Pooled embeddings with an adapter, as in an evaluation.
    Forward,
    /// Four pairs: loss, gradients, AdamW.
    Stage1,
    /// Four pairs of five documents, each of which is encoded once: what batches of four come to on ELLIPSE (5.2
    /// documents on average) with `document_grouped`.
    Stage1Shared,
    /// Eight documents: loss, gradients, AdamW.
    Stage2,
}

impl Work {
    pub const ALL: [Self; 4] = [Self::Forward, Self::Stage1, Self::Stage1Shared, Self::Stage2];

    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Stage1 => "stage1",
            Self::Stage1Shared => "stage1_shared",
            Self::Stage2 => "stage2",
        }
    }
}

/// A backbone, both models and a batch.
pub struct Bench<B: TrainBackend> {
    pub config: LlamaConfig,
    encoder: Encoder<B>,
    inner: Encoder<B::InnerBackend>,
    relative: RelativeModel<B>,
    absolute: AbsoluteModel<B>,
    relative_optimizer: OptimizerAdaptor<AdamW, RelativeModel<B>, B>,
    absolute_optimizer: OptimizerAdaptor<AdamW, AbsoluteModel<B>, B>,
    documents: Vec<Vec<u32>>,
    pairs: BTreeMap<String, Vec<(usize, usize)>>,
    lora: LoraConfig,
    device: B::Device,
}

/// The places of two documents, and the trait that a pair of them is about.
type Pair = (usize, usize, usize);

impl<B: TrainBackend> Bench<B> {
    /// `shape` and `lengths` are names in `shapes.json`.
    pub fn new(shape: &str, lengths: &str, dtype: DType, device: B::Device) -> Self {
        let shapes = shapes();
        let config = llama(shapes.shapes.get(shape).unwrap_or_else(|| panic!("no shape {shape}")));
        let lengths = &shapes.lengths[lengths];
        let documents = lengths.iter().enumerate().map(|(document, &length)| {
            // Any tokens do: the arithmetic does not look at them.
            (0..length).map(|i| ((document * 7919 + i * 104_729) % config.vocab_size) as u32).collect()
        });
        let documents = documents.collect();
        let backbone = random_backbone::<B>(&config, dtype, &device);
        let encoder = Encoder::new(config.clone(), backbone, Pooling::Mean);
        let relative = RelativeModel::init(&shapes.lora, 1, &encoder, 1, &device);
        let mut rng = stream(1, &["bench"]);
        let absolute = AbsoluteModel {
            adapter: Some(Adapter::init(&shapes.lora, &config, &mut rng, &device)),
            heads: vec![ScoreHead::init(config.d_model, 1, &mut rng, &device)],
        };
        let adamw = AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.01);
        Self {
            inner: encoder.valid(),
            encoder,
            relative,
            absolute,
            relative_optimizer: adamw.init(),
            absolute_optimizer: adamw.init(),
            documents,
            pairs: shapes.pairs,
            lora: shapes.lora,
            config,
            device,
        }
    }

    /// Packs the weights that inference uses.
    pub fn pack(&mut self) {
        let decoder = self.inner.backbone.decoder.clone();
        self.inner.backbone.decoder = decoder.packed();
    }

    /// The documents that are encoded, each once, and pairs of them by place, all about the one trait.
    fn batch(&self, work: Work) -> (Vec<&[u32]>, Vec<Pair>) {
        let Some(pairs) = self.pairs.get(work.name()) else {
            return (self.documents.iter().map(Vec::as_slice).collect(), Vec::new());
        };
        let mut places: Vec<usize> = pairs.iter().flat_map(|&(a, b)| [a, b]).collect();
        places.sort_unstable();
        places.dedup();
        let row = |place: &usize| places.binary_search(place).expect("every place was entered");
        let pairs = pairs.iter().map(|(a, b)| (row(a), row(b), 0)).collect();
        (places.iter().map(|&place| self.documents[place].as_slice()).collect(), pairs)
    }

    /// Floating-point operations that a piece of work needs, padding and masked products not counted: two per
    /// multiply-add; the backward pass computes gradients of inputs, and of the adapter's weights only.
    pub fn flops(&self, work: Work) -> f64 {
        let config = &self.config;
        let (documents, _) = self.batch(work);
        let tokens = documents.iter().map(|document| document.len()).sum::<usize>() as f64;
        let frozen: usize = Projection::ALL
            .iter()
            .map(|&p| {
                let (inputs, outputs) = config.projection_shape(p);
                inputs * outputs
            })
            .sum();
        let adapter: usize = self
            .lora
            .targets
            .iter()
            .map(|&p| {
                let (inputs, outputs) = config.projection_shape(p);
                self.lora.rank * (inputs + outputs)
            })
            .sum();
        // Scores and weighted values of the lower triangle.
        let attention: f64 = documents.iter().map(|d| (d.len() * (d.len() + 1) / 2) as f64).sum();
        let attention = attention * 2.0 * 2.0 * (config.n_heads * config.head_dim) as f64;
        let layers = config.n_layers as f64;
        let (frozen, adapter) = (2.0 * tokens * frozen as f64, 2.0 * tokens * adapter as f64);
        match work {
            Work::Forward => layers * (frozen + adapter + attention),
            // Attention's backward pass recomputes the scores: five products against two.
            Work::Stage1 | Work::Stage1Shared | Work::Stage2 => {
                layers * (2.0 * frozen + 3.0 * adapter + 3.5 * attention)
            }
        }
    }

    /// Does it once and waits for the device; gives a number that depends on all of it.
    pub fn run(&mut self, work: Work) -> f32 {
        let (rows, pairs) = self.batch(work);
        let column = |values: Vec<f32>| {
            let n = values.len();
            Tensor::<B, 1>::from_data(TensorData::new(values, [n]), (&self.device, DType::F32))
        };
        let embed = |adapter| Embedded::new(&self.encoder, &rows, &[adapter], 1, false, &self.device);
        let (documents, loss, examples) = match work {
            Work::Forward => {
                let adapter = AutodiffModule::valid(&self.relative.adapter);
                let documents: Vec<_> =
                    rows.iter().map(|row| Encoded { ids: row.to_vec(), full_length: row.len() }).collect();
                let embed = |_: &[usize], rows: &[&[u32]]| self.inner.embed(rows, &[&adapter], &self.device);
                let documents: Vec<_> = documents.iter().collect();
                return self
                    .inner
                    .map_documents(&documents, |_| (), embed)
                    .expect("finite")
                    .into_iter()
                    .sum();
            }
            Work::Stage1 | Work::Stage1Shared => {
                let documents = embed(&self.relative.adapter);
                let logits = self.relative.logits(documents.pooled.clone(), &pairs);
                (documents, loss::preference(logits, column(vec![1.0; pairs.len()])), pairs.len())
            }
            Work::Stage2 => {
                let documents = embed(self.absolute.adapter.as_ref().expect("made with one"));
                let outputs = self.absolute.heads[0].forward(documents.pooled.clone());
                (documents, loss::l1(outputs.squeeze_dim(1), column(vec![3.0; rows.len()])), rows.len())
            }
        };
        let (sum, examples) = (loss.sum(), examples as f64);
        let value = sum.clone().inner().div_scalar(examples);
        let loss = Loss { sum, documents: Some(documents) };
        if matches!(work, Work::Stage1 | Work::Stage1Shared) {
            let gradients = loss.gradients(examples, &self.relative);
            self.relative = self.relative_optimizer.step(1e-4, self.relative.clone(), gradients);
        } else {
            let gradients = loss.gradients(examples, &self.absolute);
            self.absolute = self.absolute_optimizer.step(1e-4, self.absolute.clone(), gradients);
        }
        let _ = <B as Backend>::sync(&self.device);
        scalar(value)
    }
}

fn scalar<B: Backend>(x: Tensor<B, 1>) -> f32 {
    x.into_data().iter::<f32>().next().expect("one value")
}

fn llama(shape: &Shape) -> LlamaConfig {
    LlamaConfig {
        vocab_size: shape.vocab_size,
        d_model: shape.hidden_size,
        d_ff: shape.intermediate_size,
        n_layers: shape.num_hidden_layers,
        n_heads: shape.num_attention_heads,
        n_kv_heads: shape.num_key_value_heads,
        head_dim: shape.hidden_size / shape.num_attention_heads,
        max_positions: 512,
        rms_norm_eps: 1e-5,
        rope: RopeConfig { theta: shape.rope_theta, scaling: RopeScaling::None },
        tie_embeddings: true,
        layers_above: 0,
        final_norm: true,
    }
}

/// Frozen weights, uniform with the spread of a fresh LLaMA.
fn random_backbone<B: AutodiffBackend>(
    config: &LlamaConfig,
    dtype: DType,
    device: &B::Device,
) -> Backbone<B> {
    B::seed(device, 1);
    let matrix = |rows: usize, columns: usize| {
        let bound = 0.02 * 3_f64.sqrt();
        let values = Tensor::<B, 2>::random(
            [rows, columns],
            Distribution::Uniform(-bound, bound),
            (device, DType::F32),
        );
        Param::from_tensor(values.cast(dtype)).set_require_grad(false)
    };
    let norm = || RmsNorm {
        weight: Param::from_tensor(Tensor::<B, 1>::ones([config.d_model], (device, DType::F32)).cast(dtype))
            .set_require_grad(false),
        eps: config.rms_norm_eps,
    };
    let weight = |projection| {
        let (inputs, outputs) = config.projection_shape(projection);
        matrix(outputs, inputs)
    };
    let layer = |_| DecoderLayer {
        input_norm: norm(),
        q: weight(Projection::Q),
        k: weight(Projection::K),
        v: weight(Projection::V),
        o: weight(Projection::O),
        post_attention_norm: norm(),
        gate: weight(Projection::Gate),
        up: weight(Projection::Up),
        down: weight(Projection::Down),
    };
    let embed_tokens = matrix(config.vocab_size, config.d_model);
    let decoder = Decoder { layers: (0..config.n_layers).map(layer).collect(), norm: Some(norm()) };
    Backbone { embed_tokens, decoder }.no_grad()
}

/// Rate of a large product on this device, in floating-point operations a second: what shares of peak refer to.
pub fn peak_rate<B: Backend>(dtype: DType, device: &B::Device) -> f64 {
    let [rows, inner, columns] = [1024, 2048, 8192];
    let matrix = |shape: [usize; 2]| {
        Tensor::<B, 2>::random(shape, Distribution::Uniform(-1.0, 1.0), (device, DType::F32)).cast(dtype)
    };
    let (a, b) = (matrix([rows, inner]), matrix([columns, inner]));
    let product = || {
        let product = a.clone().matmul(b.clone().transpose());
        let _ = scalar(product.narrow(0, 0, 1).narrow(1, 0, 1).reshape([1]));
    };
    product();
    let best = (0..5).map(|_| {
        let started = std::time::Instant::now();
        product();
        started.elapsed().as_secs_f64()
    });
    let best = best.fold(f64::INFINITY, f64::min);
    2.0 * (rows * inner * columns) as f64 / best
}

/// Largest resident size of this process so far, in MiB; `None` where the system does not say.
pub fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}

/// Seconds that the processors have spent on this process so far; `None` where the system does not say.
pub fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which is in parentheses: in the program and in the kernel, in hundredths.
    let ticks = stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(2);
    Some(ticks.map(|ticks| ticks.parse::<f64>().ok()).sum::<Option<f64>>()? / 100.0)
}
