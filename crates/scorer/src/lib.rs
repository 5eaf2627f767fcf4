//! The artifact that scores: tokenizer, backbone, adapters, heads and the score scale.
//!
//! The key decision: this crate holds the one map between our modules and the tensor names of Hugging Face and
//! PEFT ([`names`]); loading, saving, merging and every export go through it. Loading is strict: whatever is
//! missing, extra or misshapen is listed in one error before a single weight is read.

mod adapter;
mod anchors;
mod backbone;
mod bundle;
mod cache;
mod cached;
mod calibration;
mod computation;
mod dtype;
mod encoder;
mod error;
mod fingerprint;
mod heads;
mod hf_config;
mod intervals;
mod judged;
mod load;
pub mod names;
mod peft;
mod raters;
mod scorer;
mod settings;
mod source;
mod stages;
mod stream;
mod tensor_file;
mod tensors;
mod tokenizer;

pub use adapter::{LoadedAdapter, load_adapter, save_adapter, save_bare_adapter};
pub use anchors::{AnchorDocument, AnchorSpace, Anchors, Near};
pub use backbone::{BackboneFolder, load_backbone, load_backbone_at, open_backbone, save_backbone};
pub use bundle::{
    BUNDLE, BundleDType, BundleError, BundleLoader, Golden, HostTableEncoder, MANIFEST, Manifest, Matrices,
    PerTrait, Reheaded, ShardEntry, Share, TensorEntry, TokenizerEntry, rehead, write_bundle,
};
pub use cache::{EmbeddingCache, KeptEmbeddings};
pub use cached::KeptStages;
pub use calibration::{Calibrated, Calibration, CalibrationMethod};
pub use dtype::WeightDType;
pub use encoder::{BATCH_TOKENS, Embedder, Encoder, GoOn, witness};
pub use error::ScorerError;
pub use fingerprint::backbone_fingerprint;
pub use heads::{head_files, load_score_head, load_utility_head, save_score_head, save_utility_head};
pub use hf_config::{config_json, read_config};
pub use intervals::Intervals;
pub use judged::save_judged;
pub use load::find_scorer;
pub use raters::Raters;
pub use scorer::{Comparison, Scored, Scorer, WINDOW};
pub use settings::{
    HeadFile, RelativeFiles, ScoreFiles, ScorerSettings, TraitSettings, check_traits, write_scorer_settings,
};
pub use stages::{LinkedHead, Stage1, Stage2};
pub use stream::TensorWriter;
pub use tensor_file::TensorFile;
pub use tensors::{StoredTensor, write_tensors};
pub use tokenizer::{Encoded, TextEncoder};
