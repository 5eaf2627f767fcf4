//! A scorer from a folder.

use std::convert::identity;
use std::path::{Path, PathBuf};

use pair2score_model::{DecoderLayer, Kernels};

use crate::adapter::load_adapter;
use crate::anchors::AnchorSpace;
use crate::backbone::{BackboneFolder, load_backbone_with};
use crate::bundle;
use crate::encoder::Encoder;
use crate::error::ScorerError;
use crate::fingerprint::backbone_fingerprint;
use crate::heads::{load_score_head, load_utility_head};
use crate::scorer::Scorer;
use crate::settings::{HeadFile, SETTINGS, ScorerSettings};
use crate::stages::{LinkedHead, Stage1, Stage2};
use crate::tokenizer::TextEncoder;

/// The folder with the `scorer.json` of a run's checkpoint folder, of its `absolute/` or `relative/`, or of an
/// exported scorer; of a site, that of its bundle.
///
/// # Errors
/// When there is none.
pub fn find_scorer(folder: &Path) -> Result<PathBuf, ScorerError> {
    if let Some(bundle) = bundle::find(folder) {
        return Ok(bundle);
    }
    let candidates = [folder.to_path_buf(), folder.join("absolute"), folder.join("relative")];
    candidates.into_iter().find(|f| f.join(SETTINGS).is_file()).ok_or_else(|| {
        ScorerError::invalid(folder, "is not a scorer: no scorer.json in it, in absolute/ or in relative/")
    })
}

/// Refuses a backbone whose weights are others than those that the scorer in this folder was made for.
fn check_backbone(
    folder: &Path,
    settings: &ScorerSettings,
    backbone: &BackboneFolder,
) -> Result<(), ScorerError> {
    let Some(known) = &settings.backbone_fingerprint else { return Ok(()) };
    if *known == backbone_fingerprint(&backbone.model)? {
        return Ok(());
    }
    let problem = format!(
        "was made for other weights than the backbone {} has; correct its `backbone` entry, or take out \
         `backbone_fingerprint` to use these weights",
        backbone.model.display()
    );
    Err(ScorerError::invalid(&folder.join(SETTINGS), problem))
}

impl<B: Kernels> Scorer<B> {
    /// Loads a run's checkpoint folder (or its `absolute/` or `relative/`), or an exported folder: one with a
    /// `scorer.json`, a web site or its bundle.
    ///
    /// # Errors
    /// When a file is missing, damaged, or does not fit the others.
    pub fn load(folder: &Path, device: &B::Device) -> Result<Self, ScorerError> {
        Self::load_with(folder, device, identity)
    }

    /// As [`load`](Self::load), with the backbone's projections in [8 bits](pair2score_model::packed), as a packed bundle
    /// has them. A layer is packed before the next one is read, so that memory never holds all of them as they are stored.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_packed(folder: &Path, device: &B::Device) -> Result<Self, ScorerError> {
        Self::load_with(folder, device, DecoderLayer::packed)
    }

    fn load_with(
        folder: &Path,
        device: &B::Device,
        finish: fn(DecoderLayer<B>) -> DecoderLayer<B>,
    ) -> Result<Self, ScorerError> {
        let folder = find_scorer(folder)?;
        if folder.join(bundle::MANIFEST).is_file() {
            let mut scorer = bundle::load::<B>(&folder, device)?;
            let decoder = &mut scorer.encoder.backbone.decoder;
            decoder.layers = std::mem::take(&mut decoder.layers).into_iter().map(finish).collect();
            return Ok(scorer);
        }
        let settings = ScorerSettings::read(&folder.join(SETTINGS))?;
        let backbone = BackboneFolder::find(&folder.join(&settings.backbone)).map_err(|error| {
            ScorerError::invalid(
                &folder.join(SETTINGS),
                format!("names a backbone that cannot be used ({error}); correct its `backbone` entry"),
            )
        })?;
        check_backbone(&folder, &settings, &backbone)?;
        let text_encoder = TextEncoder::load(&backbone.tokenizer, settings.max_length)?;
        let (config, weights) =
            load_backbone_with(&backbone.model, settings.depth(), settings.dtype, device, finish)?;
        text_encoder.check(&config)?;
        let adapter =
            |path: &PathBuf| Ok::<_, ScorerError>(load_adapter(&folder.join(path), &config, device)?.adapter);
        let stage1 = match &settings.relative {
            None => None,
            Some(files) => {
                let head = |path: &PathBuf| load_utility_head(&folder.join(path), config.d_model, device);
                Some(Stage1 {
                    adapter: files.adapter.as_ref().map(adapter).transpose()?,
                    heads: files.heads.iter().map(head).collect::<Result<_, _>>()?,
                })
            }
        };
        let stage2 = match &settings.score {
            None => None,
            Some(files) => {
                let width = files.embedding_width(config.d_model);
                let head = |&HeadFile { ref path, link }: &HeadFile| {
                    let head = load_score_head(&folder.join(path), width, link.n_outputs(), device)?;
                    Ok::<_, ScorerError>(LinkedHead { head, link })
                };
                Some(Stage2 {
                    adapters: files.adapters.iter().map(adapter).collect::<Result<_, _>>()?,
                    fusion: files.fusion,
                    heads: files.heads.iter().map(head).collect::<Result<_, _>>()?,
                })
            }
        };
        let anchors = match (&settings.anchors, &settings.score) {
            (Some(anchors), Some(files)) => {
                let (n, width) = (anchors.documents.len(), files.embedding_width(config.d_model));
                Some(AnchorSpace::load(&folder.join(&anchors.embeddings), n, width)?)
            }
            _ => None,
        };
        let encoder = Encoder::new(config, weights, settings.pooling);
        Ok(Self { settings, text_encoder, encoder, stage1, stage2, anchors, device: device.clone() })
    }
}
