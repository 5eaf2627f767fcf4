//! How much a sweep has to compute, and how long that takes by what is done of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use pair2score_data::pairs::{SplitName, read_pairs};
use pair2score_model::Kernels;
use pair2score_scorer::{BackboneFolder, Encoder, TextEncoder, load_backbone_at, read_config};

use super::graph::{Graph, Task};
use crate::TrainError;
use crate::config::{HeadInit, RelativeMode, Settings, Transfer, UtilityInit};
use crate::examples::labelled_documents;
use crate::run::{self, AbsoluteReport, FileHashes, FitSummary, RelativeReport, Stages};

/// What a token costs that is trained on, in tokens that are only read: the backward pass of a frozen backbone computes
/// about as much once more, and the adapters and the optimiser some more.
const TRAINING: f64 = 3.0;

/// Tokens of every task, and the seconds of those that are done.
#[derive(Debug)]
pub struct Workload {
    tasks: Vec<Load>,
}

#[derive(Debug)]
struct Load {
    stages: Stages,
    /// Real tokens that it reads, should no stage stop early, those of training as often as they cost; 0 where an
    /// earlier task has kept the embeddings.
    tokens: f64,
    /// What it took, where it is done.
    seconds: Option<f64>,
}

/// Lengths of the documents of a fold: how many, and their tokens.
type Folds = BTreeMap<String, (usize, usize)>;

impl Workload {
    /// Reads the documents, counts their tokens and looks for what is done.
    ///
    /// # Errors
    /// When documents, tokenizer or pairs cannot be read.
    pub fn new(graph: &Graph) -> Result<Self, TrainError> {
        let mut hashes = FileHashes::default();
        let (mut known, mut kept) = (BTreeMap::new(), BTreeSet::new());
        let mut load = |task: &Task| {
            let Settings { paths, model, .. } = &task.settings;
            let key = format!("{:?}", (&paths.essays_csv, &model.backbone, model.max_length));
            let embeddings = format!("{key} {:?}", (model.dtype, model.pooling, model.layers));
            let folds = match known.get(&key) {
                Some(folds) => folds,
                None => known.entry(key).or_insert(folds(&task.settings)?),
            };
            let tokens = match is_bare(task) {
                // Embeddings are kept, so the first of these tasks reads for all.
                true if kept.insert(embeddings) => folds.values().map(|fold| fold.1 as f64).sum(),
                true => 0.0,
                false => tokens(task, folds)?,
            };
            Ok(Load { stages: task.stages(), tokens, seconds: seconds(task, &mut hashes) })
        };
        Ok(Self { tasks: graph.tasks.iter().map(&mut load).collect::<Result<_, TrainError>>()? })
    }

    /// Tokens that the tasks read which are not done, at most; one that is trained on counts as three.
    pub fn tokens_left(&self) -> f64 {
        self.left().map(|load| load.tokens).sum()
    }

    /// Whether a task is done of every stage that is left, so that their speed is known.
    pub fn is_measured(&self) -> bool {
        self.left().all(|load| load.tokens == 0.0 || self.seconds_per_token(load.stages).is_some())
    }

    /// Seconds of the tasks that are not done, one after the other, at the speed of those that are; where none is done
    /// of a stage, each of its tokens takes `seconds_per_token`. Fitting a head to embeddings that are kept counts as
    /// nothing.
    pub fn seconds_left(&self, seconds_per_token: f64) -> f64 {
        let seconds =
            |load: &Load| load.tokens * self.seconds_per_token(load.stages).unwrap_or(seconds_per_token);
        self.left().map(seconds).sum()
    }

    fn left(&self) -> impl Iterator<Item = &Load> {
        self.tasks.iter().filter(|load| load.seconds.is_none())
    }

    /// Seconds per token of a stage's tasks that are done, evaluation and early stops included.
    fn seconds_per_token(&self, stages: Stages) -> Option<f64> {
        let done = self.tasks.iter().filter(|load| load.stages == stages);
        let measured = done.filter_map(|load| Some((load.seconds?, load.tokens)));
        let (seconds, tokens) = measured.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        (tokens > 0.0).then(|| seconds / tokens)
    }
}

