//! A text that several workers read together, each some of its tokens, as pages do that have no threads.
//!
//! Every worker has the whole scorer. A [`Share`] goes through the layers one after the other, for fusion once with the
//! adapters of stage 2 and once with that of stage 1; what it comes to in each, keys and values, and hidden states behind
//! the last, goes to the workers of later shares, and the last of them says what the scorer says.

use std::iter;
use std::ops::Range;

use burn::tensor::{DType, Tensor, TensorData, backend::Backend};
use pair2score_model::{Adapter, Kernels, Stretch, TokenBatch};

use super::host_table::HostTableEncoder;
use crate::anchors::Near;
use crate::error::ScorerError;
use crate::scorer::{Scored, Scorer, read_row};
use crate::tokenizer::Encoded;

/// Tokens that are not divided: attention computes so many queries at a time, and with the same blocks the same bits come
/// out however many workers there are.
const BLOCK: usize = 64;

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

/// Which tokens each of several workers reads: at most so many workers, and fewer where there are fewer blocks. A later
/// share is never larger, since its tokens see more.
pub fn shares(tokens: usize, workers: usize) -> Vec<Range<usize>> {
    let blocks = tokens.div_ceil(BLOCK);
    let workers = workers.clamp(1, blocks.max(1));
    let end = |place: usize| ((blocks / workers * place + place.min(blocks % workers)) * BLOCK).min(tokens);
    (0..workers).map(|place| end(place)..end(place + 1)).collect()
}

impl<B: Kernels> Scorer<B, HostTableEncoder<B>> {
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
    fn shares_are_even_and_cover_the_document() {
        for (tokens, workers, expected) in [
            (512, 1, vec![512]),
            (512, 2, vec![256, 512]),
            (500, 3, vec![192, 384, 500]),
            (448, 3, vec![192, 320, 448]),
            (380, 4, vec![128, 256, 320, 380]),
            (130, 8, vec![64, 128, 130]),
            (40, 4, vec![40]),
        ] {
            let shares = shares(tokens, workers);
            assert_eq!(shares.iter().map(|share| share.end).collect::<Vec<_>>(), expected);
            assert!(
                shares.iter().map(|share| share.start).eq([0].into_iter().chain(expected).take(shares.len()))
            );
        }
    }
}
