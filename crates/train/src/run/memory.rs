//! How much memory a stage takes, and what fits on a card.

use std::fmt::{self, Display};

use pair2score_model::{LlamaConfig, LoraConfig, Projection};
use pair2score_scorer::BATCH_TOKENS;

/// A trained weight, its gradient and its two moments, in f32.
pub(super) const BYTES_TRAINED: usize = 16;
/// The cards that a plan speaks of, in GiB.
const CARDS: [usize; 3] = [16, 24, 80];

/// An estimate of what a stage takes.
pub(super) struct StageMemory {
    pub name: &'static str,
    pub batch: Batch,
    /// Bytes whatever the batch.
    pub fixed: usize,
    /// Bytes for each token of a batch.
    pub per_token: usize,
}

/// What goes through the backbone at once.
pub(super) enum Batch {
    /// Documents that are embedded without gradients.
    Frozen,
    /// As many examples as fit into so many tokens.
    Tokens(usize),
    /// Examples (`unit`) of at most so many tokens each.
    Examples { unit: &'static str, n: usize, tokens: usize },
}

impl StageMemory {
    pub(super) fn bytes(&self) -> usize {
        let tokens = match self.batch {
            Batch::Frozen => BATCH_TOKENS,
            Batch::Tokens(tokens) => tokens,
            Batch::Examples { n, tokens, .. } => n.saturating_mul(tokens),
        };
        self.fixed.saturating_add(self.per_token.saturating_mul(tokens))
    }

    /// How many times so many tokens a card holds, of which nine tenths are free.
    fn fit(&self, gib: usize, tokens: usize) -> usize {
        ((gib << 30) / 10 * 9).saturating_sub(self.fixed) / self.per_token.saturating_mul(tokens).max(1)
    }
}

impl Display for StageMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} MiB", self.name, self.bytes().div_ceil(1 << 20))?;
        let (n, unit, tokens) = match self.batch {
            Batch::Frozen => return write!(f, ", the backbone is frozen"),
            Batch::Tokens(n) => (n, "tokens", 1),
            Batch::Examples { unit, n, tokens } => (n, unit, tokens),
        };
        let [small, middle, large] = CARDS.map(|gib| self.fit(gib, tokens));
        let [first, second, third] = CARDS;
        write!(
            f,
            " in batches of {n} {unit}; a card of {first} GiB holds {small}, of {second} GiB {middle}, "
        )?;
        write!(f, "of {third} GiB {large}")
    }
}

/// What a batch takes for each of its tokens. With `lora`, what the backward pass keeps and works with; without, what a
/// forward pass works with.
pub(super) fn bytes_per_token(config: &LlamaConfig, lora: Option<&LoraConfig>, recompute: bool) -> usize {
    let c = config;
    // The residual stream and what a norm makes of it, gate and up.
    let forward = 2 * (c.d_model + c.d_ff);
    let Some(LoraConfig { rank, targets, .. }) = lora else { return 4 * forward };
    // An adapter keeps its input, which projections of the same input share, and its low-rank output.
    let keeps = |of: &[Projection], width| if of.iter().any(|p| targets.contains(p)) { width } else { 0 };
    let adapters = rank * targets.len()
        + keeps(&[Projection::Q, Projection::K, Projection::V], c.d_model)
        + keeps(&[Projection::Gate, Projection::Up], c.d_model)
        + keeps(&[Projection::Down], c.d_ff);
    // Queries, keys, values and output; the inputs of both norms; gate and up.
    let attention = (2 * c.n_heads + 2 * c.n_kv_heads) * c.head_dim;
    let layer = attention + c.n_heads + 2 * c.d_model + 2 * c.d_ff + adapters;
    let kept = if recompute { c.n_layers * c.d_model + layer } else { c.n_layers * layer };
    // The configuration bounds each factor, but their product may overflow.
    (kept + 6 * c.d_ff + 4 * attention).saturating_mul(4)
}

#[cfg(test)]
mod tests {
    use pair2score_model::{RopeConfig, RopeScaling};

    use super::*;

    const SMOLLM2: [usize; 7] = [49_152, 576, 30, 9, 3, 64, 1536];
    const LLAMA_1B: [usize; 7] = [128_256, 2048, 16, 32, 8, 64, 8192];

    fn config(
        [vocab_size, d_model, n_layers, n_heads, n_kv_heads, head_dim, d_ff]: [usize; 7],
    ) -> LlamaConfig {
        LlamaConfig {
            vocab_size,
            d_model,
            d_ff,
            n_layers,
            n_heads,
            n_kv_heads,
            head_dim,
            max_positions: 512,
            rms_norm_eps: 1e-5,
            rope: RopeConfig { theta: 1e4, scaling: RopeScaling::None },
            tie_embeddings: true,
            layers_above: 0,
            final_norm: true,
        }
    }

    fn lora() -> LoraConfig {
        let targets = vec![Projection::Q, Projection::K, Projection::V, Projection::O];
        LoraConfig { rank: 16, alpha: 32.0, dropout: 0.05, targets }
    }

    #[test]
    fn estimates_are_near_the_peaks_that_were_measured() {
        let one_layer = [LLAMA_1B[0], LLAMA_1B[1], 1, LLAMA_1B[3], LLAMA_1B[4], LLAMA_1B[5], LLAMA_1B[6]];
        // MiB of whole processes in docs/performance.md, weights in f32: shape, tokens of a batch, with gradients.
        for (shape, tokens, trains, measured) in [
            (SMOLLM2, 3417, true, 3159),
            (SMOLLM2, 4096, true, 3679),
            (one_layer, 3417, true, 1995),
            (one_layer, 4096, true, 2123),
            (SMOLLM2, BATCH_TOKENS, false, 642),
        ] {
            let config = config(shape);
            let lora = lora();
            let stage = StageMemory {
                name: "stage 1",
                batch: Batch::Tokens(tokens),
                fixed: 4 * config.n_parameters(),
                per_token: bytes_per_token(&config, trains.then_some(&lora), false),
            };
            let ratio = (stage.bytes() >> 20) as f64 / f64::from(measured);
            assert!((0.95..1.35).contains(&ratio), "{shape:?}: {ratio}");
        }
    }

    #[test]
    fn what_fits_on_a_card_takes_nine_tenths_of_it() {
        let stage = |batch| StageMemory { name: "stage 1", batch, fixed: 1 << 30, per_token: 1 << 20 };
        let pairs = stage(Batch::Examples { unit: "pairs", n: 4, tokens: 1024 });
        // Nine tenths of 16 GiB are 14.4, of which 1 is fixed and a pair takes 1.
        let line =
            "stage 1: 5120 MiB in batches of 4 pairs; a card of 16 GiB holds 13, of 24 GiB 20, of 80 GiB 71";
        assert_eq!(pairs.to_string(), line);
        assert_eq!(stage(Batch::Frozen).to_string(), "stage 1: 9216 MiB, the backbone is frozen");
        let huge = StageMemory { fixed: 1 << 40, ..stage(Batch::Tokens(usize::MAX)) };
        assert_eq!(huge.fit(80, 1), 0);
        assert_eq!(huge.bytes(), usize::MAX);
    }
}
