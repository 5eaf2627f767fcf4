//! The scorer that is exported, and what a format can say of it.

use std::path::{Path, PathBuf};

use burn::tensor::backend::Backend;
use pair2score_model::Kernels;
use pair2score_scorer::{Calibration, Scorer, Stage2, find_scorer};

use crate::{ExportError, Format, Options};

/// A loaded scorer and where its files are.
#[derive(Debug)]
pub struct Source<B: Backend> {
    /// On its device.
    pub scorer: Scorer<B>,
    /// With `scorer.json`, or the manifest of a bundle.
    pub folder: PathBuf,
}

impl<B: Kernels> Source<B> {
    /// Loads a run's checkpoint folder or an exported scorer.
    ///
    /// # Errors
    /// As [`Scorer::load`].
    pub fn load(folder: &Path, device: &B::Device) -> Result<Self, ExportError> {
        let folder = find_scorer(folder)?;
        let scorer = Scorer::<B>::load(&folder, device)?;
        Ok(Self { scorer, folder })
    }

    /// Stage 2, for formats that hold nothing but scores.
    pub(crate) fn stage2(&self) -> Result<&Stage2<B>, ExportError> {
        self.scorer.stage2().ok_or_else(|| {
            self.inexpressible(
                "holds stage 1 only, which ranks and does not score; use --format hf, or run stage 2 first",
            )
        })
    }

    /// Refuses what no model of Hugging Face computes.
    pub(crate) fn needs_final_norm(&self) -> Result<(), ExportError> {
        if self.scorer.encoder.config.final_norm {
            return Ok(());
        }
        Err(self.inexpressible(
            "reads hidden states without the final norm (final_norm in scorer.json), which transformers always \
             applies; use --format onnx or web",
        ))
    }

    /// The calibrations that the model itself is to apply: the scorer's, one for each trait, where that is asked for.
    pub(crate) fn built_in(&self, options: &Options) -> Result<Option<Vec<&Calibration>>, ExportError> {
        if !options.calibrated {
            return Ok(None);
        }
        if matches!(options.format, Format::HuggingFace | Format::Web) {
            return Err(self.inexpressible(
                "keeps its calibration beside raw scores in the formats hf and web; leave out --calibrated",
            ));
        }
        let calibrations = self.scorer.settings.traits.iter().map(|of| {
            of.calibration.as_ref().ok_or_else(|| {
                let what = format!("holds no calibration of {}", of.target);
                self.inexpressible(&format!(
                    "{what}; leave out --calibrated, or train with stage2_absolute.calibration"
                ))
            })
        });
        calibrations.collect::<Result<_, _>>().map(Some)
    }

    pub(crate) fn inexpressible(&self, problem: &str) -> ExportError {
        ExportError::Inexpressible { scorer: self.folder.clone(), problem: problem.into() }
    }
}
