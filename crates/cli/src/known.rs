//! What is known of documents before anybody judges them, from a scorer or a backbone.

use std::path::PathBuf;

use anyhow::Result;
use ndarray::{Array2, Axis};
use pair2score_data::Document;
use pair2score_data::judgements::Features;
use pair2score_model::{Kernels, Pooling};
use pair2score_scorer::{BackboneFolder, Encoded, Encoder, Scorer, TextEncoder, WeightDType, load_backbone};
use pair2score_train::Progress;

use crate::progress::Terminal;

/// Where it comes from.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct KnownArgs {
    /// A run's checkpoint folder or an exported scorer: what it says of the documents and their embeddings tell about
    /// documents, judged or not.
    #[arg(long, value_name = "DIR", conflicts_with = "backbone")]
    pub(crate) scorer: Option<PathBuf>,
    /// Folder of a LLaMA backbone in Hugging Face layout: the embeddings alone do.
    #[arg(long, value_name = "DIR")]
    pub(crate) backbone: Option<PathBuf>,
    /// Longest text read, in tokens; a scorer has its own.
    #[arg(long, value_name = "N", default_value_t = 512, requires = "backbone")]
    pub(crate) max_length: usize,
}

impl KnownArgs {
    /// The folder that is read, where one is.
    pub(crate) fn folder(&self) -> Option<&PathBuf> {
        self.scorer.as_ref().or(self.backbone.as_ref())
    }

    /// Reads the documents; without scorer and backbone, nothing is known of them.
    pub(crate) fn read<B: Kernels>(&self, documents: &[&Document], device: &B::Device) -> Result<Features> {
        if let Some(folder) = &self.scorer {
            let scorer = Scorer::<B>::load(folder, device)?;
            let rows = read(documents, &scorer.text_encoder, |encoded, progress| {
                scorer.embed_and_say(encoded, progress)
            })?;
            let width = rows.ncols() - 1;
            let (embeddings, said) = rows.view().split_at(Axis(1), width);
            let said: Vec<f64> = said.iter().map(|&number| number.into()).collect();
            return Ok(Features::new(Some(&said), Some(embeddings))?);
        }
        let Some(folder) = &self.backbone else { return Ok(Features::none(documents.len())) };
        let folder = BackboneFolder::find(folder)?;
        let text_encoder = TextEncoder::load(&folder.tokenizer, self.max_length)?;
        let (config, backbone) = load_backbone::<B>(&folder.model, WeightDType::F32, device)?;
        text_encoder.check(&config)?;
        let encoder = Encoder::new(config, backbone, Pooling::Mean);
        let rows = read(documents, &text_encoder, |encoded, progress| {
            let encoded: Vec<&Encoded> = encoded.iter().collect();
            encoder.map_documents(&encoded, progress, |_, rows| encoder.embed(rows, &[], device))
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
