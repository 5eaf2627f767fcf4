//! `judgements import`, `judgements fit` and `judgements stats`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use pair2score_data::judgements::{self, ImportOptions, SplitHalf, Stats};
use pair2score_data::{Layout, pairs, read_texts};

use super::account::{Account, account};
use super::cell;
use super::infer::Infer;
use super::logs::{log, merged, say_copies};
use crate::Answer;
use crate::args::{FitArgs, ImportArgs, JudgementStatsArgs};
use crate::destination::{self, Destination};
use crate::device::Device;

/// Makes a pair cache.
pub(crate) fn import(args: ImportArgs) -> Result<Answer> {
    let log = merged(&args.files, args.target, args.judge)?;
    let documents = read_texts(&args.documents, &Layout::from(args.layout))?;
    let options = ImportOptions {
        run: args.run_id,
        seed: args.seed,
        min_per_document: args.min_per_document,
        heldout_fold: args.heldout_fold,
    };
    let cache = judgements::to_cache(&log, &documents, &options)?;
    let target = &cache.meta.target;
    let mut reads = vec![args.documents.as_path()];
    reads.extend(args.files.iter().map(PathBuf::as_path));
    for file in pairs::cache_files(&args.output_dir, args.run_id, target)? {
        destination::check_file(&file, &reads)?;
    }
    let (pairs_file, meta_file) =
        pairs::write_cache(&args.output_dir, args.run_id, target, &cache.pairs, &cache.meta)?;
    out!("{}", pairs::table(&[pairs::stats(&pairs_file)?]));
    let dropped = cache.dropped;
    outln!(
        "{} judgements, {} copies left out; {} in the cache, {} of the held-out fold, {} of documents with fewer than \
         {}, {} across splits",
        log.judgements.len() + log.duplicates,
        log.duplicates,
        cache.pairs.len(),
        dropped.heldout,
        dropped.rare,
        options.min_per_document,
        dropped.crossing
    );
    outln!("wrote {} and {}", pairs_file.display(), meta_file.display());
    Ok(Answer::Yes)
}

/// Writes utilities as CSV.
pub(crate) fn fit(args: FitArgs) -> Result<Answer> {
    if let Some(documents) = args.documents.clone() {
        let log = log(&args.account.log)?;
        say_copies(log.duplicates);
        return Device::choose(args.device.device, None)?.run(Infer { args, log, documents });
    }
    if let Some(folder) = args.known.folder() {
        bail!("{}: has no texts to read; name them with --documents", folder.display());
    }
    let reads: Vec<&Path> = args.account.log.files.iter().map(PathBuf::as_path).collect();
    let output = Destination::new(&args.output, &reads)?;
    let Account { duplicates, prior_sd, stats } = account(&log(&args.account.log)?, &args.account, &[])?;
    say_copies(duplicates);
    output.write(stats.fit_csv().as_bytes())?;
    output.report(format_args!("{}", scale(prior_sd, &stats)));
    output.report(format_args!("wrote {output}: {} documents", stats.documents.len()));
    Ok(Answer::Yes)
}

/// Prints what there is to say about documents and judges.
pub(crate) fn stats(args: JudgementStatsArgs) -> Result<Answer> {
    let Account { duplicates, prior_sd, stats } =
        account(&log(&args.account.log)?, &args.account, &args.gold)?;
    if args.json {
        let mut value = serde_json::to_value(&stats)?;
        value["duplicates"] = duplicates.into();
        value["prior_sd"] = prior_sd.into();
        outln!("{value}");
        return Ok(Answer::Yes);
    }
    outln!(
        "{} judgements ({duplicates} copies left out) of {} pairs of {} documents by {} judges",
        stats.judgements,
        stats.pairs,
        stats.documents.len(),
        stats.judges.len()
    );
    outln!("{}", scale(prior_sd, &stats));
    outln!("share of left choices     {}", share(stats.left, stats.sided));
    outln!("share of ties             {}", share(stats.ties, stats.judgements));
    outln!("median time               {}", seconds(stats.median_ms));
    print_judges(&stats);
    Ok(Answer::Yes)
}

/// What there is to say about the scale, a line each.
///
/// The two coefficients belong together: the first alone misleads where pairs were chosen adaptively.
fn scale(prior_sd: f64, stats: &Stats) -> String {
    let halves = |half: &Option<SplitHalf>| match half {
        Some(half) => format!(
            "{} (r {:.4} ± {:.4} over {} divisions)",
            cell(half.reliability),
            half.correlation,
            half.sd,
            half.divisions
        ),
        None => cell(None),
    };
    let mut text = stats.trust.to_string();
    text += &format!("\nscale separation (SSR)    {}", cell(stats.scale_separation));
    text += &format!("\nsplit-half, judgements    {}", halves(&stats.split_half));
    text += &format!("\nsplit-half, judges        {}", halves(&stats.split_half_judges));
    text += &format!("\ntie parameter ν           {:.4}", stats.nu);
    text += &format!("\nprior of utilities, SD    {prior_sd:.4}");
    if stats.unconnected_parts > 1 {
        text += &format!(
            "\n{} groups of documents were never compared with each other: their places on one scale are a guess",
            stats.unconnected_parts
        );
    }
    text
}

fn print_judges(stats: &Stats) {
    let agreement = &stats.agreement;
    outln!(
        "\nagreement on {} shared pairs: equal {}, Cohen's kappa {}, Krippendorff's alpha {} (nominal), {} (ordinal)",
        agreement.shared_pairs,
        cell(agreement.percentage),
        cell(agreement.cohen_kappa),
        cell(agreement.alpha_nominal),
        cell(agreement.alpha_ordinal)
    );
    let header = ["judge", "judgements", "left", "consistent", "agrees", "gold", "median", "infit", "weight"];
    let mut rows = vec![header.map(str::to_owned)];
    for (place, judge) in stats.judges.iter().enumerate() {
        rows.push([
            judge.judge.clone(),
            judge.judgements.to_string(),
            share(judge.left, judge.sided),
            share(judge.consistent, judge.repeats),
            share(judge.agreed, judge.compared),
            share(judge.gold_right, judge.gold),
            seconds(judge.median_ms),
            cell(judge.infit),
            cell(stats.judge_weights.get(place).copied()),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 9] = std::array::from_fn(width);
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        outln!("{}", cells.join("  ").trim_end());
    }
}

/// A share with what it is a share of.
fn share(part: usize, whole: usize) -> String {
    match whole {
        0 => cell(None),
        _ => format!("{:.3} ({part}/{whole})", part as f64 / whole as f64),
    }
}

fn seconds(ms: Option<f64>) -> String {
    ms.map_or_else(|| cell(None), |ms| format!("{:.1} s", ms / 1000.0))
}
