//! `pairs generate`, `pairs import` and `pairs stats`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use pair2score_data::files::write_atomic;
use pair2score_data::pairs::{self, Answer as Document, GenerateOptions, PairOptions, Preferences};
use pair2score_data::{Layout, read_labelled};

use crate::Answer;
use crate::args::{GenerateArgs, PreferencesArgs, StatsArgs};
use crate::destination;

/// Makes a pair cache.
pub(crate) fn generate(args: GenerateArgs) -> Result<Answer> {
    let scale = args.scale.scale();
    scale.validate()?;
    if let Some(column) = args.layout.label_col.as_ref().filter(|_| args.targets.len() > 1) {
        bail!("--label-col {column}: is the column of one trait; give each trait the name of its column");
    }
    for target in &args.targets {
        for file in pairs::cache_files(&args.output_dir, args.run_id, target)? {
            destination::check_file(&file, &[&args.essays])?;
        }
    }
    let layout = Layout::from(args.layout);
    let mut traits = Vec::new();
    for target in args.targets {
        if traits.iter().any(|(earlier, _)| *earlier == target) {
            bail!("--trait {target}: is given twice");
        }
        let documents = read_labelled(&args.essays, &layout, &target, &scale)?;
        if args.require_labels {
            documents.require_labels()?;
        }
        traits.push((target, documents));
    }
    let options = GenerateOptions {
        run: args.run_id,
        seed: args.seed,
        pair_folds: args.pair_folds,
        heldout_fold: args.heldout_fold,
        pairs: PairOptions {
            target_usage: args.target_usage,
            min_gap: args.min_gap,
            split_fraction: args.split_fraction,
            group_size: args.group_size,
        },
    };
    let caches = pairs::generate(&traits, &options)?;
    let mut written = Vec::new();
    for ((target, _), (list, meta)) in traits.iter().zip(&caches) {
        written.push(pairs::write_cache(&args.output_dir, args.run_id, target, list, meta)?);
    }
    let stats = written.iter().map(|(file, _)| pairs::stats(file)).collect::<Result<Vec<_>, _>>()?;
    out!("{}", pairs::table(&stats));
    for (target, documents) in traits.iter().filter(|(_, documents)| documents.n_unlabelled() > 0) {
        let (n, all) = (documents.n_unlabelled(), documents.len());
        outln!("{n} of {all} documents have no {target} label and are in no pair");
    }
    for (pairs_file, meta_file) in written {
        outln!("wrote {} and {}", pairs_file.display(), meta_file.display());
    }
    Ok(Answer::Yes)
}

/// Makes documents and pairs of preference data.
pub(crate) fn import(args: &PreferencesArgs) -> Result<Answer> {
    let PreferencesArgs { file, output_dir, target, seed } = args;
    if ["text_id", "prompt", "full_text", "fold"].contains(&target.as_str()) {
        bail!("--trait {target}: is a column of the documents already, give the preferences another name");
    }
    let [documents_file, pairs_file] = ["documents.csv", "pairs.jsonl"].map(|name| output_dir.join(name));
    for output in [&documents_file, &pairs_file] {
        destination::check_file(output, &[file])?;
    }
    // An earlier import has left both.
    if documents_file.exists() && !pairs_file.exists() {
        bail!(
            "{}: is there and not of an earlier import; name another folder with --output-dir",
            documents_file.display()
        );
    }
    let Preferences { documents, pairs, equal, unread } = pairs::read_preferences(file, target, *seed)?;
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["text_id", "prompt", "full_text", "fold", target])?;
    for Document { id, prompt, text, split } in &documents {
        table.write_record([id, prompt, text, split.as_str(), ""])?;
    }
    let lines = pairs.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    write_atomic(&documents_file, &table.into_inner()?)?;
    write_atomic(&pairs_file, (lines.join("\n") + "\n").as_bytes())?;
    out!("{}", pairs::table(&[pairs::stats(&pairs_file)?]));
    if equal > 0 {
        outln!("{equal} preferences between equal answers are left out");
    }
    let alone = documents.iter().filter(|document| document.prompt.trim().is_empty()).count();
    if alone > 0 {
        outln!("{alone} documents have no prompt: answers to one question may be in several splits");
    }
    if !unread.is_empty() {
        outln!("not read: {}", unread.into_iter().collect::<Vec<_>>().join(", "));
    }
    outln!(
        "wrote {}: {} documents, and {}: {} pairs",
        documents_file.display(),
        documents.len(),
        pairs_file.display(),
        pairs.len()
    );
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
