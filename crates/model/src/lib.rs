//! The heart of Pair2Score: a LLaMA backbone, LoRA adapters beside it, pooling, heads and losses.
//!
//! The key decision: adapters are modules of their own, passed to the backbone's forward pass. The backbone is
//! therefore plain frozen data that training, stacking, fusion and the page share, and what trains is small and
//! whole: an adapter and a head. The cost is one more argument on every forward function.
//!
//! No files and no device choice here: weights come in as tensors, and everything is generic over a backend
//! that has the [`Kernels`]. The CPU kernels split work over threads with the `rayon` feature; a page
//! compiles without it.

mod adapter;
mod backbone;
mod batch;
mod config;
mod dtype;
mod head;
mod init;
mod kernels;
mod language;
pub mod loss;
mod norm;
pub mod packed;
mod parts;
mod pooling;
mod projection;
mod recompute;
mod rope;
mod stretch;

pub use adapter::{Adapter, LayerAdapter, LoraConfig, LoraFactors};
pub use backbone::{Backbone, Decoder, DecoderLayer};
pub use batch::{PadSide, TokenBatch};
pub use config::{ConfigError, Depth, LlamaConfig, RopeConfig, RopeScaling};
pub use head::{ScoreHead, ScoreLink, UtilityHead, hidden_width};
pub use kernels::{AttentionPlan, Kernels};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
pub use kernels::{choose_product, product_names};
pub use language::next_token_loss;
pub use norm::RmsNorm;
pub use parts::{parts, side_by_side};
pub use pooling::Pooling;
pub use projection::Projection;
pub use recompute::Recorded;
pub use rope::{RotaryTable, inverse_frequencies};
pub use stretch::Stretch;

/// A seed of its own for part `index` of what `seed` is for: the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
pub fn substream(seed: u64, index: usize) -> u64 {
    let mut z = seed.wrapping_add((index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
