//! `folds`: a fold for every document.

use anyhow::Result;
use pair2score_data::TableOptions;
use pair2score_data::folds::{add_folds, assign_folds, read_fold_map};

use crate::Answer;
use crate::args::FoldsArgs;
use crate::destination;

/// Adds a fold column, from a map or by a stratified draw.
pub(crate) fn run(args: FoldsArgs) -> Result<Answer> {
    let mut reads = vec![args.input.as_path()];
    reads.extend(args.fold_map.as_deref());
    destination::check_file(&args.output, &reads)?;
    let options = TableOptions::from(args.table);
    let counts = match (&args.fold_map, args.assign, &args.stratify) {
        (Some(map), _, _) => {
            add_folds(&args.input, &options, &args.id_col, &read_fold_map(map)?, &args.output)?
        }
        (None, Some(k), Some(column)) => {
            assign_folds(&args.input, &options, &args.id_col, column, k, args.seed, &args.output)?
        }
        _ => anyhow::bail!("give --fold-map FILE, or --assign N with --stratify COLUMN"),
    };
    for (fold, count) in &counts {
        outln!("{fold}: {count} documents");
    }
    outln!("wrote {}", args.output.display());
    Ok(Answer::Yes)
}
