//! What the stages of one run share.

use pair2score_data::{Grades, Letters};
use pair2score_model::Depth;
use pair2score_scorer::{
    EmbeddingCache, Encoder, Raters, RelativeFiles, ScoreFiles, ScorerSettings, TraitSettings,
};

use super::RunOptions;
use super::identity::{FileHashes, identity};
use super::info::Info;
use super::layout::training_folder;
use super::log::stamp;
use crate::TrainError;
use crate::backend::TrainBackend;
use crate::checkpoint::{self, Checkpoints, OnUnfinished};
use crate::config::{Settings, TrainingSettings};
use crate::embeddings::EmbeddingPass;
use crate::examples::Examples;
use crate::fit::FitPlan;
use crate::metrics::raters;

/// Intervals in which the labels of a continuous scale are counted.
const LABEL_INTERVALS: usize = 20;

/// The inputs and the devices of a run.
pub(super) struct Run<'a, B: TrainBackend> {
    pub(super) settings: &'a Settings,
    pub(super) options: RunOptions<'a>,
    pub(super) examples: &'a Examples,
    /// Where the hidden states of the backbone are read.
    pub(super) depth: Depth,
    pub(super) encoder: Encoder<B>,
    /// By what its backbone is known again.
    pub(super) backbone_fingerprint: String,
    /// Where embeddings of frozen weights are kept.
    pub(super) cache: EmbeddingCache,
    pub(super) device: &'a B::Device,
    /// Further devices for the steps, each with the encoder on it.
    pub(super) others: Vec<(Encoder<B>, B::Device)>,
}

impl<B: TrainBackend> Run<'_, B> {
    /// Checkpoints of a stage.
    pub(super) fn checkpoints(&self, stage: &str) -> Result<Checkpoints, TrainError> {
        let settings = self.settings;
        let identity = identity(settings, stage, self.options.device_name, &mut FileHashes::default())?;
        let folder = training_folder(settings, stage);
        Ok(Checkpoints::new(
            folder,
            settings.pipeline.checkpoint_every,
            settings.pipeline.checkpoint_keep,
            identity,
        ))
    }

    /// Throws away what was left by a run with other settings or files, where that was asked for.
    pub(super) fn discard_others(&self, stage: &str, checkpoints: &Checkpoints) -> Result<(), TrainError> {
        match self.options.unfinished {
            OnUnfinished::ResumeOrReplace if !checkpoints.fit_this_run() => {
                checkpoint::clear(&training_folder(self.settings, stage))
            }
            _ => Ok(()),
        }
    }

    /// How embeddings are computed.
    pub(super) fn embedding_pass(&self) -> EmbeddingPass<'_> {
        EmbeddingPass { cache: Some(&self.cache), stop: self.options.stop }
    }

    /// How the loop trains a stage; whether a model that did not learn a step may be kept is up to where it begins.
    pub(super) fn fit_plan<'p>(
        &'p self,
        stage: &'p str,
        training: &'p TrainingSettings,
        checkpoints: &'p Checkpoints,
        start_counts: bool,
    ) -> FitPlan<'p> {
        FitPlan {
            stage,
            training,
            seed: *self.settings.pipeline.seed,
            checkpoints: Some(checkpoints),
            stop: self.options.stop,
            start_counts,
        }
    }

    /// What adapters call their backbone.
    pub(super) fn backbone_name(&self) -> String {
        self.settings.model.backbone.display().to_string()
    }

    /// The settings of a trait, of which nothing was learned yet.
    pub(super) fn trait_settings(&self, place: usize) -> TraitSettings {
        TraitSettings::new(&self.examples.traits[place].target, self.settings.scale.get())
    }

    /// The settings of a scorer of these traits with these files.
    pub(super) fn scorer_settings(
        &self,
        traits: Vec<TraitSettings>,
        relative: Option<RelativeFiles>,
        score: Option<ScoreFiles>,
    ) -> ScorerSettings {
        let backbone = &self.settings.model.backbone;
        ScorerSettings {
            traits,
            pooling: self.encoder.pooling,
            max_length: self.settings.model.max_length,
            prompt_template: self.settings.data.template().cloned(),
            letters: self.letters(),
            dtype: self.settings.model.dtype,
            backbone: std::path::absolute(backbone).unwrap_or_else(|_| backbone.to_path_buf()),
            backbone_fingerprint: Some(self.backbone_fingerprint.clone()),
            layers: self.depth.layers,
            final_norm: self.depth.final_norm,
            relative,
            score,
            anchors: None,
        }
    }

    /// How letters follow each other in the training documents, with or without a label.
    fn letters(&self) -> Option<Letters> {
        let documents = self.examples.splits.train.iter().chain(&self.examples.unlabelled);
        Letters::of(documents.map(|&document| self.examples.documents.documents[document].text.as_str()))
    }

    /// Training documents of each grade of a trait, from the lowest; on a continuous scale, of each interval.
    pub(super) fn label_counts(&self, place: usize) -> Vec<usize> {
        let scale = self.settings.scale.get();
        let (min, width) = (scale.min(), scale.max() - scale.min());
        let mut counts = vec![0; scale.grades().map_or(LABEL_INTERVALS, Grades::n_grades)];
        let last = counts.len() - 1;
        for label in self.examples.labelled(place, &self.examples.splits.train).1 {
            let place = match scale.grades() {
                Some(grades) => grades.index_nearest(label),
                // `as` saturates at 0.
                None => ((label - min) / width * LABEL_INTERVALS as f64) as usize,
            };
            counts[place.min(last)] += 1;
        }
        counts
    }

    /// How far two people lie apart in a trait, by the second ratings of documents that stage 2 learned from, or by the
    /// standard errors of their labels; `None` where there are neither.
    pub(super) fn raters(&self, place: usize) -> Option<Raters> {
        let known = [self.examples.splits.train.as_slice(), &self.examples.splits.val].concat();
        let (documents, labels) = self.examples.labelled(place, &known);
        let second_ratings = self.examples.traits[place].second_ratings_of(&documents);
        raters::between_ratings(&labels, &second_ratings, &self.settings.scale.get()).or_else(|| {
            let error = |&document: &usize| self.examples.documents.documents[document].label_se;
            raters::between_labels(&documents.iter().filter_map(error).collect::<Vec<_>>())
        })
    }

    /// Mean number of tokens of a training document, with or without a label.
    pub(super) fn tokens_per_document(&self) -> f64 {
        let documents = || self.examples.splits.train.iter().chain(&self.examples.unlabelled);
        let tokens: usize = documents().map(|&document| self.examples.ids(document).len()).sum();
        tokens as f64 / documents().count() as f64
    }

    /// The lines with which the info file of a stage begins.
    pub(super) fn info(&self, stage: &str) -> Info {
        let mut info = Info::default();
        info.put("timestamp", stamp());
        info.put("stage", stage);
        info.put("experiment_id", &self.settings.pipeline.experiment);
        info.put("trait", self.settings.pipeline.named());
        info.put("test_fold", &self.settings.pipeline.test_fold);
        info.put("seed", *self.settings.pipeline.seed);
        info.put("device", self.options.device_name);
        info.put("backbone", self.backbone_name());
        for (key, value) in &self.settings.metadata {
            info.put(&format!("meta_{key}"), value);
        }
        info
    }
}