/// Seconds that reading a token takes, measured on a short forward pass of as many texts as there are processors, up to 8:
/// a single text would keep only one of them busy.
///
/// # Errors
/// When the backbone cannot be loaded.
pub fn probe<B: Kernels>(settings: &Settings, device: &B::Device) -> Result<f64, TrainError> {
    const TOKENS: usize = 256;
    let folder = BackboneFolder::find(&settings.model.backbone)?.model;
    let depth = settings.model.depth(&read_config(&folder.join("config.json"))?);
    let (config, backbone) = load_backbone_at::<B>(&folder, depth, settings.model.dtype, device)?;
    let ids: Vec<u32> =
        (0..TOKENS.min(settings.model.max_length)).map(|place| (place % config.vocab_size) as u32).collect();
    let encoder = Encoder::new(config, backbone, settings.model.pooling);
    let texts = vec![ids.as_slice(); std::thread::available_parallelism().map_or(1, |n| n.get().min(8))];
    // Reading the result waits for the device.
    let forward = || drop(encoder.embed(&texts, &[], device).into_data());
    forward();
    let started = Instant::now();
    forward();
    Ok(started.elapsed().as_secs_f64() / (texts.len() * ids.len()) as f64)
}

fn seconds(task: &Task, hashes: &mut FileHashes) -> Option<f64> {
    let fit: FitSummary = match task.stages() {
        Stages::Relative => run::finished::<RelativeReport>(&task.settings, Stages::Relative, hashes)?.fit,
        _ => run::finished::<AbsoluteReport>(&task.settings, Stages::Absolute, hashes)?.fit,
    };
    Some(fit.seconds)
}

fn folds(settings: &Settings) -> Result<Folds, TrainError> {
    let documents = labelled_documents(settings, &settings.pipeline.targets()[0])?;
    let tokenizer = BackboneFolder::find(&settings.model.backbone)?.tokenizer;
    let encoder = TextEncoder::load(&tokenizer, settings.model.max_length)?;
    let mut folds = Folds::new();
    for document in &documents {
        let (documents, tokens) = folds.entry(document.fold.clone().unwrap_or_default()).or_default();
        *documents += 1;
        *tokens += encoder.passage(document, settings.data.template())?.ids.len();
    }
    Ok(folds)
}

/// Whether it reads the backbone alone, without an adapter.
fn is_bare(task: &Task) -> bool {
    match task.settings.stage1() {
        Some(relative) => relative.mode == RelativeMode::HeadOnly,
        None => task.settings.absolute.transfer() == Transfer::HeadOnly,
    }
}

/// Those of a task with an adapter.
fn tokens(task: &Task, folds: &Folds) -> Result<f64, TrainError> {
    let settings = &task.settings;
    let train = settings.pipeline.train_folds.iter().filter_map(|fold| folds.get(fold));
    let (documents, tokens) = train.fold((0, 0), |sum, fold| (sum.0 + fold.0, sum.1 + fold.1));
    let (documents, tokens) = (documents as f64, tokens as f64);
    let Some(relative) = settings.stage1() else {
        let absolute = &settings.absolute;
        // A start that is solved for reads each document once.
        let begins = f64::from(absolute.head_init == Some(HeadInit::Ridge));
        let trains = begins + TRAINING * absolute.training.epochs as f64;
        // A head on a frozen adapter trains on embeddings that are computed once.
        let cost = if absolute.transfer().trains_adapter() { trains } else { 1.0 };
        return Ok(tokens * (1.0 - settings.pipeline.val_ratio) * cost);
    };
    let files = settings.pair_files(relative);
    let pairs = match (files.iter().all(|file| file.is_file()), task.pairs) {
        (false, Some(options)) => {
            let usage = options.split_fraction * options.target_usage as f64 / 2.0;
            0.8 * documents * usage * files.len() as f64
        }
        _ => {
            let caches = files.iter().map(read_pairs).collect::<Result<Vec<_>, _>>()?;
            let pairs = caches.iter().flat_map(|cache| &cache.pairs);
            pairs.filter(|pair| pair.split == SplitName::Train).count() as f64
        }
    };
    let pairs = relative.max_pairs.map_or(pairs, |max| pairs.min(max as f64));
    // A batch of whole groups reads each document once, for all of its pairs.
    let in_groups =
        relative.training.document_grouped && task.pairs.is_some_and(|pairs| pairs.group_size.is_some());
    let sides = pairs * 2.0 * tokens / documents.max(1.0);
    let sides = if in_groups { sides.min(0.8 * tokens) } else { sides };
    let begins = if relative.head_init == UtilityInit::HeadOnly { sides.min(tokens) } else { 0.0 };
    Ok(begins + TRAINING * sides * relative.training.epochs as f64)
}
