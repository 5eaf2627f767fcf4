//! What a run would do, without doing it.

use std::fmt::{self, Display};

use pair2score_model::{LlamaConfig, LoraConfig, hidden_width};
use pair2score_scorer::{BackboneFolder, TensorFile, WeightDType, names};

use super::inputs::Inputs;
use super::layout::{ADAPTER, relative_folder};
use super::memory::{BYTES_TRAINED, Batch, StageMemory, bytes_per_token};
use crate::TrainError;
use crate::absolute::Goal;
use crate::config::{RelativeMode, RelativeSettings, Settings, TrainingSettings, Transfer};

/// Counts and estimates of a run.
#[derive(Debug)]
pub struct Plan {
    settings: Settings,
    config: LlamaConfig,
    /// Bytes of the frozen weights in memory.
    backbone_bytes: usize,
    /// Train, val, test documents of stage 2.
    documents: [usize; 3],
    /// Train, val, test and withheld pairs of stage 1.
    pairs: Option<[usize; 4]>,
    /// Tokens of each used document before the cut.
    lengths: Vec<usize>,
}

/// Bars of the token-length histogram.
const BARS: usize = 12;
/// Width of the longest bar, in characters.
const BAR_WIDTH: usize = 40;

impl Plan {
    /// The plan of a configuration with its inputs.
    ///
    /// # Errors
    /// When the weights decide how much memory they take, and cannot be read.
    pub fn new(settings: &Settings, inputs: &Inputs) -> Result<Self, TrainError> {
        let examples = &inputs.examples;
        let splits = &examples.splits;
        Ok(Self {
            settings: settings.with_scale(&examples.scale),
            config: inputs.config.clone(),
            backbone_bytes: match settings.model.dtype {
                WeightDType::Auto => stored_bytes(&inputs.backbone, &inputs.config)?,
                dtype => inputs.config.n_parameters() * dtype.size(),
            },
            documents: [splits.train.len(), splits.val.len(), splits.test.len()],
            pairs: examples.pairs.as_ref().map(|p| [p.train.len(), p.val.len(), p.test.len(), p.withheld]),
            lengths: examples.encoded.iter().flatten().map(|document| document.full_length).collect(),
        })
    }

    /// Weights of an adapter.
    fn adapter_parameters(&self, lora: &LoraConfig) -> usize {
        let per_layer = lora.targets.iter().map(|&target| {
            let (inputs, outputs) = self.config.projection_shape(target);
            lora.rank * (inputs + outputs)
        });
        self.config.n_layers * per_layer.sum::<usize>()
    }

    /// Trained weights of stage 1 and stage 2.
    pub fn trained_parameters(&self) -> (Option<usize>, usize) {
        let d = self.config.d_model;
        let relative = self.settings.stage1();
        let adapter = |stage1: &RelativeSettings| match stage1.mode {
            RelativeMode::Adapter => self.adapter_parameters(&stage1.lora.config()),
            RelativeMode::HeadOnly => 0,
        };
        let traits = self.settings.pipeline.targets().len();
        let stage1 = relative.map(|relative| adapter(relative) + traits * d);
        let absolute = &self.settings.absolute;
        let reused = || relative.map_or_else(|| earlier_parameters(&self.settings), adapter);
        let (adapter, width) = match absolute.transfer() {
            Transfer::HeadOnly | Transfer::WarmStart { train_adapter: false } => (0, d),
            Transfer::Scratch | Transfer::Stacked => (self.adapter_parameters(&absolute.lora.config()), d),
            Transfer::WarmStart { train_adapter: true } => (reused(), d),
            Transfer::Fusion { reuse: true, train_adapter: true } => (reused(), 2 * d),
            Transfer::Fusion { reuse: true, train_adapter: false } => (0, 2 * d),
            Transfer::Fusion { reuse: false, .. } => {
                (self.adapter_parameters(&absolute.lora.config()), 2 * d)
            }
        };
        if absolute.head.is_solved() {
            return (stage1, adapter + traits * (width + 1));
        }
        let h = hidden_width(width);
        let outputs = Goal::new(absolute, self.settings.scale.get()).link().n_outputs();
        (stage1, adapter + traits * (width * h + h + h * outputs + outputs))
    }

    /// Estimate of the memory of the larger stage, in bytes.
    pub fn memory(&self) -> usize {
        self.stage_memories().iter().map(StageMemory::bytes).max().unwrap_or(0)
    }

