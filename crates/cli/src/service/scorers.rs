//! What requests know of the scorers: their names, what they can say, and their tokenizers.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use pair2score_data::{PromptTemplate, ScoreScale};
use pair2score_model::Kernels;
use pair2score_scorer::{Scorer, TextEncoder, TraitSettings};
use serde::Serialize;

use super::args::NamedFolder;

/// A scorer as handlers see it; the thread that computes has the rest.
pub(super) struct Served {
    pub(super) text_encoder: TextEncoder,
    /// How the prompts of texts are read, where they are.
    pub(super) template: Option<PromptTemplate>,
    pub(super) about: About,
}

/// What a client is told of a scorer.
#[derive(Debug, Clone, Serialize)]
pub(super) struct About {
    pub(super) name: String,
    /// What is rated.
    pub(super) traits: Vec<AboutTrait>,
    /// Longest text read, in tokens.
    pub(super) max_length: usize,
    /// Whether stage 2 was trained, which gives scores.
    pub(super) scores: bool,
    /// Whether stage 1 was trained, which gives utilities.
    pub(super) ranks: bool,
    /// Whether a text is read with the prompt that it answers.
    pub(super) prompts: bool,
}

/// What a client is told of a trait.
#[derive(Debug, Clone, Serialize)]
pub(super) struct AboutTrait {
    pub(super) name: String,
    scale: ScoreScale,
    /// Whether scores are calibrated besides.
    calibrated: bool,
    /// The share of labels that intervals are meant to hold; `None` where scores have none.
    interval_level: Option<f64>,
}

impl Served {
    fn of<B: Kernels>(name: String, scorer: &Scorer<B>) -> Self {
        let about = |of: &TraitSettings| AboutTrait {
            name: of.target.clone(),
            scale: of.scale,
            calibrated: of.calibration.is_some(),
            interval_level: of.intervals.as_ref().map(|intervals| intervals.level),
        };
        let about = About {
            name,
            traits: scorer.settings.traits.iter().map(about).collect(),
            max_length: scorer.text_encoder.max_length(),
            scores: scorer.can_score(),
            ranks: scorer.can_rank(),
            prompts: scorer.settings.prompt_template.is_some(),
        };
        let template = scorer.settings.prompt_template.clone();
        Self { text_encoder: scorer.text_encoder.clone(), template, about }
    }
}

/// Loads scorers, each in both halves.
///
/// # Errors
/// Two of one name; a scorer that cannot be loaded.
pub(super) fn load<B: Kernels>(
    folders: &[NamedFolder],
    packed: bool,
    device: &B::Device,
) -> Result<(Vec<Served>, Vec<Scorer<B>>)> {
    let mut names = BTreeSet::new();
    if let Some(twice) = folders.iter().find(|folder| !names.insert(&folder.name)) {
        bail!(
            "--scorer: two are called {:?}; give one another name, as NAME={}",
            twice.name,
            twice.folder.display()
        );
    }
    let mut loaded = (Vec::new(), Vec::new());
    for NamedFolder { name, folder } in folders {
        let scorer =
            if packed { Scorer::<B>::load_packed(folder, device) } else { Scorer::load(folder, device) }?;
        scorer.check_heads(folder)?;
        loaded.0.push(Served::of(name.clone(), &scorer));
        loaded.1.push(scorer);
    }
    Ok(loaded)
}
