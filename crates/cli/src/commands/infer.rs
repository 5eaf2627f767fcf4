//! `judgements fit` with documents: utilities of all of them, judged or not, and scores from anchors; `judgements scorer`:
//! the same for texts to come.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use pair2score_data::files::{read_bytes, read_text, write_atomic};
use pair2score_data::judgements::{
    Comparisons, Features, FitOptions, Inferred, JudgementLog, MOST_LEFT_OUT, anchor_warning, infer, left_out,
};
use pair2score_data::staging::{Kind, Staging};
use pair2score_data::{Document, DocumentSet, Layout, ScoreScale, read_scored, read_texts};
use pair2score_model::Kernels;
use pair2score_scorer::{Golden, MANIFEST, Manifest, PerTrait, Scorer, find_scorer, rehead, save_judged};
use pair2score_train::{Progress, TrainBackend};
use serde_json::json;

use super::account::account;
use super::logs::{log, say_copies};
use crate::Answer;
use crate::args::{FitArgs, JudgedScorerArgs, KnownArgs, ScaleArgs, TextsArgs};
use crate::destination::{self, Destination};
use crate::device::{Device, OnDevice};
use crate::progress::Terminal;

/// Marks a folder as a scorer of judgements, so that a later one may replace it.
const JUDGED: Kind = Kind { name: "scorer of judgements", marker: "judged_scorer.json" };

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
        let logs = args.account.log.files.iter().map(PathBuf::as_path);
        let folder = args.known.folder().map(PathBuf::as_path);
        let reads: Vec<&Path> = logs.chain([documents.as_path()]).chain(folder).collect();
        let output = Destination::new(&args.output, &reads)?;
        let scorer = args.known.load::<B::InnerBackend>(args.layout.prompt_col.is_some(), device)?;
        let judged = Judged {
            log: &log,
            documents: read(&documents, args.layout, args.anchors.as_deref(), &args.scale.scale())?,
            scale: args.anchors.is_some().then(|| known_scale(&args.scale)).transpose()?,
            weigh_judges: args.account.log.weigh_judges,
            target: args.account.log.target.as_deref(),
        };
        let (features, inferred, comparisons) = judged.infer(&args.known, scorer.as_ref())?;
        output.write(inferred.csv().as_bytes())?;
        // Where nothing read the texts, the judgements alone are what can be trusted, as `judgements stats` says it.
        let trust = match features.is_empty() {
            true => account(&log, &args.account, &[])?.stats.trust,
            false => inferred.prospect(&comparisons.list).trust,
        };
        output.report(format_args!("{trust}"));
        report(&output, &inferred, args.anchors.is_some().then(|| judged.anchors().len()));
        Ok(Answer::Yes)
    }
}

/// Writes a scorer.
pub(crate) fn scorer(args: JudgedScorerArgs) -> Result<Answer> {
    let Some(base) = args.known.folder() else {
        bail!("there is nothing that reads texts; give --scorer or --backbone");
    };
    let inputs = args.log.files.iter().chain([&args.documents, base]);
    destination::check_folder(&args.output, &inputs.map(PathBuf::as_path).collect::<Vec<_>>())?;
    let log = log(&args.log)?;
    say_copies(log.duplicates);
    Device::choose(args.device.device, None)?.run(MakeScorer { args, log })
}

struct MakeScorer {
    args: JudgedScorerArgs,
    log: JudgementLog,
}

impl OnDevice for MakeScorer {
    type Output = Answer;

    fn run<B: TrainBackend>(self, device: &B::Device, _: &str) -> Result<Answer> {
        let Self { args, log } = self;
        let scale = known_scale(&args.scale)?;
        // Before the documents are read, which may take an hour.
        let staging = Staging::create(&args.output, JUDGED)?;
        let base = match &args.known.scorer {
            Some(folder) => find_scorer(folder)?,
            None => PathBuf::new(),
        };
        let prompts = args.layout.prompt_col.is_some();
        let scorer =
            args.known.load::<B::InnerBackend>(prompts, device)?.context("a scorer was asked for")?;
        let judged = Judged {
            log: &log,
            documents: read(&args.documents, args.layout, Some(&args.anchors), &scale)?,
            scale: Some(scale),
            weigh_judges: args.log.weigh_judges,
            target: args.log.target.as_deref(),
        };
        let (features, inferred, _) = judged.infer(&args.known, Some(&scorer))?;
        // A log that was read is about one trait.
        let target = log.judgements.first().map_or_else(String::new, |first| first.pair.target.clone());
        let unseen = judged.left_out(&features, scale)?;
        let heads = inferred.heads(&features, target, unseen).context("there are anchors")?;
        let place = args.known.place(&scorer, args.log.target.as_deref())?;
        let scorer = scorer.judged(&heads, place)?;
        // Of a backbone there is no `base`, and the working directory may well hold a manifest of something else.
        match args.known.scorer.is_some() && base.join(MANIFEST).is_file() {
            true => save_bundle(&scorer, &base, staging.path())?,
            false => save_judged(&scorer, &base, staging.path())?,
        }
        let about = json!({
            "judgements": log.judgements.len(),
            "documents": judged.documents.len(),
            "anchors": judged.anchors().len(),
        });
        write_atomic(staging.path().join(JUDGED.marker), format!("{about:#}\n").as_bytes())?;
        staging.finish()?;
        if let Some(target) = scorer.without_intervals() {
            outln!(
                "{} anchors are too few for intervals of {target}, of which nine are the least",
                judged.anchors().len()
            );
        }
        outln!(
            "wrote {}: a scorer of {} from {} judgements of {} documents, {} of which are anchors",
            args.output.display(),
            heads.target,
            log.judgements.len(),
            judged.documents.len(),
            judged.anchors().len()
        );
        Ok(Answer::Yes)
    }
}

