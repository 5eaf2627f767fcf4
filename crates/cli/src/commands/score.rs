//! `score`: scores of documents as CSV or Parquet.

use std::path::Path;

use anyhow::{Context, Result, bail};
use pair2score_data::{DataError, Document, Layout};
use pair2score_export::Quantization;
use pair2score_model::Kernels;
use pair2score_scorer::{KeptStages, Scored, Scorer};
use pair2score_train::{Progress, TrainBackend};

use crate::Answer;
use crate::args::ScoreArgs;
use crate::device::{Device, OnDevice};
use crate::progress::Terminal;
use crate::prompts;
use crate::scoring::{Columns, Job, Output, Request, Row, SHORT, State};

/// Writes `id,score,grade,truncated`, of several traits a score and a grade each, and with either its interval.
pub(crate) fn run(args: ScoreArgs) -> Result<Answer> {
    Device::choose(args.device.device, None)?.run(Score(args))
}

struct Score(ScoreArgs);

impl OnDevice for Score {
    type Output = Answer;

    fn run<B: TrainBackend>(self, device: &B::Device, name: &str) -> Result<Answer> {
        let Self(args) = self;
        let layout = Layout::from(args.layout.clone());
        let job = Job::new(Request {
            input: &args.input,
            layout: &layout,
            scorer: &args.scorer,
            device: name,
            output: &args.output,
            shard: args.shard,
            resume: args.resume,
            window: args.window,
            calibrated: args.calibrated,
            intervals: args.intervals,
            quantize: args.quantize,
            spreadsheet: args.spreadsheet,
        })?;
        check_ending(&args.output)?;
        let output = job.take_output()?;
        let state = job.state(&output)?;
        let documents = job.documents(&state)?;
        if state.is_finished() {
            job.output.report(format_args!("{}: is done, {} documents scored", job.output, state.documents));
            return Ok(Answer::Yes);
        }
        let scorer = load::<B>(&args, device)?;
        prompts::check(&args.scorer, &scorer.settings, layout.columns.prompt.is_some(), "--prompt-col")?;
        let cache = args.cache.open();
        let kept = cache.as_ref().map(|cache| scorer.open_cache(cache)).transpose()?;
        let window = args.window as usize;
        let ScoreArgs { calibrated, intervals, .. } = args;
        let mut scoring = Scoring { scorer: &scorer, kept, calibrated, intervals, window };
        let Some(state) = scoring.run(&job, documents, state, output)? else { return Ok(Answer::Yes) };
        job.output.report(format_args!(
            "wrote {}: {} documents scored, {} cut at {} tokens, {} without text",
            job.output, state.documents, state.truncated, scorer.settings.max_length, state.empty
        ));
        if state.short > 0 {
            job.output.report(format_args!(
                "texts of fewer than {SHORT} tokens: {}; so little says hardly anything about its writer, and such a score \
                 may be far off",
                state.short
            ));
        }
        if scorer.uncalibrated().is_none() && !args.calibrated {
            job.output.report(format_args!(
                "these are raw scores; --calibrated writes them as corrected by documents that did not decide them"
            ));
        }
        Ok(Answer::Yes)
    }
}

/// Refuses names of files that programs, ours among them, would not read as CSV or Parquet.
fn check_ending(output: &Path) -> Result<()> {
    const OTHERS: [&str; 22] = [
        "tsv", "jsonl", "ndjson", "json", "xlsx", "xls", "xlsb", "xlsm", "ods", "numbers", "gz", "zip", "7z",
        "rar", "tar", "tgz", "bz2", "xz", "zst", "lz4", "br", "feather",
    ];
    let ending = output.extension().unwrap_or_default().to_ascii_lowercase();
    if OTHERS.iter().any(|other| ending == *other) {
        bail!(
            "{}: would hold CSV under the name of another kind of file; write a .csv or a .parquet file",
            output.display()
        );
    }
    Ok(())
}

/// A scorer that gives what is asked for.
fn load<B: TrainBackend>(args: &ScoreArgs, device: &B::Device) -> Result<Scorer<B::InnerBackend>> {
    let folder = &args.scorer;
    let scorer = match args.quantize {
        Some(Quantization::Q8) => Scorer::<B::InnerBackend>::load_packed(folder, device),
        None => Scorer::load(folder, device),
    }?;
    scorer.check_scores(folder)?;
    if let Some(target) = scorer.uncalibrated().filter(|_| args.calibrated) {
        bail!(
            "{}: holds no calibration of {target}; leave out --calibrated, or train with stage2_absolute.calibration",
            folder.display(),
        );
    }
    if let Some(target) = scorer.without_intervals().filter(|_| args.intervals) {
        bail!(
            "{}: holds no intervals of {target}; leave out --intervals, or train stage 2 again, which writes them",
            folder.display(),
        );
    }
    Ok(scorer)
}

/// How documents are scored.
struct Scoring<'a, B: Kernels> {
    scorer: &'a Scorer<B>,
    /// What a cache has of its embeddings, where there is one.
    kept: Option<KeptStages>,
    calibrated: bool,
    intervals: bool,
    /// Documents read, scored and written at once.
    window: usize,
}

impl<B: Kernels> Scoring<'_, B> {
    /// Scores what is left of a job; `None` where the reader of standard output has left.
    fn run(
        &mut self,
        job: &Job<'_>,
        mut documents: impl Iterator<Item = Result<Document, DataError>>,
        mut state: State,
        mut output: Output,
    ) -> Result<Option<State>> {
        job.forget()?;
        let columns = Columns::of(self.scorer.settings.targets(), self.intervals);
        output.begin(state.bytes, &columns.with_context(|| job.scorer().display().to_string())?)?;
        let mut progress = Terminal::quiet();
        progress.begin("score", job.total().unwrap_or(0) as usize);
        while output.is_wanted() {
            let window = documents.by_ref().take(self.window).collect::<Result<Vec<_>, _>>()?;
            if window.is_empty() {
                job.check_count(&state)?;
                break;
            }
            let rows = self.rows(&window, |done| progress.advance(state.documents as usize + done))?;
            state.bytes = output.write(&window, &rows)?;
            for (document, row) in window.iter().zip(&rows) {
                state.add(document, row);
            }
            job.save(&state)?;
        }
        progress.end();
        if !output.is_wanted() {
            return Ok(None);
        }
        output.finish()?;
        job.save_finished(state.clone())?;
        Ok(Some(state))
    }

    /// Scores of a window, whose documents of similar length are computed together.
    fn rows(&mut self, window: &[Document], progress: impl FnMut(usize)) -> Result<Vec<Row>> {
        let encoded = self.scorer.encode(window)?;
        let scores = match &mut self.kept {
            Some(kept) => self.scorer.score_cached(&encoded, kept, progress),
            None => self.scorer.score(&encoded, progress),
        };
        let scores = scores.map_err(|error| error.of_document(|place| window[place].id.clone()))?;
        let rows = scores.unwrap_or_default().into_iter().zip(&encoded).map(|(mut scores, document)| {
            if self.calibrated {
                scores = scores.into_iter().map(Scored::by_calibration).collect();
            }
            if !self.intervals {
                scores.iter_mut().for_each(|scored| scored.interval = None);
            }
            Row { scores, truncated: document.truncated(), tokens: document.ids.len() }
        });
        Ok(rows.collect())
    }
}
