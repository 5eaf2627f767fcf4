//! A run: both stages (or one) from a configuration to the files of a scorer.

mod absolute;
mod anchors;
mod context;
mod depth;
mod earlier;
mod identity;
mod info;
mod inputs;
mod layout;
mod leftovers;
mod lock;
mod log;
mod memory;
mod plan;
mod relative;
mod reports;
mod tables;
mod tensorboard;

use std::collections::BTreeSet;

use pair2score_data::Splits;
use pair2score_scorer::{EmbeddingCache, Encoder, backbone_fingerprint, load_backbone_at};

use crate::TrainError;
use crate::backend::TrainBackend;
use crate::checkpoint::{self, OnUnfinished};
use crate::config::{Layers, Settings};
use crate::embeddings::EmbeddingPass;
use crate::examples::Examples;
use crate::report::Progress;
use crate::task::Stop;

use context::Run;
use depth::choose_depth;
pub use identity::{FileHashes, finished};
pub(crate) use identity::{input_paths, settings_identity};
pub use inputs::Inputs;
pub use layout::epoch_folder;
use layout::{ABSOLUTE, training_folder};
pub(crate) use layout::{RELATIVE, relative_folder};
use lock::FolderLock;
use log::RunLog;
pub use log::stamp;
pub use plan::Plan;
use relative::Stage1;
pub use reports::{AbsoluteReport, Epochs, FitSummary, RelativeReport, RunReport, TraitReport};

/// Which stages to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stages {
    /// Stage 1 where it is enabled, then stage 2.
    Both,
    /// Stage 1 only.
    Relative,
    /// Stage 2 only, from the stage 1 of an earlier run.
    Absolute,
}

/// How a run is started.
#[derive(Debug, Clone, Copy)]
pub struct RunOptions<'a> {
    /// Which stages.
    pub stages: Stages,
    /// What to do where a run was stopped in its folder.
    pub unfinished: OnUnfinished,
    /// Name of the device, for reports.
    pub device_name: &'a str,
    /// Looked at after each step.
    pub stop: &'a Stop,
}

/// Refuses a trait without labels, of which nothing could be learned or measured.
///
/// # Errors
/// Names the trait, and what has no label of it.
pub fn check_labels(settings: &Settings, examples: &Examples) -> Result<(), TrainError> {
    let Splits { train, val, test } = &examples.splits;
    let targets = settings.pipeline.targets();
    for (place, target) in targets.iter().enumerate() {
        let missing = |(_, role): &(&str, &Vec<usize>)| examples.labelled(place, role).0.is_empty();
        let roles = [("trains", train), ("validates", val), ("tests", test)];
        let problem = match roles.into_iter().filter(missing).map(|(role, _)| role).collect::<Vec<_>>()[..] {
            [] => continue,
            [_, _, _] => format!(
                "has no {target} label, without which there is no stage 2; give labels, or run `pair2score relative` alone"
            ),
            [role, ..] => {
                let alone = match targets.len() {
                    1 => String::new(),
                    _ => format!(", or train {target} by itself"),
                };
                format!("has no {target} label of a document that {role}; give more{alone}")
            }
        };
        return Err(TrainError::Mismatch { path: settings.paths.essays_csv.to_path_buf(), problem });
    }
    Ok(())
}

