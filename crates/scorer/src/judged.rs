//! A scorer whose head came from judgements: what another scorer, or a backbone alone, says of a text, put on a scale.
//!
//! Judgements give two linear maps of an embedding and of what the scorer says (`pair2score_data::judgements`): one is
//! the utility, the other, by way of anchors, the score. The map of the score becomes a head of stage 2 in the published
//! form. What the scorer says is itself a head on the same embedding, so the sum of both is one head with two more hidden
//! units ([`ScoreHead::plus_linear`]).

use std::fs;
use std::path::{Path, PathBuf};

use pair2score_data::ScoreScale;
use pair2score_data::judgements::{JudgedHeads, LinearHead};
use pair2score_model::{Depth, Kernels, Pooling, ScoreHead, ScoreLink, UtilityHead};

use crate::backbone::{BackboneFolder, load_backbone_at};
use crate::dtype::WeightDType;
use crate::encoder::{Embedder, Encoder};
use crate::error::ScorerError;
use crate::fingerprint::backbone_fingerprint;
use crate::heads::{save_score_head, save_utility_head};
use crate::hf_config::read_config;
use crate::intervals::Intervals;
use crate::scorer::Scorer;
use crate::settings::{
    HeadFile, RelativeFiles, ScoreFiles, ScorerSettings, TraitSettings, write_scorer_settings,
};
use crate::stages::{LinkedHead, Stage1, Stage2};
use crate::tokenizer::TextEncoder;

/// The file of the head of stage 1.
const RELATIVE_HEAD: &str = "relative_head.safetensors";
/// The file of the head of stage 2.
const HEAD: &str = "head.safetensors";
/// The files of an adapter.
const ADAPTER_FILES: [&str; 2] = ["adapter_config.json", "adapter_model.safetensors"];

impl<B: Kernels> Scorer<B> {
    /// A backbone alone, whose embeddings are means over the tokens: a scorer that says nothing yet. `layers` is how many
    /// of its decoder layers are read, all by default.
    ///
    /// # Errors
    /// As [`load_backbone_at`] and [`TextEncoder::load`].
    pub fn of_backbone(
        folder: &Path,
        max_length: usize,
        layers: Option<usize>,
        device: &B::Device,
    ) -> Result<Self, ScorerError> {
        let found = BackboneFolder::find(folder)?;
        let text_encoder = TextEncoder::load(&found.tokenizer, max_length)?;
        let config = read_config(&found.model.join("config.json"))?;
        let depth = layers.map_or(Depth::default(), |layers| config.depth_of(layers));
        let (config, backbone) = load_backbone_at::<B>(&found.model, depth, WeightDType::F32, device)?;
        text_encoder.check(&config)?;
        let settings = ScorerSettings {
            traits: vec![TraitSettings::new("nothing yet", ScoreScale::default())],
            pooling: Pooling::Mean,
            max_length,
            prompt_template: None,
            letters: None,
            dtype: WeightDType::F32,
            backbone: std::path::absolute(folder).unwrap_or_else(|_| folder.into()),
            backbone_fingerprint: Some(backbone_fingerprint(&found.model)?),
            layers: depth.layers,
            final_norm: depth.final_norm,
            relative: None,
            score: None,
            anchors: None,
        };
        let encoder = Encoder::new(config, backbone, settings.pooling);
        Ok(Self {
            settings,
            text_encoder,
            encoder,
            stage1: None,
            stage2: None,
            anchors: None,
            device: device.clone(),
        })
    }
}

