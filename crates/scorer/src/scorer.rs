//! The whole artifact: loads from a folder, embeds, scores and compares texts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::module::{AutodiffModule, Module};
use burn::tensor::{
    Tensor,
    backend::{AutodiffBackend, Backend},
};
use pair2score_data::{ScoreScale, files::write_atomic};
use pair2score_model::{
    Adapter, Backbone, Kernels, LlamaConfig, Pooling, ScoreHead, ScoreLink, TokenBatch, UtilityHead,
};
use serde::{Deserialize, Serialize};

use crate::error::read_to_string;
use crate::table::HostTable;
use crate::tensors::WeightDType;
use crate::tokenizer::{Encoded, TextEncoder};
use crate::{
    BackboneFolder, Calibrated, Calibration, ScorerError, bundle, load_adapter, load_backbone,
    load_score_head, load_utility_head,
};

/// `scorer.json`: everything a scorer is beside its tensors. Paths are relative to the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScorerSettings {
    /// Version of this file, [`ScorerSettings::FORMAT`].
    pub format: u32,
    /// The rated attribute.
    pub target: String,
    /// The rubric's grades.
    pub scale: ScoreScale,
    /// From hidden states to the pooled embedding.
    pub pooling: Pooling,
    /// Longest text read, in tokens.
    pub max_length: usize,
    /// Dtype of the frozen weights in memory.
    #[serde(default)]
    pub dtype: WeightDType,
    /// Folder of the backbone.
    pub backbone: PathBuf,
    /// Documents that stage 2 was trained on, by grade from the lowest; not in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_counts: Option<Vec<usize>>,
    /// What validation documents say about scores and grades; not in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Stage 1, where it was trained.
    pub relative: Option<RelativeFiles>,
    /// Stage 2, where it was trained.
    pub score: Option<ScoreFiles>,
}

/// Files of stage 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelativeFiles {
    /// PEFT folder; `None` for a head on the backbone as it is, into which an export has folded the adapter.
    pub adapter: Option<PathBuf>,
    /// `[1, d_model]`
    pub head: PathBuf,
}

/// Files of stage 2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreFiles {
    /// PEFT folders, all active at once; empty for a head on the bare backbone.
    pub adapters: Vec<PathBuf>,
    /// Whether the stage-1 embedding is concatenated before the head.
    pub fusion: bool,
    /// The head.
    pub head: PathBuf,
    /// From the head's outputs to a score.
    pub link: ScoreLink,
}

impl ScorerSettings {
    /// The version this program writes and reads.
    pub const FORMAT: u32 = 1;

    /// Reads `scorer.json`.
    ///
    /// # Errors
    /// When it is missing, damaged, of another version, or its values contradict each other.
    pub fn read(path: &Path) -> Result<Self, ScorerError> {
        let invalid = |problem: String| ScorerError::invalid(path, problem);
        let not_a_scorer = |error: serde_json::Error| invalid(format!("not a scorer: {error}"));
        let text = read_to_string(path)?;
        // The version first: the keys of another one are not ours to judge.
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let Version { format } = serde_json::from_str(&text).map_err(not_a_scorer)?;
        if format != Self::FORMAT {
            return Err(invalid(format!("has format {format}, this program reads format {}", Self::FORMAT)));
        }
        let settings: Self = serde_json::from_str(&text).map_err(not_a_scorer)?;
        settings.validate().map_err(invalid)?;
        Ok(settings)
    }

    /// Checks that the values do not contradict each other.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn validate(&self) -> Result<(), String> {
        self.scale.validate().map_err(|error| error.to_string())?;
        let grades = self.scale.n_grades();
        if let Some(counts) = self.label_counts.as_ref().filter(|counts| counts.len() != grades) {
            return Err(format!("has counts of labels for {} grades on a scale of {grades}", counts.len()));
        }
        if let Some(calibration) = &self.calibration {
            calibration.validate(&self.scale)?;
        }
        let Some(score) = &self.score else {
            return match self.relative {
                Some(_) => Ok(()),
                None => Err("has neither stage 1 (relative) nor stage 2 (score)".into()),
            };
        };
        if score.fusion && self.relative.is_none() {
            return Err("has fusion but no stage 1 (relative) to fuse with".into());
        }
        match score.link {
            ScoreLink::Cumulative { grades: n, .. } | ScoreLink::Expected { grades: n, .. }
                if n != grades =>
            {
                Err(format!("has a head for {n} grades on a scale of {grades}"))
            }
            _ => Ok(()),
        }
    }
}

/// Writes `scorer.json` into a folder.
///
/// # Errors
/// When the file cannot be written.
pub fn write_scorer_settings(folder: &Path, settings: &ScorerSettings) -> Result<(), ScorerError> {
    let text = serde_json::to_string_pretty(settings).expect("scorer settings serialise") + "\n";
    Ok(write_atomic(folder.join(SETTINGS), text.as_bytes())?)
}