/// Runs the stages of a configuration and writes their files; further devices take their share of every step.
///
/// # Errors
/// When a file is wrong, files do not fit together, the loss leaves the finite numbers, the device fails, another run
/// is at work in the folder, or a stop was asked for. What an earlier stage wrote stays, and so do checkpoints.
pub fn run<B: TrainBackend>(
    settings: &Settings,
    options: RunOptions<'_>,
    device: &B::Device,
    others: &[B::Device],
    progress: &mut dyn Progress,
) -> Result<RunReport, TrainError> {
    let stages = options.stages;
    let relative = settings.stage1().filter(|_| stages != Stages::Absolute);
    let runs_absolute = stages != Stages::Relative;
    // Both folders may be one.
    let folders = BTreeSet::from([settings.paths.checkpoint_dir.as_path(), &settings.paths.output_dir]);
    let _locks = folders.into_iter().map(FolderLock::take).collect::<Result<Vec<_>, _>>()?;
    let runs = [relative.map(|_| RELATIVE), runs_absolute.then_some(ABSOLUTE)];
    let training: Vec<_> = runs.iter().flatten().map(|stage| training_folder(settings, stage)).collect();
    if options.unfinished == OnUnfinished::Refuse {
        checkpoint::check_stopped(&training)?;
    }
    let goes_on = matches!(options.unfinished, OnUnfinished::Resume | OnUnfinished::ResumeOrReplace);
    let mut log = RunLog::create(settings, goes_on, progress)?;
    let without_effect = settings.without_effect();
    if !without_effect.is_empty() {
        log.message(&format!("accepted, but without effect: {}", without_effect.join(", ")));
    }
    let inputs = Inputs::load(settings, &mut log)?;
    if runs_absolute {
        check_labels(settings, &inputs.examples)?;
    }
    let settings = &settings.with_scale(&inputs.examples.scale);
    if settings.scale.auto {
        log.message(&format!("scale {}", inputs.examples.scale));
        log.record(settings)?;
    }
    let (folder, depth) = (&inputs.backbone.model, inputs.depth);
    let (config, backbone) = load_backbone_at::<B>(folder, depth, settings.model.dtype, device)?;
    let backbone_fingerprint = backbone_fingerprint(folder)?;
    let mut encoder = Encoder::new(config, backbone, settings.model.pooling);
    let cache = EmbeddingCache::new(settings.embedding_cache());
    let mut depth = depth;
    if settings.model.layers == Some(Layers::Auto) {
        let pass = EmbeddingPass { cache: Some(&cache), stop: options.stop };
        depth = choose_depth(&encoder.valid(), &inputs.examples, pass, device, &mut log)?;
        encoder = encoder.read_to(depth)?;
    }
    let others = others.iter().map(|other| (encoder.on(other), other.clone())).collect();
    let examples = &inputs.examples;
    let run =
        Run { settings, options, examples, depth, encoder, backbone_fingerprint, cache, device, others };

    let mut stage1 = None;
    if runs_absolute && relative.is_none() {
        stage1 = run.load_stage1()?;
        check_transfer(settings, stage1.as_ref())?;
    }
    // Not before all inputs are known to be right: what an earlier run has learned may be hours of work.
    let ready = if goes_on { checkpoint::remove_temporary } else { checkpoint::clear };
    training.iter().try_for_each(|folder| ready(folder))?;
    let mut report = RunReport::default();
    if let Some(relative) = relative {
        let (learned, summary) = run.relative(relative, &mut log)?;
        report.relative = Some(summary);
        stage1 = Some(learned);
    }
    if runs_absolute {
        check_transfer(settings, stage1.as_ref())?;
        report.absolute = Some(run.absolute(&settings.absolute, stage1.as_ref(), &mut log)?);
    }
    tables::write_splits(&settings.paths.output_dir.join("splits.json"), &inputs.examples)?;
    Ok(report)
}

/// Refuses a transfer from a stage 1 that is not there, or has no adapter.
fn check_transfer<B: TrainBackend>(
    settings: &Settings,
    stage1: Option<&Stage1<B>>,
) -> Result<(), TrainError> {
    let problem = match stage1 {
        _ if !settings.absolute.transfer().needs_stage1() => return Ok(()),
        None => "has no stage 1 to start from; run `pair2score relative CONFIG` (or `run`) first",
        Some(Stage1 { adapter: None, .. }) => {
            "has a stage 1 without an adapter to start from; set stage2_absolute.mode to head_only, or train one \
             (stage1_relative.mode: adapter)"
        }
        Some(_) => return Ok(()),
    };
    Err(TrainError::Mismatch { path: relative_folder(settings), problem: problem.into() })
}