impl<B: Kernels, E: Embedder<B>> Scorer<B, E> {
    /// The scorer with the heads that came from judgements of its documents in place of its own in the trait at `place`, and
    /// without other traits: the score, and on a backbone alone the utility too. A stage 1 stays what it is.
    ///
    /// # Errors
    /// When its own head speaks of grades, or the heads are not about its embeddings.
    pub fn judged(mut self, heads: &JudgedHeads, place: usize) -> Result<Self, ScorerError> {
        let JudgedHeads { target, scale, utility, score, unseen } = heads;
        let weights = self.weights(score)?;
        let told = self.weights(utility)?;
        let (factor, bias) = (score.scorer.unwrap_or(0.0) as f32, score.intercept as f32);
        if let Some(stage1) = &mut self.stage1 {
            stage1.heads = vec![stage1.heads.swap_remove(place)];
        }
        if let Some(files) = &mut self.settings.relative {
            files.heads = vec![files.heads.swap_remove(place)];
        }
        let files = self.settings.score.take();
        let (adapters, fusion, head) = match (self.stage2.take(), &self.stage1) {
            (Some(mut stage2), _) => {
                let LinkedHead { head, link } = stage2.heads.swap_remove(place);
                if link != ScoreLink::Identity {
                    let problem = "has a head of grades (its objective), to which judgements add nothing; give a scorer \
                                   with a head of scores, or --backbone";
                    return Err(ScorerError::invalid(&self.settings.backbone, problem));
                }
                (stage2.adapters, stage2.fusion, head.plus_linear(factor, &weights, bias))
            }
            (None, Some(stage1)) => {
                let own: Vec<f32> = stage1.heads[0].weight.val().into_data().iter().collect();
                let both: Vec<f32> =
                    own.iter().zip(&weights).map(|(own, told)| factor * own + told).collect();
                let adapters = stage1.adapter.iter().cloned().collect();
                (adapters, false, ScoreHead::linear(&both, bias, &self.device))
            }
            (None, None) => {
                let utilities = vec![UtilityHead::linear(told, &self.device)];
                self.stage1 = Some(Stage1 { adapter: None, heads: utilities });
                self.settings.relative =
                    Some(RelativeFiles { adapter: None, heads: vec![RELATIVE_HEAD.into()] });
                (Vec::new(), false, ScoreHead::linear(&weights, bias, &self.device))
            }
        };
        let of_stage1 = self.settings.relative.iter().filter_map(|files| files.adapter.clone());
        let link = ScoreLink::Identity;
        self.settings.score = Some(ScoreFiles {
            adapters: files.map_or_else(|| of_stage1.collect(), |files| files.adapters),
            fusion,
            heads: vec![HeadFile { path: HEAD.into(), link }],
        });
        self.stage2 = Some(Stage2 { adapters, fusion, heads: vec![LinkedHead { head, link }] });
        let intervals = Intervals::fit(unseen.iter().copied(), scale);
        self.settings.traits = vec![TraitSettings { intervals, ..TraitSettings::new(target, *scale) }];
        // What was judged may be in another language, and has grades of its own.
        self.settings.letters = None;
        (self.settings.anchors, self.anchors) = (None, None);
        Ok(self)
    }

    /// The weights of a map on the embedding that this scorer's head reads.
    fn weights(&self, head: &LinearHead) -> Result<Vec<f32>, ScorerError> {
        let weights: Vec<f32> = head.weights.iter().map(|&weight| weight as f32).collect();
        let width = match &self.settings.score {
            Some(files) => files.embedding_width(self.encoder.width()),
            None => self.encoder.width(),
        };
        if weights.len() == width && head.scorer.is_some() == self.says_something() {
            return Ok(weights);
        }
        let problem = format!("judgements of embeddings of width {} do not fit this scorer", weights.len());
        Err(ScorerError::invalid(&self.settings.backbone, problem))
    }
}

/// Writes the folder of a [`judged`](Scorer::judged) scorer: its heads, its adapters as copies of those in `base`, the
/// folder of the scorer that it was made of, and the place of its backbone.
///
/// # Errors
/// When a file cannot be read or written.
pub fn save_judged<B: Kernels>(scorer: &Scorer<B>, base: &Path, folder: &Path) -> Result<(), ScorerError> {
    let mut settings = scorer.settings.clone();
    let backbone = base.join(&settings.backbone);
    settings.backbone = std::path::absolute(&backbone).unwrap_or(backbone);
    let mut originals: Vec<PathBuf> = Vec::new();
    let mut rename = |path: &mut PathBuf| {
        let known = originals.iter().position(|original| original == path);
        let place = known.unwrap_or(originals.len());
        let original = std::mem::replace(path, copy_name(place));
        if known.is_none() {
            originals.push(original);
        }
    };
    settings.relative.iter_mut().filter_map(|files| files.adapter.as_mut()).for_each(&mut rename);
    settings.score.iter_mut().flat_map(|files| &mut files.adapters).for_each(&mut rename);
    for (place, original) in originals.iter().enumerate() {
        let (from, to) = (base.join(original), folder.join(copy_name(place)));
        fs::create_dir_all(&to).map_err(ScorerError::io(&to))?;
        for file in ADAPTER_FILES {
            fs::copy(from.join(file), to.join(file)).map_err(ScorerError::io(&from.join(file)))?;
        }
    }
    if let (Some(files), Some(stage1)) = (&mut settings.relative, scorer.stage1()) {
        files.heads = vec![RELATIVE_HEAD.into()];
        save_utility_head(&folder.join(RELATIVE_HEAD), &stage1.heads[0])?;
    }
    if let Some(stage2) = scorer.stage2() {
        save_score_head(&folder.join(HEAD), &stage2.heads[0].head)?;
    }
    write_scorer_settings(folder, &settings)
}

/// What the copy of an adapter is called.
fn copy_name(place: usize) -> PathBuf {
    format!("adapter-{place}").into()
}
