//! `judgements fit` with documents: utilities of all of them, judged or not, and scores from anchors.

use std::path::{Path, PathBuf};

use anyhow::Result;
use pair2score_data::judgements::{Comparisons, FitOptions, Inferred, JudgementLog, infer};
use pair2score_data::{Document, DocumentSet, Layout, read_scored, read_texts};
use pair2score_train::TrainBackend;

use crate::Answer;
use crate::args::FitArgs;
use crate::destination::Destination;
use crate::device::OnDevice;

/// Infers what a log says of a file of documents.
pub(super) struct Infer {
    pub(super) args: FitArgs,
    pub(super) log: JudgementLog,
    pub(super) documents: PathBuf,
}

impl OnDevice for Infer {
    type Output = Answer;

    fn run<B: TrainBackend>(self, device: &B::Device, _: &str) -> Result<Answer> {
        let Self { args, log, documents } = self;
        let logs = args.log.files.iter().map(PathBuf::as_path);
        let folder = args.known.folder().map(PathBuf::as_path);
        let reads: Vec<&Path> = logs.chain([documents.as_path()]).chain(folder).collect();
        let output = Destination::new(&args.output, &reads)?;
        let layout = Layout::from(args.layout.clone());
        let scale = args.scale.scale();
        let documents: DocumentSet = match &args.anchors {
            Some(column) => {
                let mut layout = layout;
                layout.columns.label = Some(column.clone());
                read_scored(&documents, &layout, column, &scale)?
            }
            None => read_texts(&documents, &layout)?,
        };
        let comparisons = Comparisons::among(&documents, &log)?;
        let all: Vec<&Document> = documents.iter().collect();
        let features = args.known.read::<B::InnerBackend>(&all, args.log.target.as_deref(), device)?;
        let grades = all.iter().enumerate();
        let anchors: Vec<(usize, f64)> =
            grades.filter_map(|(place, document)| Some((place, document.label?))).collect();
        let anchors = args.anchors.is_some().then_some((anchors.as_slice(), scale));
        let inferred = infer(&comparisons, &features, anchors, args.log.weigh_judges)?;
        output.write(inferred.csv().as_bytes())?;
        report(&output, &inferred, anchors.map(|(anchors, _)| anchors.len()));
        Ok(Answer::Yes)
    }
}

fn report(output: &Destination, inferred: &Inferred, anchors: Option<usize>) {
    let fit = &inferred.posterior.fit;
    let FitOptions { prior_sd, text_sd } = fit.options;
    output.report(format_args!("tie parameter ν           {:.4}", fit.nu));
    if inferred.posterior.has_features() {
        output.report(format_args!("what texts tell, SD       {text_sd:.4}"));
        output.report(format_args!("what they do not, SD      {prior_sd:.4}"));
    } else {
        output.report(format_args!("prior of utilities, SD    {prior_sd:.4}"));
    }
    let judged = inferred.documents.iter().filter(|document| document.n > 0).count();
    let from = anchors.map_or_else(String::new, |anchors| format!(", scores from {anchors} anchors"));
    output.report(format_args!(
        "wrote {output}: {} documents, {judged} of them judged{from}",
        inferred.documents.len()
    ));
}
