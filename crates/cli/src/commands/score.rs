//! `score`: scores of documents as CSV or Parquet.

use anyhow::{Result, bail};
use pair2score_data::{Columns, Document};
use pair2score_scorer::{Calibrated, Scored, Scorer};
use pair2score_train::{Progress, TrainBackend};

use crate::Answer;
use crate::args::ScoreArgs;
use crate::device::{Device, OnDevice};
use crate::progress::Terminal;
use crate::scoring::{self, Job, Output, State};

/// Writes `id,score,grade,truncated`.
pub(crate) fn run(args: ScoreArgs) -> Result<Answer> {
    Device::choose(args.device.device, None)?.run(Score(args))
}

struct Score(ScoreArgs);

impl OnDevice for Score {
    type Output = Answer;

    fn run<B: TrainBackend>(self, device: &B::Device, _: &str) -> Result<Answer> {
        let Self(ScoreArgs {
            scorer: folder, input, output, calibrated, columns, shard, resume, window, ..
        }) = self;
        let columns = Columns::from(columns);
        let job = Job::new(&input, &columns, &folder, &output, shard, resume, calibrated)?;
        let mut state = job.state(resume)?;
        if state.is_finished() {
            outln!("{}: is done, {} documents scored", job.output.display(), state.documents);
            return Ok(Answer::Yes);
        }
        let (first, end) = job.rows.unwrap_or((0, u64::MAX));
        let mut documents = scoring::open(&input, &columns, first + state.documents)?;
        let scorer = Scorer::<B::InnerBackend>::load(&folder, device)?;
        if !scorer.can_score() {
            bail!(
                "{}: holds stage 1 only, which ranks and does not score; run `pair2score absolute CONFIG` first",
                folder.display()
            );
        }
        let holds_calibration = scorer.settings.calibration.is_some();
        if calibrated && !holds_calibration {
            bail!(
                "{}: holds no calibration; leave out --calibrated, or train with stage2_absolute.calibration",
                folder.display()
            );
        }
        let mut output = Output::create(&job.output, state.bytes, job.keeps_state())?;
        let mut progress = Terminal::quiet();
        progress.begin("score", job.rows.map_or(0, |(first, end)| end - first) as usize);
        loop {
            let left = end - first - state.documents;
            let size = left.min(window.into()) as usize;
            let documents = documents.by_ref().take(size).collect::<Result<Vec<_>>>()?;
            if documents.is_empty() {
                break;
            }
            score(&scorer, &documents, calibrated, &mut state, &mut output, &mut progress)?;
            job.save(&state)?;
        }
        output.finish()?;
        progress.end();
        let state = state.finished();
        job.save(&state)?;
        outln!(
            "wrote {}: {} documents scored, {} cut at {} tokens, {} without text",
            job.output.display(),
            state.documents,
            state.truncated,
            scorer.settings.max_length,
            state.empty
        );
        if holds_calibration && !calibrated {
            outln!("these are raw scores; --calibrated writes those that the validation documents correct");
        }
        Ok(Answer::Yes)
    }
}

/// Scores and writes a window; documents of similar length are computed together.
fn score<B: pair2score_model::Kernels>(
    scorer: &Scorer<B>,
    window: &[Document],
    calibrated: bool,
    state: &mut State,
    output: &mut Output,
    progress: &mut Terminal,
) -> Result<()> {
    let texts: Vec<&str> = window.iter().map(|document| document.text.as_str()).collect();
    let encoded = scorer.encode(&texts)?;
    let before = state.documents as usize;
    let mut scores = scorer.score(&encoded, |done| progress.advance(before + done)).unwrap_or_default();
    if calibrated {
        for scored in &mut scores {
            if let Some(Calibrated { score, grade }) = scored.calibrated {
                *scored = Scored { score, grade, ..*scored };
            }
        }
    }
    state.bytes = output.write(window, &scores)?;
    state.documents += window.len() as u64;
    state.truncated += scores.iter().filter(|scored| scored.truncated).count() as u64;
    state.empty += texts.iter().filter(|text| text.trim().is_empty()).count() as u64;
    Ok(())
}
