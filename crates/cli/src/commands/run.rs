//! `run`, `relative`, `absolute`: the stages of a configuration.

use anyhow::{Result, bail};
use burn::tensor::backend::{Device as _, DeviceId};
use pair2score_train::config::{self, Settings};
use pair2score_train::run::{self, Inputs, Plan, RunOptions, RunReport, Stages, check_labels};
use pair2score_train::{OnUnfinished, Progress, Stop, TrainBackend};

use super::cell;
use crate::Answer;
use crate::args::RunArgs;
use crate::backbones;
use crate::device::{Device, OnDevice};
use crate::progress::Terminal;
use crate::signals;

/// Runs the stages of a configuration, or shows what they would do.
pub(crate) fn run(args: RunArgs, stages: Stages) -> Result<Answer> {
    let mut settings = config::load(&args.config, &args.cache.sets(&args.sets()))?;
    backbones::fetch(&mut settings, &mut Terminal::quiet())?;
    if stages == Stages::Relative && settings.stage1().is_none() {
        let why =
            if settings.relative.from.is_some() { "from names one that is over" } else { "enabled is false" };
        bail!("{}: stage1_relative.{why}, there is no stage 1 to run", args.config.display());
    }
    if args.dry_run {
        let inputs = Inputs::load(&settings, &mut Terminal::quiet())?;
        if stages != Stages::Relative {
            check_labels(&settings, &inputs.examples)?;
        }
        out!("{}", Plan::new(&settings, &inputs)?);
        return Ok(Answer::Yes);
    }
    let device = Device::choose(args.device.device, Some(&settings))?;
    let unfinished = match (args.resume, args.restart) {
        (true, _) => OnUnfinished::Resume,
        (_, true) => OnUnfinished::Discard,
        _ => OnUnfinished::Refuse,
    };
    let others = device.others(args.device.device, &settings)?;
    signals::watch()?;
    let progress = &mut Terminal::new();
    let training =
        Training { settings: &settings, stages, unfinished, others, stop: &signals::STOP, progress };
    let report =
        device.run(training).map_err(|error| signals::explain(error, &signals::resuming_command()))?;
    print_report(&settings, &report);
    Ok(Answer::Yes)
}

/// A run as something that runs on a device.
pub struct Training<'a> {
    /// What to train.
    pub settings: &'a Settings,
    /// Which stages.
    pub stages: Stages,
    /// What to do where a run was stopped.
    pub unfinished: OnUnfinished,
    /// Further cards of the same kind that take their share of every step.
    pub others: Vec<usize>,
    /// Looked at after each step.
    pub stop: &'a Stop,
    /// Hears what the run does.
    pub progress: &'a mut dyn Progress,
}

impl OnDevice for Training<'_> {
    type Output = RunReport;

    fn run<B: TrainBackend>(self, device: &B::Device, name: &str) -> Result<RunReport> {
        let Self { settings, stages, unfinished, others, stop, progress } = self;
        let name = others.iter().fold(name.to_owned(), |name, other| format!("{name},{other}"));
        let options = RunOptions { stages, unfinished, device_name: &name, stop };
        let kind = device.to_id().type_id;
        let others: Vec<_> =
            others.iter().map(|&number| B::Device::from_id(DeviceId::new(kind, number as u16))).collect();
        Ok(run::run::<B>(settings, options, device, &others, progress)?)
    }
}

fn print_report(settings: &Settings, report: &RunReport) {
    if let Some(relative) = &report.relative {
        outln!(
            "stage 1: test pair accuracy {}, {}, {:.0} documents/s ({:.0} tokens/s), {:.0} s",
            cell(relative.test.and_then(|test| test.accuracy)),
            relative.fit.how(),
            relative.fit.documents_per_second,
            relative.fit.tokens_per_second,
            relative.fit.seconds
        );
    }
    if let Some(absolute) = &report.absolute {
        let targets = settings.pipeline.targets();
        for (of, target) in absolute.traits().zip(targets) {
            let name = if targets.len() > 1 { format!(" {target}") } else { String::new() };
            outln!(
                "stage 2{name}: test {}, pair accuracy {}, {}, {:.0} documents/s ({:.0} tokens/s), {:.0} s",
                of.test.summary(&absolute.scale),
                cell(of.pair_accuracy),
                absolute.fit.how(),
                absolute.fit.documents_per_second,
                absolute.fit.tokens_per_second,
                absolute.fit.seconds
            );
            if let Some(calibrated) = &of.calibrated {
                outln!("stage 2{name} {}", calibrated.summary(&absolute.scale));
            }
            if let Some(intervals) = &of.intervals {
                outln!("stage 2{name} {}", intervals.summary());
            }
            if let Some(raters) = &of.raters {
                outln!("stage 2{name} {}", raters.summary());
            }
        }
        outln!("scorer: {}", absolute.scorer.display());
    }
    outln!("outputs: {}", settings.paths.output_dir.display());
}
