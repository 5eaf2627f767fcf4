//! The scorer that is exported, and what a format can say of it.

use std::path::{Path, PathBuf};

use burn::tensor::backend::Backend;
use pair2score_model::Kernels;
use pair2score_scorer::{Calibration, Scorer, Stage2, find_scorer};

use crate::{ExportError, Format, Options};

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base<'a> {
    /// A run's checkpoint folder, or an exported scorer.
    Scorer(&'a Path),
    /// A backbone alone, for judging with what its embeddings tell; a web site is the only form for it.
    Backbone {
        /// In Hugging Face layout.
        folder: &'a Path,
        /// Longest text read, in tokens.
        max_length: usize,
        /// Decoder layers that are read, from the first; `None` for all.
        layers: Option<usize>,
    },
}

impl<'a> From<&'a Path> for Base<'a> {
    fn from(scorer: &'a Path) -> Self {
        Self::Scorer(scorer)
    }
}

/// A loaded scorer and where its files are.
#[derive(Debug)]
pub struct Source<B: Backend> {
    /// On its device.
    pub scorer: Scorer<B>,
    /// With `scorer.json`, or the manifest of a bundle.
    pub folder: PathBuf,
}

impl<B: Kernels> Source<B> {
    /// Loads it.
    ///
    /// # Errors
    /// As [`Scorer::load`] and [`Scorer::of_backbone`].
    pub fn load<'a>(base: impl Into<Base<'a>>, device: &B::Device) -> Result<Self, ExportError> {
        match base.into() {
            Base::Scorer(folder) => {
                let folder = find_scorer(folder)?;
                Ok(Self { scorer: Scorer::load(&folder, device)?, folder })
            }
            Base::Backbone { folder, max_length, layers } => {
                let scorer = Scorer::of_backbone(folder, max_length, layers, device)?;
                Ok(Self { scorer, folder: folder.into() })
            }
        }
    }

    /// A format other than a site holds a number for every text.
    pub(crate) fn says_something(&self) -> Result<(), ExportError> {
        match self.scorer.says_something() {
            true => Ok(()),
            false => {
                Err(self.inexpressible("is a backbone alone, which says nothing of a text; use --format web"))
            }
        }
    }

    /// Stage 2, for formats that hold nothing but scores.
    pub(crate) fn stage2(&self) -> Result<&Stage2<B>, ExportError> {
        self.scorer.stage2().ok_or_else(|| {
            self.inexpressible(
                "holds stage 1 only, which ranks and does not score; use --format hf, or run stage 2 first",
            )
        })
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
