//! Settings as the types of the crates that use them.

use pair2score_model::{LoraConfig, Pooling, Projection};
use pair2score_scorer::WeightDType;

use crate::config::{DtypeKind, LoraSettings, PoolingKind, Transfer};

/// Short name of a transfer, as tables show it.
pub fn transfer_name(transfer: Transfer) -> &'static str {
    match transfer {
        Transfer::Scratch => "scratch",
        Transfer::HeadOnly => "head only",
        Transfer::WarmStart { train_adapter: true } => "warm start",
        Transfer::WarmStart { train_adapter: false } => "warm start, frozen adapter",
        Transfer::Stacked => "stacked",
        Transfer::Fusion { reuse: true, train_adapter: true } => "fusion",
        Transfer::Fusion { reuse: true, train_adapter: false } => "fusion, frozen adapter",
        Transfer::Fusion { reuse: false, .. } => "fusion, fresh adapter",
    }
}

pub(crate) fn weight_dtype(dtype: DtypeKind) -> WeightDType {
    match dtype {
        DtypeKind::F32 => WeightDType::F32,
        DtypeKind::F16 => WeightDType::F16,
        DtypeKind::Bf16 => WeightDType::Bf16,
        DtypeKind::Auto => WeightDType::Auto,
    }
}

pub(crate) fn pooling(pooling: PoolingKind) -> Pooling {
    match pooling {
        PoolingKind::Mean => Pooling::Mean,
        PoolingKind::Last => Pooling::Last,
    }
}

pub(crate) fn lora_config(settings: &LoraSettings) -> LoraConfig {
    LoraConfig {
        rank: settings.rank,
        alpha: settings.alpha,
        dropout: settings.dropout,
        targets: settings.targets.iter().filter_map(|name| Projection::from_name(name)).collect(),
    }
}
