//! Token ids of several documents, one after the other.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Int, Tensor, TensorData, backend::Backend};

/// Where padding goes, in layouts that have some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PadSide {
    /// Before the text, as the published code pads.
    Left,
    /// After the text.
    Right,
}

/// A batch on a device.
///
/// The axis of the tokens is flat: a document is a span of it, and what lies between the spans is padding that no
/// result depends on. [`packed`](Self::packed) leaves none, so that no arithmetic is spent on it.
#[derive(Debug, Clone)]
pub struct TokenBatch<B: Backend> {
    /// `[slots]`
    pub ids: Tensor<B, 1, Int>,
    /// Slots of each document; ascending, never empty.
    pub spans: Arc<[Range<usize>]>,
}

impl<B: Backend> TokenBatch<B> {
    /// Documents without anything between them.
    ///
    /// # Panics
    /// When there is no document or one has no token: the tokenizer always gives at least one.
    pub fn packed(documents: &[&[u32]], device: &B::Device) -> Self {
        let mut ids = Vec::with_capacity(documents.iter().map(|ids| ids.len()).sum());
        let mut spans = Vec::with_capacity(documents.len());
        for document in documents {
            let start = ids.len();
            ids.extend(document.iter().map(|&id| id as i32));
            spans.push(start..ids.len());
        }
        Self::new(ids, spans, device)
    }

    /// Documents padded to the longest, or to `min_len` where that is longer.
    ///
    /// # Panics
    /// As [`packed`](Self::packed).
    pub fn padded(
        documents: &[&[u32]],
        pad_id: u32,
        side: PadSide,
        min_len: usize,
        device: &B::Device,
    ) -> Self {
        let longest = documents.iter().map(|ids| ids.len()).max().unwrap_or(0).max(min_len);
        let mut ids = vec![pad_id as i32; documents.len() * longest];
        let mut spans = Vec::with_capacity(documents.len());
        for (row, document) in documents.iter().enumerate() {
            let start = match side {
                PadSide::Left => (row + 1) * longest - document.len(),
                PadSide::Right => row * longest,
            };
            let span = start..start + document.len();
            for (slot, &id) in ids[span.clone()].iter_mut().zip(*document) {
                *slot = id as i32;
            }
            spans.push(span);
        }
        Self::new(ids, spans, device)
    }

    fn new(ids: Vec<i32>, spans: Vec<Range<usize>>, device: &B::Device) -> Self {
        assert!(!spans.is_empty(), "a batch has at least one document");
        assert!(spans.iter().all(|span| !span.is_empty()), "a document has no token");
        let n = ids.len();
        Self { ids: Tensor::from_data(TensorData::new(ids, [n]), device), spans: spans.into() }
    }

    /// Documents of the batch.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether the batch has no document; never true.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Tokens of the longest document.
    pub fn longest(&self) -> usize {
        self.spans.iter().map(Range::len).max().unwrap_or(0)
    }
}
