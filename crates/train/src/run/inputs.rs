//! What a run reads before it needs a device.

use pair2score_model::{Depth, LlamaConfig};
use pair2score_scorer::{BackboneFolder, TextEncoder, read_config};

use crate::TrainError;
use crate::config::Settings;
use crate::examples::Examples;
use crate::report::Progress;

/// Everything that a run reads but the weights.
pub struct Inputs {
    /// Shape of the backbone, as far as it is read.
    pub config: LlamaConfig,
    /// Documents, splits and pairs.
    pub examples: Examples,
    pub(super) backbone: BackboneFolder,
    /// Where its hidden states are read.
    pub(super) depth: Depth,
}

impl Inputs {
    /// Reads and checks everything a run reads but the weights.
    ///
    /// # Errors
    /// When a file is wrong or does not fit the others.
    pub fn load(settings: &Settings, progress: &mut dyn Progress) -> Result<Self, TrainError> {
        let backbone = BackboneFolder::find(&settings.model.backbone)?;
        let path = backbone.model.join("config.json");
        let config = read_config(&path)?;
        let depth = settings.model.depth(&config);
        let config = config
            .read_to(depth)
            .map_err(|error| TrainError::Mismatch { path, problem: format!("model.layers: {error}") })?;
        let text_encoder = TextEncoder::load(&backbone.tokenizer, settings.model.max_length)?;
        text_encoder.check(&config)?;
        let examples = Examples::load(settings, &text_encoder, progress)?;
        if settings.model.max_length > config.max_positions {
            progress.message(&format!(
                "model.max_length {} is beyond the {} positions the backbone was trained for",
                settings.model.max_length, config.max_positions
            ));
        }
        let encoded = examples.encoded.iter().flatten();
        let cut = encoded.clone().filter(|document| document.truncated()).count();
        if cut > 0 {
            progress.message(&format!(
                "{cut} of {} documents are longer than {} tokens and are cut (model.max_length)",
                encoded.count(),
                settings.model.max_length
            ));
        }
        Ok(Self { config, examples, backbone, depth })
    }
}
