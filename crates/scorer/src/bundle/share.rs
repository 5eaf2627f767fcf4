//! A text that several workers read together, each some of its tokens, as pages do that have no threads.
//!
//! Every worker has the whole scorer. A [`Share`] goes through the layers one after the other, for fusion once with the
//! adapters of stage 2 and once with that of stage 1; what it comes to in each, keys and values, and hidden states behind
//! the last, goes to the workers of later shares, and the last of them says what the scorer says.

use std::iter;
use std::ops::Range;

use burn::tensor::{DType, Tensor, TensorData, backend::Backend};
use pair2score_model::{Adapter, Kernels, Projection, Stretch, TokenBatch};

use super::host_table::HostTableEncoder;
use crate::anchors::Near;
use crate::error::ScorerError;
use crate::scorer::{Scored, Scorer, read_row};
use crate::tokenizer::Encoded;

/// A text has no more workers than it has begun so many tokens.
const PER_WORKER: usize = 64;
/// Tokens of which a share has whole multiples: the rows of two tiles of a page's products.
const STEP: f64 = 8.0;
/// How many times as long as a multiply-add with a weight in f32 one of attention takes on a page, its softmax included. In
/// Chromium on a Zen 5, attention took a ninth as long as the weights of SmolLM2-135M, at 256 keys for a token on average.
const ATTENTION: f64 = 1.4;
/// The same where weights are packed: a quarter as long there, at 190 keys.
const ATTENTION_BESIDE_PACKED: f64 = 3.8;

/// The tokens of a document that one worker reads.
#[derive(Debug)]
pub struct Share<B: Backend> {
    document: Encoded,
    tokens: Range<usize>,
    /// One for each pass through the backbone.
    stretches: Vec<Stretch<B>>,
    /// Layers of all passes that are to be passed.
    left: usize,
}

impl<B: Backend> Share<B> {
    /// Layers that it has not passed.
    pub fn left(&self) -> usize {
        self.left
    }
}

/// Which tokens each of several workers reads: at most so many workers, and fewer where there are few tokens. Each takes about
/// as long; `weights_in_keys` says how many keys cost a token as much as the weights do.
///
/// On a page the same bits come out, however a text is divided: the sum of each number of a product is taken in one order,
/// the softmax of a query reads the keys that it sees, and those behind it that are in its block add zeros.
fn divided(tokens: usize, workers: usize, weights_in_keys: f64) -> Vec<Range<usize>> {
    let workers = workers.clamp(1, tokens.div_ceil(PER_WORKER).max(1));
    let n = tokens as f64;
    let all = n * weights_in_keys + n * n / 2.0;
    let end = |place: usize| {
        let cost = all * place as f64 / workers as f64;
        let end = (weights_in_keys.powi(2) + 2.0 * cost).sqrt() - weights_in_keys;
        if place == workers { tokens } else { ((end / STEP).round() * STEP) as usize }
    };
    (0..workers).map(|place| end(place)..end(place + 1)).collect()
}

impl<B: Kernels> Scorer<B, HostTableEncoder<B>> {
    /// Which tokens of a document of so many each of several workers reads: at most so many workers, and fewer where there
    /// are few tokens. They take about as long, so that earlier shares have more tokens, which see less.
    pub fn shares(&self, tokens: usize, workers: usize) -> Vec<Range<usize>> {
        let HostTableEncoder { config, decoder, .. } = &self.encoder;
        let size = |projection| {
            let (inputs, outputs) = config.projection_shape(projection);
            inputs * outputs
        };
        let weights: usize = Projection::ALL.into_iter().map(size).sum();
        let packed = decoder.layers.iter().any(|layer| matches!(layer.q.val().dtype(), DType::QFloat(_)));
        let attention = if packed { ATTENTION_BESIDE_PACKED } else { ATTENTION };
        let key = 2 * config.n_heads * config.head_dim;
        divided(tokens, workers, weights as f64 / (attention * key as f64))
    }

    /// Some tokens of a document, before the first layer.
    ///
    /// # Panics
    /// When the tokens are not some of the document's.
    pub fn share(&self, document: &Encoded, tokens: Range<usize>) -> Share<B> {
        let HostTableEncoder { config, table, decoder, .. } = &self.encoder;
        let embedded = table.embed(&[&document.ids[tokens.clone()]], &self.device);
        let begin = |_| Stretch::new(config, embedded.clone(), tokens.start);
        let stretches: Vec<_> = self.passes().iter().map(begin).collect();
        let left = stretches.len() * decoder.layers.len();
        Share { document: document.clone(), tokens, stretches, left }
    }

    /// The adapters of each pass through the backbone that scores.
    fn passes(&self) -> Vec<Vec<&Adapter<B>>> {
        let fused = self.stage2().is_some_and(|stage2| stage2.fusion);
        let stage1 = self.stage1().filter(|_| fused).map(|stage1| stage1.adapter.iter().collect());
        let own = self.stage2().map_or_else(Vec::new, |stage2| stage2.adapters.iter().collect());
        iter::once(own).chain(stage1).collect()
    }

    /// Takes a share through the next layer. `earlier` is what the shares before it came to there, in their order; its own
    /// goes to those behind it. Behind the last layer, where there is nothing to take, it comes to its hidden states.
    ///
    /// # Errors
    /// When the device fails, or the other shares are not those before this one.
    pub async fn pass(&self, share: &mut Share<B>, earlier: &[Vec<f32>]) -> Result<Vec<f32>, ScorerError> {
        let HostTableEncoder { config, decoder, .. } = &self.encoder;
        if share.left == 0 {
            return read(hidden(share)).await;
        }
        let width = config.n_kv_heads * config.head_dim;
        let earlier = self.keys_and_values(earlier, share.tokens.start, width)?;
        let passes = self.passes();
        let place = passes.len() - share.left.div_ceil(decoder.layers.len());
        let passed = share.stretches[place].pass(decoder, &passes[place], earlier);
        let [keys, values] = passed.expect("the pass has layers left");
        share.left -= 1;
        read(Tensor::cat(vec![keys, values], 0)).await
    }

