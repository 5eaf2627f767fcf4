//! A backbone with its language-model head, and its loss.

use std::path::Path;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{Tensor, backend::Backend};
use pair2score_data::rng::stream;
use pair2score_model::{Backbone, Kernels, LlamaConfig, TokenBatch, next_token_loss};
use pair2score_scorer::{TensorFile, WeightDType, load_backbone, names};

use super::corpus::Sequences;
use crate::TrainError;
use crate::backend::TrainBackend;
use crate::batches::Sizes;
use crate::config::Monitor;
use crate::loss::Loss;
use crate::task::{Evaluation, Task, evaluation};

/// What pretraining trains: everything.
#[derive(Module, Debug)]
pub struct LanguageModel<B: Backend> {
    /// Embedding table, decoder layers and the final norm.
    pub backbone: Backbone<B>,
    /// `[vocab_size, d_model]`; `None` where the embedding table serves as the head.
    pub lm_head: Option<Param<Tensor<B, 2>>>,
}

impl<B: Backend> LanguageModel<B> {
    /// Fresh weights; same seed, same numbers on every device.
    pub fn init(config: &LlamaConfig, seed: u64, device: &B::Device) -> Self {
        let mut rng = stream(seed, &["init", "pretrain"]);
        let backbone = Backbone::init(config, &mut rng, device);
        let lm_head = (!config.tie_embeddings).then(|| Backbone::<B>::init_lm_head(config, &mut rng, device));
        Self { backbone, lm_head }
    }

    /// Weights, the head's included.
    pub(super) fn n_parameters(&self) -> usize {
        self.num_params()
    }
}

impl<B: TrainBackend> LanguageModel<B> {
    /// The weights of a checkpoint as trainable f32.
    ///
    /// # Errors
    /// When the tensors do not make the model: those of the backbone, or the head of one that is not tied.
    pub fn load(folder: &Path, config: &LlamaConfig, device: &B::Device) -> Result<Self, TrainError> {
        let (_, backbone) = load_backbone::<B>(folder, WeightDType::F32, device)?;
        let lm_head = if config.tie_embeddings { None } else { Some(load_head(folder, config, device)?) };
        Ok(Self { backbone, lm_head }.map(&mut Trainable))
    }
}

fn load_head<B: Backend>(
    folder: &Path,
    config: &LlamaConfig,
    device: &B::Device,
) -> Result<Param<Tensor<B, 2>>, TrainError> {
    let file = TensorFile::open_folder(folder)?;
    let expected = [config.vocab_size, config.d_model];
    match file.shape(names::LM_HEAD) {
        Some(shape) if shape == expected => {}
        found => {
            let found = found.map_or("there is none".into(), |shape| format!("it has {shape:?}"));
            let problem = format!(
                "tie_word_embeddings is false, so training needs the tensor {} of shape {expected:?}; {found}",
                names::LM_HEAD
            );
            return Err(TrainError::Mismatch { path: file.path().into(), problem });
        }
    }
    let data = file.read(names::LM_HEAD, WeightDType::F32)?;
    let dtype = data.dtype;
    Ok(Param::initialized(ParamId::new(), Tensor::from_data(data, (device, dtype))))
}

/// Asks for the gradient of every weight; loaded ones are frozen.
struct Trainable;

impl<B: Backend> ModuleMapper<B> for Trainable {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        param.set_require_grad(true)
    }
}

impl<B: Kernels> LanguageModel<B> {
    /// Sum of the losses of the tokens of some sequences but their first ones, in nats.
    ///
    /// # Shapes
    /// - rows: token ids, each row at least two
    /// - output: `[1]`
    pub fn loss(&self, config: &LlamaConfig, rows: &[&[u32]], device: &B::Device) -> Tensor<B, 1> {
        let batch = TokenBatch::packed(rows, device);
        let hidden = self.backbone.forward(config, &batch, &[], None);
        let vocabulary = self.lm_head.as_ref().unwrap_or(&self.backbone.embed_tokens).val();
        next_token_loss(hidden, vocabulary, &batch, rows)
    }
}

/// Pretraining as the loop sees it: an example is a sequence and weighs as many tokens as it predicts.
#[derive(Debug)]
pub(super) struct PretrainTask<'a, B: TrainBackend> {
    pub config: &'a LlamaConfig,
    pub train: Sequences,
    pub val: Sequences,
    /// Sequences per batch of the evaluation.
    pub batch_size: usize,
    pub device: &'a B::Device,
}

/// Tokens of a sequence that are predicted: the first has nothing before it.
fn predicted(sequence: &[u32]) -> usize {
    sequence.len() - 1
}

impl<B: TrainBackend> Sizes for PretrainTask<'_, B> {
    fn n_examples(&self) -> usize {
        self.train.len()
    }

    fn tokens(&self, example: usize) -> usize {
        self.train.get(example).len()
    }
}

impl<B: TrainBackend> Task<B> for PretrainTask<'_, B> {
    type Model = LanguageModel<B>;

    fn device(&self) -> B::Device {
        self.device.clone()
    }

    fn weight(&self, example: usize) -> f64 {
        predicted(self.train.get(example)) as f64
    }

    fn describe(&self, example: usize) -> String {
        format!("sequence {}", example + 1)
    }

    fn loss<'t>(&'t self, model: &'t LanguageModel<B>, examples: &[usize], _: u64) -> Loss<'t, B> {
        let rows: Vec<&[u32]> = examples.iter().map(|&i| self.train.get(i)).collect();
        model.loss(self.config, &rows, self.device).into()
    }

    fn evaluate(&self, model: &LanguageModel<B::InnerBackend>) -> Result<Evaluation, TrainError> {
        let rows: Vec<&[u32]> = (0..self.val.len()).map(|i| self.val.get(i)).collect();
        let batches = rows.chunks(self.batch_size);
        let losses = batches.map(|rows| {
            let loss = model.loss(self.config, rows, self.device);
            loss.into_data().iter::<f64>().sum::<f64>()
        });
        let loss = losses.sum::<f64>() / rows.iter().map(|row| predicted(row)).sum::<usize>() as f64;
        // A model that diverged in its last steps has no loss, and the best epoch before is kept.
        Ok(evaluation([(Monitor::ValLoss.key(), Some(loss).filter(|loss| loss.is_finite()))]))
    }
}
