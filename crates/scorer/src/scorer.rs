//! The whole artifact: loads from a folder, embeds, scores and compares texts.

use std::path::Path;

use burn::tensor::{Tensor, backend::Backend};
use pair2score_model::{Adapter, Kernels, ScoreHead, UtilityHead};

use crate::settings::SETTINGS;
use crate::tokenizer::{Encoded, TextEncoder};
use crate::{
    BackboneFolder, Calibrated, Encoder, ScorerError, ScorerSettings, bundle, find_scorer, load_adapter,
    load_backbone, load_score_head, load_utility_head,
};

/// Score of one document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Stage-2 output in rubric units.
    pub score: f64,
    /// Nearest grade of the scale.
    pub grade: f64,
    /// Both as validation documents correct them, where the scorer holds a calibration.
    pub calibrated: Option<Calibrated>,
    /// Whether the text was longer than the scorer reads.
    pub truncated: bool,
}

/// Which of two documents is better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Stage-1 utilities of both, where stage 1 was trained.
    pub utilities: Option<[f64; 2]>,
    /// Scores of both, where stage 2 was trained.
    pub scores: Option<[Scored; 2]>,
}

impl Comparison {
    /// Utility of the first minus utility of the second, where stage 1 was trained.
    pub fn logit(&self) -> Option<f64> {
        self.utilities.map(|[a, b]| a - b)
    }

    /// Probability that the first is better, where stage 1 was trained.
    pub fn preference(&self) -> Option<f64> {
        self.logit().map(|logit| 1.0 / (1.0 + (-logit).exp()))
    }
}

/// A loaded scorer on a device.
#[derive(Debug)]
pub struct Scorer<B: Backend> {
    /// What `scorer.json` says.
    pub settings: ScorerSettings,
    /// Tokenizer with the scorer's length limit.
    pub text_encoder: TextEncoder,
    /// Backbone and pooling.
    pub encoder: Encoder<B>,
    pub(crate) relative: Option<(Option<Adapter<B>>, UtilityHead<B>)>,
    pub(crate) score: Option<(Vec<Adapter<B>>, ScoreHead<B>)>,
    pub(crate) device: B::Device,
}

impl<B: Kernels> Scorer<B> {
    /// Loads a run's checkpoint folder (or its `absolute/` or `relative/`), or an exported folder: one with a
    /// `scorer.json`, a web site or its bundle.
    ///
    /// # Errors
    /// When a file is missing, damaged, or does not fit the others.
    pub fn load(folder: &Path, device: &B::Device) -> Result<Self, ScorerError> {
        let folder = find_scorer(folder)?;
        if folder.join(bundle::MANIFEST).is_file() {
            return bundle::load(&folder, device);
        }
        let settings = ScorerSettings::read(&folder.join(SETTINGS))?;
        let backbone_path = folder.join(&settings.backbone);
        let parts = BackboneFolder::find(&backbone_path).map_err(|error| {
            ScorerError::invalid(
                &folder.join(SETTINGS),
                format!("names a backbone that cannot be used ({error}); correct its `backbone` entry"),
            )
        })?;
        let text_encoder = TextEncoder::load(&parts.tokenizer, settings.max_length)?;
        let (config, backbone) = load_backbone::<B>(&parts.model, settings.dtype, device)?;
        text_encoder.check(&config)?;
        let d = config.d_model;
        let adapter = |path: &Path| {
            Ok::<_, ScorerError>(load_adapter::<B>(&folder.join(path), &config, device)?.adapter)
        };
        let relative = match &settings.relative {
            None => None,
            Some(files) => {
                let adapter = files.adapter.as_deref().map(adapter).transpose()?;
                Some((adapter, load_utility_head(&folder.join(&files.head), d, device)?))
            }
        };
        let score = match &settings.score {
            None => None,
            Some(files) => {
                let adapters = files.adapters.iter().map(|path| adapter(path)).collect::<Result<_, _>>()?;
                let width = if files.fusion { 2 * d } else { d };
                let head = load_score_head(&folder.join(&files.head), width, files.link.n_outputs(), device)?;
                Some((adapters, head))
            }
        };
        let encoder = Encoder::new(config, backbone, settings.pooling);
        Ok(Self { settings, text_encoder, encoder, relative, score, device: device.clone() })
    }

    /// Whether stage 2 was trained.
    pub fn can_score(&self) -> bool {
        self.score.is_some()
    }

    /// Whether stage 1 was trained.
    pub fn can_rank(&self) -> bool {
        self.relative.is_some()
    }

    /// Stage 1, where it was trained: its adapter, where it has one of its own, and its head.
    pub fn stage1(&self) -> Option<(Option<&Adapter<B>>, &UtilityHead<B>)> {
        self.relative.as_ref().map(|(adapter, head)| (adapter.as_ref(), head))
    }

