//! What is known of documents before anybody judges them, from a scorer or a backbone.

use anyhow::{Result, anyhow};
use ndarray::{Array2, Axis};
use pair2score_data::Document;
use pair2score_data::judgements::Features;
use pair2score_model::{Depth, Kernels, Pooling};
use pair2score_scorer::{
    BackboneFolder, Encoded, Encoder, Scorer, TextEncoder, WeightDType, load_backbone_at, read_config,
};
use pair2score_train::Progress;

use crate::args::KnownArgs;
use crate::progress::Terminal;

impl KnownArgs {
    /// Reads the documents; without scorer and backbone, nothing is known of them. Of a scorer of several traits, what it
    /// says of the one that judges are asked about counts.
    pub(crate) fn read<B: Kernels>(
        &self,
        documents: &[&Document],
        target: Option<&str>,
        device: &B::Device,
    ) -> Result<Features> {
        if let Some(folder) = &self.scorer {
            let scorer = Scorer::<B>::load(folder, device)?;
            let place = scorer.settings.place_of(target);
            let place = place.map_err(|problem| anyhow!("{}: {problem}", folder.display()))?;
            let mut kept = self.cache.open().map(|cache| scorer.open_cache(&cache)).transpose()?;
            let rows = read(documents, &scorer.text_encoder, |encoded, progress| match &mut kept {
                Some(kept) => scorer.embed_and_say_cached(encoded, kept, progress),
                None => scorer.embed_and_say(encoded, progress),
            })?;
            let width = rows.ncols() - scorer.settings.traits.len();
            let (embeddings, said) = rows.view().split_at(Axis(1), width);
            let said: Vec<f64> = said.column(place).iter().map(|&number| number.into()).collect();
            return Ok(Features::new(Some(&said), Some(embeddings))?);
        }
        let Some(folder) = &self.backbone else { return Ok(Features::none(documents.len())) };
        let folder = BackboneFolder::find(folder)?;
        let text_encoder = TextEncoder::load(&folder.tokenizer, self.max_length)?;
        let config = read_config(&folder.model.join("config.json"))?;
        let depth = self.layers.map_or(Depth::default(), |layers| config.depth_of(layers));
        let (config, backbone) = load_backbone_at::<B>(&folder.model, depth, WeightDType::F32, device)?;
        text_encoder.check(&config)?;
        let encoder = Encoder::new(config, backbone, Pooling::Mean);
        let depths = [encoder.depth()];
        let mut kept = match self.cache.open() {
            Some(cache) => cache.open(&encoder, &[], &depths, device)?,
            None => Vec::new(),
        };
        let rows = read(documents, &text_encoder, |encoded, progress| {
            let encoded: Vec<&Encoded> = encoded.iter().collect();
            let go_on = |done| {
                progress(done);
                true
            };
            let mut rows = encoder.embed_documents(&encoded, &[], &depths, &mut kept, device, go_on)?;
            Ok(rows.remove(0))
        })?;
        Ok(Features::new(None, Some(rows.view()))?)
    }
}

/// A row of numbers per document, with progress and ids in errors.
fn read(
    documents: &[&Document],
    text_encoder: &TextEncoder,
    run: impl FnOnce(&[Encoded], &mut dyn FnMut(usize)) -> Result<Vec<f32>, pair2score_scorer::ScorerError>,
) -> Result<Array2<f32>> {
    let encoded = documents
        .iter()
        .map(|document| text_encoder.encode(&document.text))
        .collect::<Result<Vec<_>, _>>()?;
    let mut progress = Terminal::quiet();
    progress.begin("embed", documents.len());
    let values = run(&encoded, &mut |done| progress.advance(done))
        .map_err(|error| error.of_document(|place| documents[place].id.clone()))?;
    progress.end();
    let width = values.len() / documents.len();
    Ok(Array2::from_shape_vec((documents.len(), width), values)?)
}
