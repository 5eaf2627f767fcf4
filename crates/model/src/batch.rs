//! Token ids of several documents, padded to one length.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Bool, Int, Tensor, TensorData, backend::Backend};

/// Where padding goes. Only the mask counts: the choice changes no result beyond rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PadSide {
    /// Before the text, as the published code pads.
    Left,
    /// After the text: a causal decoder then needs no padding mask for real tokens.
    #[default]
    Right,
}

/// A padded batch on a device.
#[derive(Debug, Clone)]
pub struct TokenBatch<B: Backend> {
    /// `[batch, seq]`
    pub ids: Tensor<B, 2, Int>,
    /// Columns of the real tokens of each row; never empty.
    pub spans: Arc<[Range<usize>]>,
    /// Length of the rows, in tokens.
    pub seq_len: usize,
}

impl<B: Backend> TokenBatch<B> {
    /// Pads rows to the longest (or to `min_len` where that is longer).
    ///
    /// # Panics
    /// When `rows` is empty or a row has no token: the tokenizer always gives at least one.
    pub fn new(rows: &[&[u32]], pad_id: u32, side: PadSide, min_len: usize, device: &B::Device) -> Self {
        assert!(rows.iter().all(|row| !row.is_empty()), "a document has no token");
        let longest = rows.iter().map(|row| row.len()).max().expect("a batch has at least one row");
        let seq_len = longest.max(min_len);
        let mut ids = vec![pad_id as i32; rows.len() * seq_len];
        let mut spans = Vec::with_capacity(rows.len());
        for (line, row) in ids.chunks_exact_mut(seq_len).zip(rows) {
            let start = match side {
                PadSide::Left => seq_len - row.len(),
                PadSide::Right => 0,
            };
            let span = start..start + row.len();
            for (slot, &id) in line[span.clone()].iter_mut().zip(*row) {
                *slot = id as i32;
            }
            spans.push(span);
        }
        let ids = Tensor::from_data(TensorData::new(ids, [rows.len(), seq_len]), device);
        Self { ids, spans: spans.into(), seq_len }
    }

    /// Rows of the batch.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether the batch has no row; never true for a batch from [`new`](Self::new).
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Real tokens, padding not counted.
    pub fn n_tokens(&self) -> usize {
        self.spans.iter().map(|span| span.len()).sum()
    }

    /// `[batch, seq, seq]`, true where query `i` must not see key `j`: the future and padding.
    pub fn attention_mask(&self) -> Tensor<B, 3, Bool> {
        let len = self.seq_len;
        let masked = self
            .spans
            .iter()
            .flat_map(|span| (0..len).flat_map(move |i| (0..len).map(move |j| j > i || !span.contains(&j))))
            .collect::<Vec<bool>>();
        Tensor::from_data(TensorData::new(masked, [self.len(), len, len]), &self.ids.device())
    }
}
