//! `score`: scores of documents as CSV.

use anyhow::{Result, bail};
use pair2score_data::files::write_atomic;
use pair2score_data::{Columns, read_texts};
use pair2score_scorer::Scorer;
use pair2score_train::{Progress, TrainBackend};

use crate::Answer;
use crate::args::ScoreArgs;
use crate::device::{Device, OnDevice};
use crate::progress::Terminal;

/// Writes `id,score,grade,truncated`.
pub(crate) fn run(args: ScoreArgs) -> Result<Answer> {
    Device::choose(args.device.device, None)?.run(Score(args))
}

struct Score(ScoreArgs);

impl OnDevice for Score {
    type Output = Answer;

    fn run<B: TrainBackend>(self, device: &B::Device, _: &str) -> Result<Answer> {
        let Self(args) = self;
        let documents = read_texts(&args.input, &Columns::from(args.columns))?;
        let scorer = Scorer::<B::InnerBackend>::load(&args.scorer, device)?;
        let holds_calibration = scorer.settings.calibration.is_some();
        if args.calibrated && !holds_calibration {
            bail!(
                "{}: holds no calibration; leave out --calibrated, or train with stage2_absolute.calibration",
                args.scorer.display()
            );
        }
        let texts: Vec<&str> = documents.iter().map(|document| document.text.as_str()).collect();
        let encoded = scorer.encode(&texts)?;
        let mut progress = Terminal::quiet();
        progress.begin("score", documents.len());
        let Some(scores) = scorer.score(&encoded, |done| progress.advance(done)) else {
            bail!(
                "{}: holds stage 1 only, which ranks and does not score; run `pair2score absolute CONFIG` first",
                args.scorer.display()
            );
        };
        progress.end();
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["id", "score", "grade", "truncated"])?;
        for (id, scored) in documents.ids().zip(&scores) {
            let (score, grade) = match scored.calibrated.filter(|_| args.calibrated) {
                Some(calibrated) => (calibrated.score, calibrated.grade),
                None => (scored.score, scored.grade),
            };
            writer.write_record([
                id,
                &score.to_string(),
                &grade.to_string(),
                &scored.truncated.to_string(),
            ])?;
        }
        write_atomic(&args.output, &writer.into_inner()?)?;
        let cut = scores.iter().filter(|scored| scored.truncated).count();
        println!(
            "wrote {}: {} documents scored, {cut} cut at {} tokens, {} without text",
            args.output.display(),
            scores.len(),
            scorer.settings.max_length,
            documents.empty.len()
        );
        if holds_calibration && !args.calibrated {
            println!("these are raw scores; --calibrated writes those that the validation documents correct");
        }
        Ok(Answer::Yes)
    }
}