const SETTINGS: &str = "scorer.json";

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

/// A backbone with its pooling: token ids to embeddings.
#[derive(Debug, Clone)]
pub struct Encoder<B: Backend> {
    /// Shape of the backbone.
    pub config: LlamaConfig,
    /// Frozen weights.
    pub backbone: Backbone<B>,
    /// From hidden states to the pooled embedding.
    pub pooling: Pooling,
    /// Where the host looks up embeddings; the backbone then has no table of its own.
    table: Option<Arc<HostTable>>,
}

impl<B: Backend> Encoder<B> {
    /// An encoder whose backbone has its embedding table on the device.
    pub fn new(config: LlamaConfig, backbone: Backbone<B>, pooling: Pooling) -> Self {
        Self { config, backbone, pooling, table: None }
    }

    /// A copy whose weights are on another device.
    pub fn on(&self, device: &B::Device) -> Self {
        let copy = self.clone();
        Self { backbone: copy.backbone.fork(device), ..copy }
    }

    /// An encoder whose embeddings are looked up on the host; it cannot be trained.
    pub(crate) fn with_host_table(
        config: LlamaConfig,
        backbone: Backbone<B>,
        pooling: Pooling,
        table: HostTable,
    ) -> Self {
        Self { config, backbone, pooling, table: Some(Arc::new(table)) }
    }
}

impl<B: Kernels> Encoder<B> {
    /// Pooled embeddings of a batch.
    ///
    /// # Shapes
    /// - rows: token ids per document, at least one row and one token each
    /// - output: `[batch, d_model]`, f32
    pub fn embed(&self, rows: &[&[u32]], adapters: &[&Adapter<B>], device: &B::Device) -> Tensor<B, 2> {
        self.embed_with_dropout(rows, adapters, None, device)
    }

    /// As [`embed`](Self::embed); with a seed the adapters drop parts of their inputs, which is for training.
    pub fn embed_with_dropout(
        &self,
        rows: &[&[u32]],
        adapters: &[&Adapter<B>],
        seed: Option<u64>,
        device: &B::Device,
    ) -> Tensor<B, 2> {
        let batch = TokenBatch::packed(rows, device);
        let hidden = match &self.table {
            None => self.backbone.forward(&self.config, &batch, adapters, seed),
            Some(table) => {
                let embedded = table.embed(rows, device);
                self.backbone.forward_embedded(&self.config, embedded, &batch, adapters)
            }
        };
        self.pooling.pool(hidden, &batch)
    }

    /// Runs documents of similar length together and gives the rows of the results in the order of the documents,
    /// one after the other. `run` gets the positions and the token ids of a group; `progress` hears how many
    /// documents are done. The result does not depend on the grouping.
    pub fn map_documents(
        &self,
        documents: &[&Encoded],
        mut progress: impl FnMut(usize),
        run: impl Fn(&[usize], &[&[u32]]) -> Tensor<B, 2>,
    ) -> Vec<f32> {
        let mut results: Vec<Vec<f32>> = vec![Vec::new(); documents.len()];
        let mut done = 0;
        for group in length_groups(documents, BATCH_TOKENS) {
            let rows: Vec<&[u32]> = group.iter().map(|&i| documents[i].ids.as_slice()).collect();
            let output = run(&group, &rows);
            let [_, width] = output.dims();
            let values: Vec<f32> = output.into_data().convert::<f32>().into_vec().expect("converted to f32");
            for (&i, row) in group.iter().zip(values.chunks_exact(width)) {
                results[i] = row.to_vec();
            }
            done += group.len();
            progress(done);
        }
        results.concat()
    }
}

impl<B: AutodiffBackend> Encoder<B> {
    /// The same weights on the inner backend, for evaluation.
    pub fn valid(&self) -> Encoder<B::InnerBackend> {
        Encoder {
            config: self.config.clone(),
            backbone: self.backbone.valid(),
            pooling: self.pooling,
            table: self.table.clone(),
        }
    }
}

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

/// Tokens of one batch: enough to fill the machine, little enough to fit any.
const BATCH_TOKENS: usize = 8 * 1024;

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

/// Indices of documents in groups of similar length, longest first, each group at most `budget` tokens with
/// padding (a single document may exceed it).
fn length_groups(documents: &[&Encoded], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..documents.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(documents[i].ids.len()), i));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut longest = 0;
    for i in order {
        match groups.last_mut() {
            Some(group) if (group.len() + 1) * longest <= budget => group.push(i),
            _ => {
                longest = documents[i].ids.len();
                groups.push(vec![i]);
            }
        }
    }
    groups
}
