//! What there is to say about judgement logs, for the commands that say it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use pair2score_data::judgements::{
    self, Comparisons, FitOptions, JudgementLog, LogDefaults, Stats, StatsOptions,
};
use pair2score_data::pairs::PairCache;

use crate::args::{AccountArgs, PriorSd};

/// What there is to say about a log.
pub(super) struct Account {
    /// Copies left out.
    pub(super) duplicates: usize,
    /// Standard deviation of the prior of the utilities, logits.
    pub(super) prior_sd: f64,
    pub(super) stats: Stats,
}

/// Measures what a log says, judges by the right answers of `gold` too.
pub(super) fn account(log: &JudgementLog, args: &AccountArgs, gold: &[PathBuf]) -> Result<Account> {
    let comparisons = Comparisons::from(log);
    let prior_sd = match args.prior_sd {
        PriorSd::Given(sd) => sd,
        PriorSd::Estimated => {
            judgements::posterior(comparisons.documents.len(), &comparisons.list)?.fit.options.prior_sd
        }
    };
    let options = StatsOptions {
        fit: FitOptions { prior_sd, ..FitOptions::default() },
        weigh_judges: args.log.weigh_judges,
        seed: args.seed,
        ..StatsOptions::default()
    };
    let target = log.judgements.first().map(|first| first.pair.target.clone());
    let right = gold.iter().map(|file| right_answers(file, target.clone())).collect::<Result<Vec<_>>>()?;
    let gold = judgements::gold_answers(&right, &comparisons.documents, target.as_deref())?;
    let stats = judgements::stats(&comparisons, &gold, &options)?;
    Ok(Account { duplicates: log.duplicates, prior_sd, stats })
}

/// Pairs whose answer is right, in any of the forms that judgements have. Those that do not say what they are about are about
/// `target`.
fn right_answers(file: &Path, target: Option<String>) -> Result<PairCache> {
    let defaults = LogDefaults { target, judge: Some("gold".into()) };
    let log = JudgementLog::read(&[file], &defaults)?;
    let (pairs, lines) = log.judgements.into_iter().map(|answer| (answer.pair, answer.line)).unzip();
    Ok(PairCache { pairs, lines, path: file.to_path_buf() })
}
