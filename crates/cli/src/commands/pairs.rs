//! `pairs generate` and `pairs stats`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use pair2score_data::pairs::{self, GenerateOptions, PairOptions};
use pair2score_data::{Layout, read_labelled};

use crate::Answer;
use crate::args::{GenerateArgs, StatsArgs};
use crate::destination;

/// Makes a pair cache.
pub(crate) fn generate(args: GenerateArgs) -> Result<Answer> {
    let scale = args.scale.scale();
    scale.validate()?;
    for file in pairs::cache_files(&args.output_dir, args.run_id, &args.target)? {
        destination::check_file(&file, &[&args.essays])?;
    }
    let documents = read_labelled(&args.essays, &Layout::from(args.layout), &args.target, &scale)?;
    if args.require_labels {
        documents.require_labels()?;
    }
    let options = GenerateOptions {
        target: args.target.clone(),
        run: args.run_id,
        seed: args.seed,
        pair_folds: args.pair_folds,
        heldout_fold: args.heldout_fold,
        pairs: PairOptions {
            target_usage: args.target_usage,
            min_gap: args.min_gap,
            split_fraction: args.split_fraction,
        },
    };
    let (list, meta) = pairs::generate(&documents, &options)?;
    let (pairs_file, meta_file) =
        pairs::write_cache(&args.output_dir, args.run_id, &args.target, &list, &meta)?;
    out!("{}", pairs::table(&[pairs::stats(&pairs_file)?]));
    if documents.n_unlabelled() > 0 {
        let (n, all) = (documents.n_unlabelled(), documents.len());
        outln!("{n} of {all} documents have no {} label and are in no pair", args.target);
    }
    outln!("wrote {} and {}", pairs_file.display(), meta_file.display());
    Ok(Answer::Yes)
}

/// Prints counts of pair caches; negative when splits share documents.
pub(crate) fn stats(args: StatsArgs) -> Result<Answer> {
    let mut files: Vec<PathBuf> = Vec::new();
    for path in args.paths {
        if path.is_dir() {
            let entries =
                std::fs::read_dir(&path).with_context(|| format!("cannot list {}", path.display()))?;
            let mut found = Vec::new();
            for entry in entries {
                let file = entry.with_context(|| format!("cannot list {}", path.display()))?.path();
                if file.extension().is_some_and(|extension| extension == "jsonl") {
                    found.push(file);
                }
            }
            if found.is_empty() {
                bail!("{}: has no .jsonl file", path.display());
            }
            found.sort();
            files.extend(found);
        } else {
            files.push(path);
        }
    }
    let stats = files.iter().map(pairs::stats).collect::<Result<Vec<_>, _>>()?;
    out!("{}", pairs::table(&stats));
    let clean = stats.iter().all(|stats| stats.shared_documents == 0);
    Ok(if clean { Answer::Yes } else { Answer::No })
}
