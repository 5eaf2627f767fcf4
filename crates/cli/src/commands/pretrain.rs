//! `pretrain`: a small backbone by next-token prediction.

use anyhow::Result;
use pair2score_train::TrainBackend;
use pair2score_train::config::{PretrainSettings, load_pretrain};
use pair2score_train::pretrain::{PretrainReport, pretrain};

use crate::Answer;
use crate::args::PretrainArgs;
use crate::device::{Device, OnDevice};
use crate::progress::Terminal;

/// Trains a backbone, new or continued.
pub(crate) fn run(args: PretrainArgs) -> Result<Answer> {
    let settings = load_pretrain(&args.config, &args.sets)?;
    let report = Device::choose(args.device.device, None)?.run(Pretrain(&settings))?;
    outln!(
        "{} documents, {} tokens an epoch; backbone of {} parameters and {} tokens of vocabulary",
        report.documents,
        report.tokens,
        report.parameters,
        report.vocab_size
    );
    outln!(
        "validation loss {:.4} nats per token (perplexity {:.2}), best epoch {}, {:.0} tokens/s, {:.0} s",
        report.best_val_loss,
        report.perplexity(),
        report.best_epoch,
        report.tokens_per_second,
        report.seconds
    );
    outln!("backbone: {}", report.output.display());
    Ok(Answer::Yes)
}

struct Pretrain<'a>(&'a PretrainSettings);

impl OnDevice for Pretrain<'_> {
    type Output = PretrainReport;

    fn run<B: TrainBackend>(self, device: &B::Device, _: &str) -> Result<PretrainReport> {
        Ok(pretrain::<B>(self.0, device, &mut Terminal::new())?)
    }
}
