//! `compare`: which of two documents is better, and by how much.

use std::path::Path;

use anyhow::Result;
use pair2score_data::files::read_text;
use pair2score_scorer::{Scored, Scorer};
use pair2score_train::TrainBackend;
use serde_json::json;

use crate::Answer;
use crate::args::CompareArgs;
use crate::device::{Device, OnDevice};

/// Prints utilities, logit, preference and scores.
pub(crate) fn run(args: CompareArgs) -> Result<Answer> {
    Device::choose(args.device.device, None)?.run(Compare(args))
}

struct Compare(CompareArgs);

impl OnDevice for Compare {
    type Output = Answer;

    fn run<B: TrainBackend>(self, device: &B::Device, _: &str) -> Result<Answer> {
        let Self(args) = self;
        let scorer = Scorer::<B::InnerBackend>::load(&args.scorer, device)?;
        let read = |path: &Path| -> Result<_> { Ok(scorer.text_encoder.encode(&read_text(path)?)?) };
        let pair = [read(&args.file_a)?, read(&args.file_b)?];
        let names = [&args.file_a, &args.file_b].map(|path| path.display().to_string());
        let comparison =
            scorer.compare(&pair).map_err(|error| error.of_document(|side| names[side].clone()))?;
        if args.json {
            let scores = comparison.scores.map(|scores| {
                scores.map(|s| {
                    json!({
                        "score": s.score, "grade": s.grade, "truncated": s.truncated,
                        "calibrated": s.calibrated.map(|c| c.score),
                        "calibrated_grade": s.calibrated.and_then(|c| c.grade),
                    })
                })
            });
            let value = json!({
                "utilities": comparison.utilities,
                "logit": comparison.logit(),
                "preference": comparison.preference(),
                "scores": scores,
            });
            outln!("{value}");
            return Ok(Answer::Yes);
        }
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        for (side, name) in names.iter().enumerate() {
            let utility = comparison.utilities.map(|u| format!("  utility {:+.4}", u[side]));
            let score = comparison.scores.map(|s| {
                let calibrated = s[side].calibrated;
                let graded =
                    |grade: Option<f64>| grade.map_or(String::new(), |grade| format!(" (grade {grade})"));
                let calibrated =
                    calibrated.map(|c| format!("  calibrated {:.4}{}", c.score, graded(c.grade)));
                let Scored { score, grade, .. } = s[side];
                format!("  score {score:.4}{}{}", graded(grade), calibrated.unwrap_or_default())
            });
            let cut = if pair[side].truncated() { "  cut" } else { "" };
            let (utility, score) = (utility.unwrap_or_default(), score.unwrap_or_default());
            outln!("{} {name:<width$}{utility}{score}{cut}", ["A", "B"][side]);
        }
        match (comparison.logit(), comparison.preference(), comparison.scores) {
            (Some(logit), Some(preference), _) => {
                outln!("logit {logit:+.4}, preference for A {preference:.4}");
            }
            (_, _, Some([a, b])) => outln!(
                "score difference {:+.4}; the scorer has no stage 1, so there are no utilities",
                a.score - b.score
            ),
            _ => {}
        }
        Ok(Answer::Yes)
    }
}