/// Writes the bundle in `base` with the heads of a scorer that was made of it.
fn save_bundle<B: Kernels>(scorer: &Scorer<B>, base: &Path, folder: &Path) -> Result<()> {
    let manifest = Manifest::parse(&read_text(base.join(MANIFEST))?)?;
    let (index, _) = manifest.heads_begin()?;
    let texts: Vec<&str> = manifest.golden.iter().map(|golden| golden.text.as_str()).collect();
    let encoded = scorer.encode(&texts)?;
    let scores = scorer.score(&encoded, |_| ())?;
    let utilities = scorer.utilities(&encoded, |_| ())?;
    let golden = texts.iter().enumerate().map(|(place, &text)| Golden {
        text: text.into(),
        score: scores.as_ref().map(|scores| PerTrait::One(scores[place][0].score)),
        utility: utilities.as_ref().map(|utilities| PerTrait::One(utilities[place][0])),
    });
    let shard = read_bytes(base.join(&manifest.shards[index].file))?;
    let new = rehead(&manifest, &shard, scorer, golden.collect())?;
    let kept = manifest.shards[..index].iter().map(|shard| &shard.file).chain([&manifest.tokenizer.file]);
    for file in kept {
        std::fs::copy(base.join(file), folder.join(file))
            .with_context(|| format!("cannot copy {}", base.join(file).display()))?;
    }
    for (file, bytes) in &new.shards {
        write_atomic(folder.join(file), bytes)?;
    }
    Ok(write_atomic(folder.join(MANIFEST), new.manifest.as_bytes())?)
}

/// Documents with what was said about them.
struct Judged<'a> {
    log: &'a JudgementLog,
    documents: DocumentSet,
    /// That of the anchors, where documents have some.
    scale: Option<ScoreScale>,
    weigh_judges: bool,
    /// Which trait, where it has to be said.
    target: Option<&'a str>,
}

impl Judged<'_> {
    fn anchors(&self) -> Vec<(usize, f64)> {
        let grades = self.documents.iter().enumerate();
        grades.filter_map(|(place, document)| Some((place, document.label?))).collect()
    }

    /// The grade of each anchor with the score that it would have as a text to come, by the others.
    fn left_out(&self, features: &Features, scale: ScoreScale) -> Result<Vec<(f64, f64)>> {
        let comparisons = Comparisons::among(&self.documents, self.log)?;
        let anchors = self.anchors();
        let mut progress = Terminal::quiet();
        progress.begin("intervals", anchors.len().min(MOST_LEFT_OUT));
        let done = |done| progress.advance(done);
        let unseen = left_out(&comparisons, features, (&anchors, scale), self.weigh_judges, done)?;
        progress.end();
        Ok(unseen)
    }

    /// What a scorer tells of the documents, and what follows from that and from the judgements.
    fn infer<B: Kernels>(
        &self,
        known: &KnownArgs,
        scorer: Option<&Scorer<B>>,
    ) -> Result<(Features, Inferred, Comparisons)> {
        let comparisons = Comparisons::among(&self.documents, self.log)?;
        let all: Vec<&Document> = self.documents.iter().collect();
        let features = known.features(scorer, &all, self.target)?;
        let anchors = self.anchors();
        let anchors = self.scale.map(|scale| (anchors.as_slice(), scale));
        let inferred = infer(&comparisons, &features, anchors, self.weigh_judges)
            .with_context(|| self.documents.path.display().to_string())?;
        let warning = anchors.and_then(|(anchors, _)| anchor_warning(&inferred.posterior.fit, anchors));
        if let Some(warning) = warning {
            errln!("warning: {warning}");
        }
        Ok((features, inferred, comparisons))
    }
}

/// The scale that scores from anchors have.
fn known_scale(args: &ScaleArgs) -> Result<ScoreScale> {
    match args.scale() {
        ScoreScale::Continuous(interval) if interval.observed => bail!(
            "--scale auto: a few anchors do not show where the scale ends; give --scale-min and --scale-max"
        ),
        scale => Ok(scale),
    }
}

/// Reads documents, with the grades of some where a column has them.
fn read(file: &Path, layout: TextsArgs, anchors: Option<&str>, scale: &ScoreScale) -> Result<DocumentSet> {
    let mut layout = Layout::from(layout);
    let Some(column) = anchors else { return Ok(read_texts(file, &layout)?) };
    layout.columns.label = Some(column.to_owned());
    Ok(read_scored(file, &layout, column, scale)?)
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
