//! What the projections of a scorer read, in the mean over texts.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use pair2score_model::{Adapter, Kernels, TokenBatch};

use super::manifest::Golden;
use crate::{Scorer, ScorerError, names};

/// Mean of the input of every projection over the tokens of the texts, by the name of its weight. The first token of a
/// text is left out: LLaMAs give it activations hundreds of times as large as all others (Sun et al. 2024, Massive
/// activations in large language models), and the mean would be its alone.
pub(super) fn input_means<B: Kernels>(
    scorer: &Scorer<B>,
    texts: &[Golden],
) -> Result<BTreeMap<String, Vec<f32>>, ScorerError> {
    let (encoder, device) = (&scorer.encoder, &scorer.device);
    // The adapters of the scores, where there are scores.
    let adapters: Vec<&Adapter<B>> = match (scorer.stage2(), scorer.stage1()) {
        (Some(stage2), _) => stage2.adapters.iter().collect(),
        (None, stage1) => stage1.and_then(|stage1| stage1.adapter.as_ref()).into_iter().collect(),
    };
    let mut sums: BTreeMap<String, Tensor<B, 1>> = BTreeMap::new();
    let mut tokens = 0;
    for text in texts {
        let document = scorer.text_encoder.encode(&text.text)?;
        let others = document.ids.len().saturating_sub(1);
        if others == 0 {
            continue;
        }
        let batch = TokenBatch::packed(&[&document.ids], device);
        tokens += others;
        encoder.backbone.visit_inputs(&encoder.config, &batch, &adapters, |layer, projection, input| {
            let sum = input.clone().narrow(0, 1, others).sum_dim(0).squeeze_dim(0);
            let name = names::projection(layer, projection);
            let before = sums.remove(&name);
            sums.insert(name, before.map_or(sum.clone(), |before| before + sum));
        });
    }
    let mean = |(name, sum): (String, Tensor<B, 1>)| {
        let values = sum.div_scalar(tokens as f32).into_data().convert::<f32>();
        (name, values.into_vec().expect("converted to f32"))
    };
    Ok(sums.into_iter().map(mean).collect())
}
