//! Which layer of a frozen backbone to read (`model.layers: auto`): the one whose embeddings tell labels best.
//!
//! One pass embeds the documents at several depths, and the ridge on each says by its leave-one-out predictions how
//! well it would do. The middle of a language model often tells more about a text than its end, which is made to tell
//! the next token (SmolLM2-135M knows most about essays two thirds up).

use ndarray::{Array1, Array2, Axis};
use pair2score_heads::ridge;
use pair2score_model::{Depth, Kernels, LlamaConfig};
use pair2score_scorer::Encoder;

use crate::embeddings::{EmbeddingPass, Embeddings, Frozen};
use crate::error::TrainError;
use crate::exact;
use crate::examples::Examples;
use crate::report::Progress;

/// Depths that are compared, at most.
const CANDIDATES: usize = 10;

/// Chooses the depth with the smallest leave-one-out error on the training and validation documents of stage 2, on average
/// over the traits.
///
/// # Errors
/// When there are fewer than three labelled documents, an embedding is not finite, a stop was asked for, or the cache
/// cannot be used.
pub(super) fn choose_depth<K: Kernels>(
    encoder: &Encoder<K>,
    examples: &Examples,
    pass: EmbeddingPass<'_>,
    device: &K::Device,
    progress: &mut dyn Progress,
) -> Result<Depth, TrainError> {
    let depths = candidates(&encoder.config);
    let splits = &examples.splits;
    let known = [splits.train.as_slice(), &splits.val].concat();
    // All that any stage will need, so that no second pass is made.
    let documents: Vec<usize> =
        (0..examples.encoded.len()).filter(|&document| examples.encoded[document].is_some()).collect();
    let stage = "embed at several depths";
    let frozen = Frozen { encoder, adapters: &[], device };
    let at = Embeddings::at_depths(stage, frozen, &depths, examples, &documents, pass, progress)?;
    let traits = 0..examples.traits.len();
    let error = |embeddings: &Embeddings, place: usize| -> Result<f64, TrainError> {
        let (labelled, labels) = examples.labelled(place, &known);
        let rows = labelled.iter().flat_map(|&document| embeddings.row(document)).copied().collect();
        let rows = Array2::from_shape_vec((labelled.len(), encoder.config.d_model), rows)
            .expect("rows are of one width");
        let targets = Array1::from(labels.clone()).insert_axis(Axis(1));
        let weights = examples.traits[place].weights_of(&labelled);
        let heads = ridge(rows.view(), targets.view(), weights.as_deref())
            .map_err(|problem| exact::named(problem, "model.layers", examples, &labelled))?;
        let squares = heads[0].leave_one_out.iter().zip(&labels).map(|(said, label)| (said - label).powi(2));
        Ok((squares.sum::<f64>() / labels.len() as f64).sqrt())
    };
    // Of several traits the mean error, on their common scale.
    let mean = |embeddings: &Embeddings| -> Result<f64, TrainError> {
        let errors = traits.clone().map(|place| error(embeddings, place)).collect::<Result<Vec<f64>, _>>()?;
        Ok(errors.iter().sum::<f64>() / errors.len() as f64)
    };
    let errors = at.iter().map(mean).collect::<Result<Vec<f64>, _>>()?;
    let layers = |depth: &Depth| depth.layers.unwrap_or(encoder.config.n_layers);
    let (chosen, _) = depths
        .iter()
        .zip(&errors)
        .min_by(|(_, a), (_, b)| a.total_cmp(b))
        .expect("there is a depth for every backbone");
    let table: Vec<String> =
        depths.iter().zip(&errors).map(|(depth, error)| format!("{} {error:.4}", layers(depth))).collect();
    progress.message(&format!(
        "model.layers: auto reads {} of {} layers; leave-one-out RMSE by layers: {}",
        layers(chosen),
        encoder.config.n_layers,
        table.join(", ")
    ));
    Ok(*chosen)
}

/// Depths at equal distances, the whole backbone last.
fn candidates(backbone: &LlamaConfig) -> Vec<Depth> {
    let n = backbone.n_layers;
    let step = n.div_ceil(CANDIDATES);
    let below = (1..n).filter(|layers| (n - layers).is_multiple_of(step));
    let below = below.map(|layers| Depth { layers: Some(layers), final_norm: false });
    below.chain([Depth { layers: None, final_norm: backbone.final_norm }]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_at_most_ten_and_end_with_the_whole() {
        let config = |n_layers| LlamaConfig {
            vocab_size: 8,
            d_model: 4,
            d_ff: 4,
            n_layers,
            n_heads: 1,
            n_kv_heads: 1,
            head_dim: 4,
            max_positions: 8,
            rms_norm_eps: 1e-5,
            rope: pair2score_model::RopeConfig { theta: 1e4, scaling: pair2score_model::RopeScaling::None },
            tie_embeddings: true,
            layers_above: 0,
            final_norm: true,
        };
        let layers =
            |n| -> Vec<Option<usize>> { candidates(&config(n)).iter().map(|depth| depth.layers).collect() };
        assert_eq!(layers(1), [None]);
        assert_eq!(layers(3), [Some(1), Some(2), None]);
        let thirty: Vec<_> = (1..10).map(|k| Some(3 * k)).chain([None]).collect();
        assert_eq!(layers(30), thirty);
        assert_eq!(layers(16), [Some(2), Some(4), Some(6), Some(8), Some(10), Some(12), Some(14), None]);
    }
}
