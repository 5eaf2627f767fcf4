//! `export`: a scorer as files that other programs load.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pair2score_export::{Base, Difference, Options, Precision, Report, export};
use pair2score_train::TrainBackend;

use crate::Answer;
use crate::args::ExportArgs;
use crate::destination;
use crate::device::{Device, OnDevice};
use crate::page;

/// Writes, checks and prints how close the numbers are.
pub(crate) fn run(args: ExportArgs) -> Result<Answer> {
    let inputs: Vec<&Path> = args.scorer.iter().chain(&args.backbone).map(PathBuf::as_path).collect();
    destination::check_folder(&args.output, &inputs)?;
    Device::choose(args.device.device, None)?.run(Export(args))
}

struct Export(ExportArgs);

impl OnDevice for Export {
    type Output = Answer;

    fn run<B: TrainBackend>(self, device: &B::Device, _: &str) -> Result<Answer> {
        let Self(args) = self;
        args.reading.check(args.scorer.as_deref())?;
        let page = args.page.unwrap_or_else(page::folder);
        let options = Options {
            format: args.format,
            precision: args.dtype.unwrap_or_else(|| Precision::beside(args.quantize)),
            quantize: args.quantize,
            calibrated: args.calibrated,
            page,
        };
        let rounding = options.rounding();
        let base = match (&args.scorer, &args.backbone) {
            (Some(scorer), _) => Base::Scorer(scorer),
            (None, backbone) => {
                let folder = backbone.as_deref().context("clap asks for one of the two")?;
                Base::Backbone { folder, max_length: args.reading.max_length(), layers: args.reading.layers }
            }
        };
        let Report { weight_deviation, scores, calibrated, utilities, embeddings } =
            export::<B::InnerBackend>(base, &args.output, options, device, |stage| {
                errln!("{stage}");
            })?;
        outln!("wrote {}: {} in {rounding}", args.output.display(), args.format);
        outln!("largest weight deviation by the cast  {weight_deviation:.3e}");
        let kinds = ["score", "calibrated score", "utility", "embedding"];
        for (what, difference) in kinds.into_iter().zip([scores, calibrated, utilities, embeddings]) {
            if let Some(Difference { largest, mean, tolerance }) = difference {
                outln!("largest {what} difference  {largest:.3e} (mean {mean:.3e}, allowed {tolerance:.1e})");
            }
        }
        Ok(Answer::Yes)
    }
}