    /// Stage 2, where it was trained: its adapters, all active at once, and its head.
    pub fn stage2(&self) -> Option<(&[Adapter<B>], &ScoreHead<B>)> {
        self.score.as_ref().map(|(adapters, head)| (adapters.as_slice(), head))
    }

    /// Token ids of texts.
    ///
    /// # Errors
    /// When the tokenizer cannot encode one.
    pub fn encode<T: AsRef<str>>(&self, texts: &[T]) -> Result<Vec<Encoded>, ScorerError> {
        texts.iter().map(|text| self.text_encoder.encode(text.as_ref())).collect()
    }

    /// Scores in the order of the documents; `None` when only stage 1 was trained. `progress` hears how many
    /// are done.
    pub fn score(&self, documents: &[Encoded], progress: impl FnMut(usize)) -> Option<Vec<Scored>> {
        self.score.as_ref()?;
        let scores = self.encoder.map_documents(&refs(documents), progress, |_, rows| {
            self.score_rows(rows).expect("checked above").unsqueeze_dim(1)
        });
        Some(
            scores.into_iter().zip(documents).map(|(score, document)| self.scored(score, document)).collect(),
        )
    }

    /// As [`score`](Self::score) for one document, where results have to be waited for: in a page.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn score_async(&self, document: &Encoded) -> Result<Option<Scored>, ScorerError> {
        match self.score_rows(&[&document.ids]) {
            None => Ok(None),
            Some(score) => Ok(Some(self.scored(read_async(score).await?, document))),
        }
    }

    /// As [`utilities`](Self::utilities) for one document, where results have to be waited for: in a page.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn utility_async(&self, document: &Encoded) -> Result<Option<f64>, ScorerError> {
        match self.utility_rows(&[&document.ids]) {
            None => Ok(None),
            Some(utility) => Ok(Some(read_async(utility).await?.into())),
        }
    }

    /// Scores of a batch, still on the device.
    fn score_rows(&self, rows: &[&[u32]]) -> Option<Tensor<B, 1>> {
        let (adapters, head) = self.score.as_ref()?;
        let files = self.settings.score.as_ref()?;
        let adapters: Vec<&Adapter<B>> = adapters.iter().collect();
        let mut pooled = self.encoder.embed(rows, &adapters, &self.device);
        if let (true, Some((relative, _))) = (files.fusion, &self.relative) {
            let relative: Vec<&Adapter<B>> = relative.iter().collect();
            let frozen = self.encoder.embed(rows, &relative, &self.device);
            pooled = Tensor::cat(vec![pooled, frozen], 1);
        }
        Some(files.link.score(head.forward(pooled)))
    }

    /// Utilities of a batch, still on the device.
    fn utility_rows(&self, rows: &[&[u32]]) -> Option<Tensor<B, 1>> {
        let (adapter, head) = self.relative.as_ref()?;
        let adapter: Vec<&Adapter<B>> = adapter.iter().collect();
        Some(head.forward(self.encoder.embed(rows, &adapter, &self.device)))
    }

    fn scored(&self, score: f32, document: &Encoded) -> Scored {
        let (score, ScorerSettings { scale, calibration, .. }) = (score.into(), &self.settings);
        Scored {
            score,
            grade: scale.nearest(score),
            calibrated: calibration.as_ref().map(|calibration| calibration.apply(score, scale)),
            truncated: document.truncated(),
        }
    }

    /// Utilities in the order of the documents; `None` when stage 1 was not trained.
    pub fn utilities(&self, documents: &[Encoded], progress: impl FnMut(usize)) -> Option<Vec<f64>> {
        self.relative.as_ref()?;
        let utilities = self.encoder.map_documents(&refs(documents), progress, |_, rows| {
            self.utility_rows(rows).expect("checked above").unsqueeze_dim(1)
        });
        Some(utilities.into_iter().map(f64::from).collect())
    }

    /// Compares two documents.
    pub fn compare(&self, pair: &[Encoded; 2]) -> Comparison {
        Comparison {
            utilities: self.utilities(pair, |_| ()).map(|u| [u[0], u[1]]),
            scores: self.score(pair, |_| ()).map(|s| [s[0], s[1]]),
        }
    }
}

/// The one number of a tensor, waited for.
async fn read_async<B: Backend>(value: Tensor<B, 1>) -> Result<f32, ScorerError> {
    let data = value.into_data_async().await.map_err(|error| ScorerError::Device(error.to_string()))?;
    data.iter::<f32>().next().ok_or_else(|| ScorerError::Device("it gave no result".into()))
}

fn refs(documents: &[Encoded]) -> Vec<&Encoded> {
    documents.iter().collect()
}
