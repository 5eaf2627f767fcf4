//! Settings as written to resolved ones: what follows from other keys is filled in, everything is checked, and
//! everything wrong is named at once.
//!
//! Resolved settings have one spelling: resolving them again changes nothing.

use std::path::Path;

use pair2score_model::Projection;
use pair2score_scorer::check_traits;

use super::choices::{Binning, Head, HeadInit, Monitor, MonitorMode, Objective, Quantization, RelativeMode};
use super::error::{ConfigError, Problems};
use super::scale::ScaleSettings;
use super::section::Walk;
use super::settings::{
    AbsoluteSettings, HardwareSettings, OutputSettings, PipelineSettings, RelativeSettings, Settings, TRAIT,
    TrainingSettings,
};
use super::transfer::{self, NoAdapter};

/// Resolves settings as written, about which some problems are known; `path` is only named in messages.
///
/// # Errors
/// Names everything that is missing, out of range or contradictory, each with its key.
pub(super) fn resolve(mut settings: Settings, known: Problems, path: &Path) -> Result<Settings, ConfigError> {
    fill_in(&mut settings);
    let mut problems = Walk::over(&settings).problems.after(known);
    traits(&settings, &mut problems);
    folds(&settings.pipeline, &mut problems);
    if let Some(stage1) = settings.stage1() {
        relative(stage1, &mut problems);
    }
    if settings.pair_source().is_some_and(|stage1| !stage1.pairs_file.is_given()) {
        let what =
            "missing, give the JSONL of pairs (or paths.pair_cache_dir and a number as pipeline.run_id)";
        problems.add("stage1_relative.pairs_file", what);
    }
    transfer::resolve(&mut settings.absolute, stage1_adapter(&settings.relative), &mut problems);
    settings.scale.resolve(&mut problems);
    if settings.scale.step.is_none() {
        without_grades(&mut settings.absolute, &mut problems);
    }
    absolute(&settings, &mut problems);
    if settings.stage1().is_some_and(|stage1| stage1.mode == RelativeMode::Adapter) {
        training("stage1_relative", &mut settings.relative.training, Monitor::RELATIVE, &mut problems);
    }
    training("stage2_absolute", &mut settings.absolute.training, Monitor::ABSOLUTE, &mut problems);
    cuda_devices(&settings, &mut problems);
    unify_spelling(&mut settings);
    problems.finish(path, settings)
}

/// Fills in what follows from other keys.
fn fill_in(settings: &mut Settings) {
    let run = settings.pipeline.run_id.take().map(|run| run.0.trim().to_owned()).unwrap_or_default();
    let number: Option<u32> = run.parse().ok();
    let experiment = &mut settings.pipeline.experiment;
    if !experiment.is_given() && !run.is_empty() {
        *experiment = if number.is_some() { format!("run{run}") } else { run }.into();
    }

    // A list of one is the one.
    if let ([target], false) = (&settings.pipeline.traits[..], settings.pipeline.target.is_given()) {
        settings.pipeline.target = target.clone().into();
        settings.pipeline.traits.clear();
    }

    let (trained, reads_pairs) = (settings.stage1().is_some(), settings.pair_source().is_some());
    let stage1 = &mut settings.relative;
    if let (true, false, Some(folder), Some(number)) =
        (reads_pairs, stage1.pairs_file.is_given(), &settings.paths.pair_cache_dir, number)
    {
        let target = if settings.pipeline.traits.is_empty() { &settings.pipeline.target } else { TRAIT };
        stage1.pairs_file = folder.join(format!("run{number}_{target}.jsonl")).into();
    }
    if !trained {
        let from = stage1.from.take().filter(|_| stage1.enabled);
        let earlier = RelativeSettings::earlier(from);
        *stage1 = if reads_pairs { earlier.with_pairs_of(stage1) } else { earlier };
    }
}

/// Whether stage 1 gives an adapter, or why it does not; of an earlier one, its files will tell.
fn stage1_adapter(stage1: &RelativeSettings) -> Result<(), NoAdapter> {
    match (stage1.enabled, &stage1.from, stage1.mode) {
        (false, ..) => Err(NoAdapter::DISABLED),
        (true, None, RelativeMode::HeadOnly) => Err(NoAdapter::HEAD_ONLY),
        _ => Ok(()),
    }
}

/// What else is among the outputs of a run, beside files that begin with `run_`.
const OUTPUTS: [&str; 5] =
    ["metrics.jsonl", "tensorboard", "splits.json", "absolute_metrics_info.txt", "test_predictions.csv"];

