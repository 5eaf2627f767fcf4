//! `run`, `relative`, `absolute`: the stages of a configuration.

use anyhow::{Result, bail};
use pair2score_train::TrainBackend;
use pair2score_train::config::{self, Settings};
use pair2score_train::run::{self, Inputs, Plan, RunReport, Stages};

use super::cell;
use crate::Answer;
use crate::args::RunArgs;
use crate::device::{Device, OnDevice};
use crate::progress::Terminal;

/// Runs the stages of a configuration, or shows what they would do.
pub(crate) fn run(args: RunArgs, stages: Stages) -> Result<Answer> {
    let settings = config::load(&args.config, &args.sets)?;
    if stages == Stages::Relative && settings.relative.is_none() {
        bail!("{}: stage1_relative.enabled is false, there is no stage 1 to run", args.config.display());
    }
    if args.dry_run {
        let inputs = Inputs::load(&settings, &mut Terminal::quiet())?;
        print!("{}", Plan::new(&settings, &inputs));
        return Ok(Answer::Yes);
    }
    let device = Device::choose(args.device.device, Some(&settings))?;
    let report = device.run(Training { settings: &settings, stages })?;
    print_report(&settings, &report);
    Ok(Answer::Yes)
}

/// A run as something that runs on a device.
pub(crate) struct Training<'a> {
    /// What to train.
    pub(crate) settings: &'a Settings,
    /// Which stages.
    pub(crate) stages: Stages,
}

impl OnDevice for Training<'_> {
    type Output = RunReport;

    fn run<B: TrainBackend>(self, device: &B::Device, name: &str) -> Result<RunReport> {
        Ok(run::run::<B>(self.settings, self.stages, device, name, &mut Terminal::new())?)
    }
}

fn print_report(settings: &Settings, report: &RunReport) {
    if let Some(relative) = &report.relative {
        println!(
            "stage 1: test pair accuracy {}, best epoch {} of {}, {:.0} tokens/s, {:.0} s",
            cell(relative.test.and_then(|test| test.accuracy)),
            relative.fit.best_epoch,
            relative.fit.epochs,
            relative.fit.tokens_per_second,
            relative.fit.seconds
        );
    }
    if let Some(absolute) = &report.absolute {
        println!(
            "stage 2: test QWK {} (floor {}), MAE {:.4}, RMSE {:.4}, pair accuracy {}, best epoch {} of {}, \
             {:.0} tokens/s, {:.0} s",
            cell(absolute.test.qwk_nearest),
            cell(absolute.test.qwk_floor),
            absolute.test.mae,
            absolute.test.rmse,
            cell(absolute.pair_accuracy),
            absolute.fit.best_epoch,
            absolute.fit.epochs,
            absolute.fit.tokens_per_second,
            absolute.fit.seconds
        );
        println!("scorer: {}", absolute.scorer.display());
    }
    println!("outputs: {}", settings.output_dir.display());
}