    /// What the stages of this run take: stage 1, where there is one, and stage 2.
    fn stage_memories(&self) -> Vec<StageMemory> {
        let (stage1, stage2) = self.trained_parameters();
        let absolute = &self.settings.absolute;
        let first = self.settings.stage1().map(|relative| {
            let trains = relative.mode == RelativeMode::Adapter;
            let how = (&relative.lora.config(), &relative.training, 2);
            self.stage_memory(["stage 1", "pairs"], trains, how, stage1.unwrap_or(0))
        });
        let how = (&absolute.lora.config(), &absolute.training, 1);
        let second =
            self.stage_memory(["stage 2", "documents"], absolute.transfer().trains_adapter(), how, stage2);
        first.into_iter().chain([second]).collect()
    }

    /// What a stage takes that trains or freezes the backbone's adapter, `sides` documents an example, and so many weights.
    fn stage_memory(
        &self,
        [name, unit]: [&'static str; 2],
        trains: bool,
        (lora, training, sides): (&LoraConfig, &TrainingSettings, usize),
        trained: usize,
    ) -> StageMemory {
        let longest =
            self.lengths.iter().copied().max().unwrap_or(0).min(self.settings.model.max_length).max(1);
        let batch = match training.max_batch_tokens {
            _ if !trains => Batch::Frozen,
            Some(tokens) => Batch::Tokens(tokens),
            None => Batch::Examples { unit, n: training.batch_size, tokens: sides * longest },
        };
        let lora = trains.then_some(lora);
        StageMemory {
            name,
            batch,
            fixed: self.backbone_bytes.saturating_add(trained.saturating_mul(BYTES_TRAINED)),
            per_token: bytes_per_token(&self.config, lora, self.settings.model.recompute),
        }
    }

    fn histogram(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = self.lengths.iter().copied().max().unwrap_or(0);
        let width = (longest / BARS + 1).next_multiple_of(8);
        let mut counts = vec![0; longest / width + 1];
        for length in &self.lengths {
            counts[length / width] += 1;
        }
        let tallest = counts.iter().copied().max().unwrap_or(0).max(1);
        for (bar, count) in counts.iter().enumerate() {
            let range = format!("{}–{}", bar * width, (bar + 1) * width - 1);
            let filled = (count * BAR_WIDTH).div_ceil(tallest);
            writeln!(f, "  {range:>13} {count:>6} {}", "█".repeat(filled))?;
        }
        Ok(())
    }
}

/// Weights of the adapter of an earlier run; 0 where it is not there, which is an error of the run itself.
fn earlier_parameters(settings: &Settings) -> usize {
    let path = relative_folder(settings).join(ADAPTER).join("adapter_model.safetensors");
    let Ok(file) = TensorFile::open(&path) else { return 0 };
    file.names().filter_map(|name| file.shape(name)).map(|shape| shape.iter().product::<usize>()).sum()
}

/// Bytes of the frozen weights as their files have them; the head of a language model is not loaded.
fn stored_bytes(folder: &BackboneFolder, config: &LlamaConfig) -> Result<usize, TrainError> {
    let file = TensorFile::open_folder(&folder.model)?;
    let names = names::backbone(config).into_iter().map(|(name, _)| name);
    let stored = |name: String| file.size(&name).or_else(|| file.size(&format!("{}{name}", names::PREFIX)));
    Ok(names.filter_map(stored).sum())
}

impl Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.settings;
        writeln!(f, "# resolved configuration")?;
        writeln!(f, "{}", settings.to_yaml().trim_end())?;
        writeln!(f, "\n# documents (stage 2)")?;
        let [train, val, test] = self.documents;
        writeln!(f, "train {train}, val {val}, test {test}")?;
        if let Some([train, val, test, withheld]) = self.pairs {
            writeln!(f, "\n# pairs (stage 1)")?;
            writeln!(f, "train {train}, val {val}, test {test}; {withheld} withheld from training")?;
        }
        let cut = self.lengths.iter().filter(|&&length| length > settings.model.max_length).count();
        let share = 100.0 * cut as f64 / self.lengths.len().max(1) as f64;
        writeln!(f, "\n# tokens per document")?;
        self.histogram(f)?;
        writeln!(
            f,
            "{cut} of {} documents ({share:.1} %) are longer than {} tokens and are cut",
            self.lengths.len(),
            settings.model.max_length
        )?;
        let (stage1, stage2) = self.trained_parameters();
        writeln!(f, "\n# parameters")?;
        writeln!(f, "backbone {} (frozen)", self.config.n_parameters())?;
        if let Some(stage1) = stage1 {
            writeln!(f, "stage 1 trains {stage1}")?;
        }
        writeln!(f, "stage 2 trains {stage2} ({})", settings.absolute.transfer().name())?;
        writeln!(f, "\n# memory\nabout {} MiB (estimate)", self.memory().div_ceil(1 << 20))?;
        self.stage_memories().iter().try_for_each(|stage| writeln!(f, "{stage}"))
    }
}