    /// What the scorer says of a document, from the last of its shares and the hidden states of those before it: its
    /// scores, and the [nearest](Self::nearest) anchors of each trait.
    ///
    /// # Errors
    /// As [`pass`](Self::pass), and when a number is not finite.
    pub async fn score_shared(
        &self,
        share: Share<B>,
        earlier: &[Vec<f32>],
        nearest: usize,
    ) -> Result<(Vec<Scored>, Vec<Vec<Near>>), ScorerError> {
        let HostTableEncoder { config, decoder, pooling, .. } = &self.encoder;
        let before =
            self.numbers(earlier.concat(), share.tokens.start, share.stretches.len() * config.d_model)?;
        let hidden = Tensor::cat(vec![before, hidden(&share)], 0);
        let document = TokenBatch::packed(&[&share.document.ids], &self.device);
        let of_pass = |hidden| pooling.pool(decoder.normed(hidden), &document);
        let embedding =
            Tensor::cat(hidden.chunk(share.stretches.len(), 1).into_iter().map(of_pass).collect(), 1);
        let stage2 = self.stage2().ok_or_else(|| unfit("the scorer has no stage 2"))?;
        let row = Tensor::cat(vec![embedding.clone(), stage2.scores(embedding)], 1);
        Ok(self.said(&read_row(row).await?, nearest))
    }

    /// Keys and values of all earlier tokens; none where there are no such tokens.
    fn keys_and_values(
        &self,
        earlier: &[Vec<f32>],
        tokens: usize,
        width: usize,
    ) -> Result<Option<[Tensor<B, 2>; 2]>, ScorerError> {
        if tokens == 0 {
            return Ok(None);
        }
        let half = |second: bool| {
            let halves = earlier.iter().flat_map(|share| {
                let (keys, values) = share.split_at(share.len() / 2);
                if second { values } else { keys }
            });
            self.numbers(halves.copied().collect(), tokens, width)
        };
        Ok(Some([half(false)?, half(true)?]))
    }

    /// What other workers came to, as a tensor.
    fn numbers(&self, values: Vec<f32>, rows: usize, width: usize) -> Result<Tensor<B, 2>, ScorerError> {
        if values.len() != rows * width {
            return Err(unfit("the shares of a text do not fit each other"));
        }
        let data = TensorData::new(values, [rows, width]);
        Ok(Tensor::from_data(data, (&self.device, DType::F32)))
    }
}

fn unfit(problem: &str) -> ScorerError {
    ScorerError::Device(problem.into())
}

/// Hidden states of all passes beside each other.
fn hidden<B: Kernels>(share: &Share<B>) -> Tensor<B, 2> {
    Tensor::cat(share.stretches.iter().map(Stretch::hidden).collect(), 1)
}

async fn read<B: Backend>(rows: Tensor<B, 2>) -> Result<Vec<f32>, ScorerError> {
    let data = rows.into_data_async().await.map_err(|error| ScorerError::Device(error.to_string()))?;
    Ok(data.iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_of_a_hand_calculation() {
        for (tokens, workers, weights, ends) in [
            (512, 1, 1000.0, vec![512]),
            // Weights alone count.
            (512, 2, 1e9, vec![256, 512]),
            // 269.3 · 2194 + 269.3² / 2 is half of 512 · 2194 + 512² / 2.
            (512, 2, 2194.0, vec![272, 512]),
            // Keys alone: the square of an end is the share of the square of all.
            (512, 2, 0.0, vec![360, 512]),
            (512, 4, 0.0, vec![256, 360, 440, 512]),
            (130, 8, 1e9, vec![40, 88, 130]),
            (40, 4, 1000.0, vec![40]),
            (0, 2, 1000.0, vec![0]),
        ] {
            let shares = divided(tokens, workers, weights);
            assert_eq!(shares.iter().map(|share| share.end).collect::<Vec<_>>(), ends);
            assert!(
                shares.iter().map(|share| share.start).eq([0].into_iter().chain(ends).take(shares.len()))
            );
        }
    }

    #[test]
    fn every_text_is_divided_into_shares_of_equal_cost() {
        for (tokens, workers, weights) in (1..=600).flat_map(|tokens| {
            (1..=8).flat_map(move |workers| [0.0, 300.0, 1e6].map(|weights| (tokens, workers, weights)))
        }) {
            let shares = divided(tokens, workers, weights);
            assert_eq!(shares.len(), workers.min(tokens.div_ceil(PER_WORKER)));
            assert_eq!((shares[0].start, shares[shares.len() - 1].end), (0, tokens));
            assert!(shares.windows(2).all(|pair| pair[0].end == pair[1].start));
            let cost = |share: &Range<usize>| -> f64 {
                let (start, end) = (share.start as f64, share.end as f64);
                (end - start) * weights + (end * end - start * start) / 2.0
            };
            let even = cost(&(0..tokens)) / shares.len() as f64;
            // Each end is up to half a step from where it should be.
            let allowed = STEP * (weights + tokens as f64);
            for share in &shares {
                assert!(!share.is_empty(), "{tokens} {workers} {weights}: {shares:?}");
                assert!((cost(share) - even).abs() <= allowed, "{tokens} {workers} {weights}: {shares:?}");
            }
        }
    }
}
