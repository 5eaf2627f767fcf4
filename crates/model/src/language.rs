//! Next-token prediction, for pretraining a small backbone. A scorer has no language-model head.

use burn::{
    module::Param,
    tensor::{DType, Int, Tensor, TensorData, activation, backend::Backend},
};
use rand::Rng;

use crate::backbone::Backbone;
use crate::batch::TokenBatch;
use crate::config::LlamaConfig;
use crate::init::{INIT_STD, normal};
use crate::kernels::Kernels;

impl<B: Backend> Backbone<B> {
    /// A trainable random head for a backbone whose embeddings are not tied, `[vocab_size, d_model]`, drawn as
    /// [`init`](Self::init) draws the embedding table.
    pub fn init_lm_head(config: &LlamaConfig, rng: &mut impl Rng, device: &B::Device) -> Param<Tensor<B, 2>> {
        normal([config.vocab_size, config.d_model], INIT_STD, rng, device)
    }
}

/// Sum of the cross-entropies of predicting each real token from those before it, in nats. The first token of a row
/// is not predicted, so a row counts one less than its length.
///
/// # Shapes
/// - hidden: `[slots, d_model]`, after the final norm
/// - vocabulary: `[vocab_size, d_model]`, the head's weight (the embedding table where the two are tied)
/// - rows: the batch's token ids, for the targets
/// - output: `[1]`
pub fn next_token_loss<B: Kernels>(
    hidden: Tensor<B, 2>,
    vocabulary: Tensor<B, 2>,
    batch: &TokenBatch<B>,
    rows: &[&[u32]],
) -> Tensor<B, 1> {
    let device = hidden.device();
    let (mut positions, mut targets) = (Vec::new(), Vec::new());
    for (span, ids) in batch.spans.iter().zip(rows) {
        positions.extend((span.start..span.end - 1).map(|slot| slot as i32));
        targets.extend(ids[1..].iter().map(|&id| id as i32));
    }
    let n = positions.len();
    if n == 0 {
        return Tensor::zeros([1], (&device, DType::F32));
    }
    let positions = Tensor::<B, 1, Int>::from_data(TensorData::new(positions, [n]), &device);
    let targets = Tensor::<B, 2, Int>::from_data(TensorData::new(targets, [n, 1]), &device);
    let log_probabilities =
        activation::log_softmax(hidden.select(0, positions).matmul(vocabulary.transpose()), 1);
    log_probabilities.gather(1, targets).neg().sum()
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;

    use super::*;
    use crate::batch::PadSide;

    /// The loss of rows whose token `i` has the hidden state `[i, 1]`, over three words.
    fn loss(rows: &[&[u32]], side: PadSide) -> f32 {
        let device = Default::default();
        let batch = TokenBatch::<Flex>::padded(rows, 2, side, 0, &device);
        let ids = batch.ids.clone().float().unsqueeze_dim::<2>(1);
        let hidden = Tensor::cat(vec![ids.clone(), ids.ones_like()], 1);
        let vocabulary = Tensor::from_floats([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], &device);
        next_token_loss(hidden, vocabulary, &batch, rows).into_scalar()
    }

    #[test]
    fn by_hand() {
        // After token 0 the logits are (0, 0, 2), after token 1 they are (0, 1, 2).
        let after = |token: f32| (1.0 + token.exp() + 2f32.exp()).ln();
        let expected = (after(0.0) - 0.0) + (after(1.0) - 2.0);
        // Three additions and a logarithm in f32.
        assert!((loss(&[&[0, 1, 2]], PadSide::Right) - expected).abs() < 1e-5);
    }

    #[test]
    fn rows_add_up_and_padding_counts_nothing() {
        let (long, short): (&[u32], &[u32]) = (&[0, 1, 2, 1], &[1, 0]);
        let apart = loss(&[long], PadSide::Right) + loss(&[short], PadSide::Right);
        for side in [PadSide::Left, PadSide::Right] {
            // The order of a sum of four numbers in f32.
            assert!((loss(&[long, short], side) - apart).abs() < 1e-5);
        }
    }

    #[test]
    fn one_token_predicts_nothing() {
        assert_eq!(loss(&[&[1]], PadSide::Right), 0.0);
    }
}
