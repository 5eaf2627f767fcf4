//! PEFT folders: `adapter_config.json` and after a separator `adapter_model.safetensors`.

use std::path::Path;

use burn::backend::Flex;
use pair2score_model::{LlamaConfig, Projection, RopeConfig, RopeScaling};
use pair2score_scorer::{load_adapter, save_adapter};

use super::{empty_folder, file, parts};

/// The smallest backbone whose projections all differ in shape.
const BACKBONE: LlamaConfig = LlamaConfig {
    vocab_size: 8,
    d_model: 3,
    d_ff: 5,
    n_layers: 2,
    n_heads: 2,
    n_kv_heads: 1,
    head_dim: 2,
    max_positions: 16,
    rms_norm_eps: 1e-5,
    rope: RopeConfig { theta: 1e4, scaling: RopeScaling::None },
    tie_embeddings: true,
    layers_above: 0,
    final_norm: true,
};

pub(super) fn check(input: &[u8], folder: &Path) {
    let parts = parts(input);
    let first = empty_folder(folder, "adapter");
    file(&first, "adapter_config.json", parts[0]);
    file(&first, "adapter_model.safetensors", parts.get(1).unwrap_or(&&[][..]));
    let device = Default::default();
    let Ok(loaded) = load_adapter::<Flex>(&first, &BACKBONE, &device) else { return };

    let second = empty_folder(folder, "again");
    save_adapter(&second, &loaded.adapter, &loaded.config, "backbone", &BACKBONE)
        .expect("what was read can be written");
    let again = load_adapter::<Flex>(&second, &BACKBONE, &device).expect("what we wrote can be read");
    for (layer, other) in loaded.adapter.layers.iter().zip(&again.adapter.layers) {
        for projection in Projection::ALL {
            let (Some(factors), other) = (layer.get(projection), other.get(projection)) else { continue };
            let other = other.expect("no factors are lost");
            assert!(factors.scale.is_finite(), "{projection:?}");
            let close = (factors.scale - other.scale).abs() <= 1e-9 + 1e-12 * factors.scale.abs();
            assert!(close, "{projection:?}: scale {} became {}", factors.scale, other.scale);
            for (one, other) in [(&factors.a, &other.a), (&factors.b, &other.b)] {
                assert_eq!(one.val().into_data().bytes, other.val().into_data().bytes, "{projection:?}");
            }
        }
    }
}