/// What is trained, and what several traits leave no choice about.
fn traits(settings: &Settings, problems: &mut Problems) {
    let PipelineSettings { target, traits, .. } = &settings.pipeline;
    match (target.is_given(), traits.is_empty()) {
        (false, true) => problems.add("pipeline.trait", "missing, give the column to learn, like grammar"),
        (true, false) => problems.add("pipeline.traits", "given beside pipeline.trait, remove one of them"),
        _ => {}
    }
    if let Err(problem) = check_traits(traits.iter().map(String::as_str)) {
        problems.add("pipeline.traits", problem);
    }
    // Each of several has a folder among the outputs.
    let is_taken = |target: &&String| OUTPUTS.iter().any(|name| name.eq_ignore_ascii_case(target));
    if let Some(target) = traits.iter().find(is_taken) {
        problems.add(
            "pipeline.traits",
            format!("names the trait {target:?}, as a file of the outputs is called, rename its column"),
        );
    }
    if let Some(weights) = &settings.absolute.trait_weights {
        let (key, n) = ("stage2_absolute.trait_weights", settings.pipeline.targets().len());
        if weights.len() != n {
            problems.add(key, format!("{} weights for {n} traits, give one for each", weights.len()));
        }
        if settings.absolute.head.is_solved() {
            let head = settings.absolute.head.key();
            problems.add(key, format!("given, but the head {head} solves each trait by itself, remove it"));
        }
    }
    if traits.is_empty() {
        return;
    }
    let columns = &settings.data.columns;
    let of_one = [
        ("label", &columns.label),
        ("label_se", &columns.label_se),
        ("second_rating", &columns.second_rating),
    ];
    for (key, given) in of_one {
        if given.is_some() {
            let what = "given, but several traits name a column each, remove it";
            problems.add(&format!("data.columns.{key}"), what);
        }
    }
    if settings.scale.auto {
        let what =
            "true, but several traits share one scale, give scale.min and scale.max, or train each by itself";
        problems.add("scale.auto", what);
    }
}

fn folds(pipeline: &PipelineSettings, problems: &mut Problems) {
    let PipelineSettings { train_folds, test_fold, .. } = pipeline;
    for (place, fold) in train_folds.iter().enumerate() {
        if fold.is_empty() {
            problems.add("pipeline.train_folds", "a fold without a name, remove it");
        } else if train_folds[..place].contains(fold) {
            problems.add("pipeline.train_folds", format!("{fold:?} occurs twice, remove one"));
        }
    }
    if test_fold.is_given() && train_folds.contains(test_fold) {
        let what = format!("{:?} is also a training fold, remove it from one", **test_fold);
        problems.add("pipeline.test_fold", what);
    }
}

/// A stage 1 that is trained.
fn relative(stage1: &RelativeSettings, problems: &mut Problems) {
    let OutputSettings { save_adapter, save_epochs, .. } = &stage1.outputs;
    let key = "stage1_relative.outputs.save_epochs";
    if stage1.mode == RelativeMode::HeadOnly {
        if !save_epochs.is_empty() {
            problems.add(key, "given, but stage1_relative.mode head_only has no epochs, remove it");
        }
        return;
    }
    targets("stage1_relative", &stage1.lora.targets, problems);
    let epochs = stage1.training.epochs.max(1);
    for epoch in save_epochs.iter().filter(|epoch| !(1..=epochs).contains(*epoch)) {
        problems.add(key, format!("{epoch} is not in 1 to {epochs}"));
    }
    if !save_epochs.is_empty() && !save_adapter {
        problems.add(key, "given, but stage1_relative.outputs.save_adapter is false, change one");
    }
}

fn absolute(settings: &Settings, problems: &mut Problems) {
    targets("stage2_absolute", &settings.absolute.lora.targets, problems);
    head(&settings.absolute, problems);
    if settings.absolute.head == Head::Joint && !settings.relative.enabled {
        let what = "joint, which learns from the pairs of stage 1, but stage1_relative.enabled is false, enable it \
                    (stage1_relative.mode head_only takes seconds) or use ridge";
        problems.add("stage2_absolute.head", what);
    }
    if settings.absolute.head == Head::Joint && settings.data.columns.label_se.is_some() {
        let what = "given, but the head joint counts all labels alike, remove it or use ridge";
        problems.add("data.columns.label_se", what);
    }
    let trained = settings.absolute.transfer().needs_stage1().then(|| settings.stage1()).flatten();
    if trained.is_some_and(|stage1| !stage1.outputs.save_adapter) {
        let what = "false, but stage 2 starts from that adapter, set it to true";
        problems.add("stage1_relative.outputs.save_adapter", what);
    }
}

/// What a head that is solved for leaves no choice about.
fn head(absolute: &AbsoluteSettings, problems: &mut Problems) {
    let key = "stage2_absolute.head";
    let AbsoluteSettings { head, head_init, objective, .. } = absolute;
    if !head.is_solved() {
        if *head_init == Some(HeadInit::Ridge) && objective.is_of_grades() {
            let what = format!(
                "ridge, whose one output is the score, but objective {} has an output for each grade, use data, or \
                 objective mse",
                objective.key()
            );
            problems.add("stage2_absolute.head_init", what);
        }
        return;
    }
    let name = head.key();
    if absolute.transfer().trains_adapter() {
        let what = format!(
            "{name}, but an adapter trains below it, set stage2_absolute.mode to head_only, or \
             stage2_absolute.lora.train_reused_adapter to false"
        );
        problems.add(key, what);
    }
    if *objective != AbsoluteSettings::default().objective {
        let what = format!("{name}, which minimises squared errors, remove objective {}", objective.key());
        problems.add(key, what);
    }
}

