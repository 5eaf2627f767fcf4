//! `report`: the outputs of runs as a page, plots and a table.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use pair2score_report::{Options, Summary, write};

use crate::Answer;
use crate::args::ReportArgs;
use crate::destination;

/// Writes the report and prints the table.
pub(crate) fn run(args: ReportArgs) -> Result<Answer> {
    if args.output.extension().is_none_or(|extension| extension != "html") {
        bail!("--output {}: a report is a page, give a name that ends in .html", args.output.display());
    }
    let reads: Vec<&Path> = args.documents.iter().map(PathBuf::as_path).collect();
    destination::check_file(&args.output, &reads)?;
    let options = Options {
        baseline: args.baseline,
        documents: args.documents,
        groups: args.groups,
        human: args.human.into_iter().collect(),
        resamples: args.resamples as usize,
    };
    let Summary { runs, markdown, markdown_file, plots, n_plots, notes } =
        write(&args.folders, &args.output, &options)?;
    outln!("{markdown}");
    for note in notes {
        errln!("{note}");
    }
    outln!(
        "wrote {}: {runs} runs; the table is in {}, {n_plots} plots with their numbers in {}",
        args.output.display(),
        markdown_file.display(),
        plots.display()
    );
    Ok(Answer::Yes)
}
