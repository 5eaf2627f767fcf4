//! What decides the embeddings of an encoder, as one hash for each depth: the weights that run, the adapters on them,
//! where hidden states are read, pooling and device.

use burn::tensor::{Tensor, backend::Backend};
use pair2score_model::{Adapter, Depth, Kernels, LlamaConfig, LoraFactors, Projection};
use sha2::{Digest, Sha256};

use crate::cache::{EmbeddingCache, KeptEmbeddings, Key};
use crate::encoder::Encoder;
use crate::error::ScorerError;

impl EmbeddingCache {
    /// What is kept of the embeddings at each of these depths.
    ///
    /// # Errors
    /// When a file cannot be read, or is none of ours.
    ///
    /// # Panics
    /// When the encoder has not all of these depths.
    pub fn open<B: Kernels>(
        &self,
        encoder: &Encoder<B>,
        adapters: &[&Adapter<B>],
        depths: &[Depth],
        device: &B::Device,
    ) -> Result<Vec<KeptEmbeddings>, ScorerError> {
        let computations = computations(encoder, adapters, depths, device);
        computations.into_iter().map(|key| self.of_computation(key, encoder.config.d_model)).collect()
    }
}

/// For each depth, what decides the embeddings there.
fn computations<B: Kernels>(
    encoder: &Encoder<B>,
    adapters: &[&Adapter<B>],
    depths: &[Depth],
    device: &B::Device,
) -> Vec<Key> {
    let (config, decoder) = (&encoder.config, &encoder.backbone.decoder);
    let mut hash = Sha256::new();
    // The number of layers and the limits of a checkpoint decide nothing of what the layers compute.
    let computing = LlamaConfig {
        n_layers: 0,
        layers_above: 0,
        max_positions: 0,
        tie_embeddings: true,
        final_norm: true,
        ..config.clone()
    };
    hash.update(format!("{computing:?}\n{:?}\n{}\n", encoder.pooling, B::name(device)));
    add_tensor(&mut hash, encoder.backbone.embed_tokens.val());
    let layers = |depth: &Depth| depth.layers.unwrap_or(config.n_layers);
    let mut keys = vec![None; depths.len()];
    for n in 1..=depths.iter().map(layers).max().unwrap_or(0) {
        let layer = &decoder.layers[n - 1];
        add_tensor(&mut hash, layer.input_norm.weight.val());
        add_tensor(&mut hash, layer.post_attention_norm.weight.val());
        for projection in Projection::ALL {
            add_tensor(&mut hash, layer.weight(projection).val());
            for adapter in adapters {
                add_factors(&mut hash, adapter.layers[n - 1].get(projection));
            }
        }
        for (key, depth) in keys.iter_mut().zip(depths).filter(|(_, depth)| layers(depth) == n) {
            let mut hash = hash.clone();
            if depth.final_norm {
                add_tensor(&mut hash, decoder.norm.as_ref().expect("the final norm was loaded").weight.val());
            }
            *key = Some(hash.finalize().into());
        }
    }
    keys.into_iter().map(|key| key.expect("a depth is one of the backbone")).collect()
}

/// Adds the adapter of a projection, or that there is none.
fn add_factors<B: Backend>(hash: &mut Sha256, factors: Option<&LoraFactors<B>>) {
    match factors {
        None => hash.update("none"),
        Some(LoraFactors { a, b, scale, dropout: _ }) => {
            hash.update(scale.to_le_bytes());
            add_tensor(hash, a.val());
            add_tensor(hash, b.val());
        }
    }
}

/// Adds type, shape and values of a tensor.
fn add_tensor<B: Backend, const D: usize>(hash: &mut Sha256, tensor: Tensor<B, D>) {
    let data = tensor.into_data();
    hash.update(format!("{:?} {:?}\n", data.dtype, data.shape));
    hash.update(data.as_bytes());
}