/// Checks that stage 2 asks for grades only where there are some.
fn without_grades(absolute: &mut AbsoluteSettings, problems: &mut Problems) {
    if absolute.objective.is_of_grades() {
        let what = format!(
            "{} needs grades, but the scale is continuous, use l1, mse or huber, or give scale.step",
            absolute.objective.key()
        );
        problems.add("stage2_absolute.objective", what);
    }
    if absolute.binning == Binning::Floor {
        problems.add("stage2_absolute.qwk", "floor needs grades, but the scale is continuous, remove it");
    }
    if absolute.training.monitor == Monitor::ValQwk {
        absolute.training.monitor = Monitor::ValR2;
    }
}

fn targets(section: &str, targets: &[Projection], problems: &mut Problems) {
    let key = format!("{section}.lora.target_modules");
    if targets.is_empty() {
        problems.add(&key, "empty, name at least one projection like q_proj");
    }
    for (place, target) in targets.iter().enumerate() {
        if targets[..place].contains(target) {
            problems.add(&key, format!("{:?} occurs twice, remove one", target.name()));
        }
    }
}

fn training(section: &str, training: &mut TrainingSettings, monitors: &[Monitor], problems: &mut Problems) {
    let key = |name: &str| format!("{section}.training.{name}");
    let TrainingSettings { monitor, monitor_mode, .. } = *training;
    let mode = if monitor.higher_is_better() { MonitorMode::Max } else { MonitorMode::Min };
    if !monitors.contains(&monitor) {
        let names: Vec<&str> = monitors.iter().map(|monitor| monitor.key()).collect();
        let what =
            format!("{:?} is not measured in this stage, use one of {}", monitor.key(), names.join(", "));
        problems.add(&key("monitor"), what);
    } else if monitor_mode != MonitorMode::Auto && monitor_mode != mode {
        let (given, right) = (monitor_mode.key(), mode.key());
        let what = format!("{given} contradicts monitor {}, use {right} or auto", monitor.key());
        problems.add(&key("monitor_mode"), what);
    }
    training.monitor_mode = mode;
    training.patience = training.patience.filter(|&patience| patience > 0);
    if training.document_grouped && (training.length_grouped || section.starts_with("stage2")) {
        let what = match training.length_grouped {
            true => "contradicts length_grouped, set one of them to false",
            false => "is for pairs, set it to false in stage 2",
        };
        problems.add(&key("document_grouped"), what);
    }
}

/// The cards of a run; a step of every stage that trains below its head has a batch for each.
fn cuda_devices(settings: &Settings, problems: &mut Problems) {
    let HardwareSettings { cuda_device, devices: Some(devices), .. } = &settings.hardware else { return };
    let key = "hardware.devices";
    let twice = devices.iter().enumerate().find(|(place, device)| devices[..*place].contains(device));
    let problem = match (devices.first(), *cuda_device) {
        (None, _) => Some("empty, name at least one card like [0]".to_owned()),
        (Some(&first), single) if single != 0 && single != first => {
            Some(format!("begins with card {first}, but cuda_device is {single}, remove cuda_device"))
        }
        _ => twice.map(|(_, device)| format!("card {device} occurs twice, remove one")),
    };
    if let Some(problem) = problem {
        return problems.add(key, problem);
    }
    let absolute = &settings.absolute;
    let stage1 = settings.stage1().filter(|stage1| stage1.mode == RelativeMode::Adapter);
    let stages = [
        ("stage1_relative", stage1.map(|stage1| &stage1.training)),
        ("stage2_absolute", absolute.transfer().trains_adapter().then_some(&absolute.training)),
    ];
    let cards = devices.len();
    for (section, training) in stages {
        if let Some(batches) = training.map(|training| training.accumulation).filter(|&n| n < cards) {
            problems.add(
                &format!("{section}.training.gradient_accumulation"),
                format!(
                    "{batches}, but a step gives each of the {cards} cards of {key} a batch at least, set it to \
                     {cards} or more"
                ),
            );
        }
    }
}

/// Gives what a file may spell in several ways the spelling of resolved settings.
fn unify_spelling(settings: &mut Settings) {
    settings.model.quantization.get_or_insert(Quantization::None);
    let epochs = &mut settings.relative.outputs.save_epochs;
    epochs.sort_unstable();
    epochs.dedup();
    let is_published = settings.scale == ScaleSettings::default();
    let init = if is_published { HeadInit::Random } else { HeadInit::Data };
    settings.absolute.head_init.get_or_insert(init);
    if settings.relative.mode == RelativeMode::HeadOnly {
        settings.relative.head_init = RelativeSettings::default().head_init;
        settings.relative.lora = Default::default();
        settings.relative.training = Default::default();
    }
    if settings.absolute.objective != Objective::Huber {
        settings.absolute.huber_delta = AbsoluteSettings::default().huber_delta;
    }
    // A single card is `cuda_device`; of several, `cuda_device` is the first.
    let hardware = &mut settings.hardware;
    hardware.cuda_device = hardware.cuda_devices().first().copied().unwrap_or_default();
    hardware.devices = hardware.devices.take().filter(|devices| devices.len() > 1);
}
