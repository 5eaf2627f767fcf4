//! `compare`: which of two documents is better, and by how much.

use std::path::Path;

use anyhow::{Result, bail};
use pair2score_data::DataError;
use pair2score_data::files::read_text;
use pair2score_scorer::{Comparison, Scored, Scorer};
use pair2score_train::TrainBackend;
use serde_json::{Map, Value, json};

use crate::Answer;
use crate::args::CompareArgs;
use crate::device::{Device, OnDevice};
use crate::prompts;

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
        scorer.check_heads(&args.scorer)?;
        prompts::check(&args.scorer, &scorer.settings, args.prompt.is_some(), "--prompt")?;
        let prompt = args.prompt.as_deref().map(read_lines).transpose()?.unwrap_or_default();
        let texts = [read_lines(&args.file_a)?, read_lines(&args.file_b)?];
        let names = [&args.file_a, &args.file_b].map(|path| path.display().to_string());
        if let Some(side) = texts.iter().position(|text| text.trim().is_empty()) {
            bail!("{}: is blank; there is nothing to compare", names[side]);
        }
        let [a, b] = texts.each_ref().map(|text| {
            scorer.text_encoder.passage(&(&prompt, text), scorer.settings.prompt_template.as_ref())
        });
        let pair = [a?, b?];
        let comparisons =
            scorer.compare(&pair).map_err(|error| error.of_document(|side| names[side].clone()))?;
        let cut = [0, 1].map(|side: usize| pair[side].truncated());
        match (&comparisons[..], args.json) {
            ([comparison], true) => outln!("{}", Value::from(json(comparison, cut))),
            ([comparison], false) => print(comparison, &names, cut),
            (several, true) => {
                let named = scorer.settings.targets().zip(several).map(|(target, comparison)| {
                    let mut object = json(comparison, cut);
                    object.insert("trait".into(), target.into());
                    Value::from(object)
                });
                outln!("{}", named.collect::<Value>());
            }
            (several, false) => {
                for (target, comparison) in scorer.settings.targets().zip(several) {
                    outln!("{target}");
                    print(comparison, &names, cut);
                }
            }
        }
        Ok(Answer::Yes)
    }
}

/// The text of a file without the end of its last line: editors put one there, and tables of documents have none.
fn read_lines(path: &Path) -> Result<String, DataError> {
    let text = read_text(path)?;
    let lines = text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n'));
    Ok(lines.unwrap_or(&text).to_owned())
}

/// A comparison, and of each side whether it was cut, for programs.
fn json(comparison: &Comparison, cut: [bool; 2]) -> Map<String, Value> {
    let side = |side: usize, scores: &[Scored; 2]| {
        let Scored { score, grade, calibrated, .. } = scores[side];
        json!({
            "score": score, "grade": grade, "truncated": cut[side],
            "calibrated": calibrated.map(|c| c.score),
            "calibrated_grade": calibrated.and_then(|c| c.grade),
        })
    };
    let entries = [
        ("utilities", json!(comparison.utilities)),
        ("logit", json!(comparison.logit())),
        ("preference", json!(comparison.preference())),
        ("scores", json!(comparison.scores.map(|scores| [0, 1].map(|place| side(place, &scores))))),
    ];
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Says a comparison, and of each side whether it was cut.
fn print(comparison: &Comparison, names: &[String; 2], cut: [bool; 2]) {
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    for (side, name) in names.iter().enumerate() {
        let utility = comparison.utilities.map(|u| format!("  utility {:+.4}", u[side]));
        let score = comparison.scores.map(|s| {
            let Scored { score, grade, calibrated, .. } = s[side];
            let graded =
                |grade: Option<f64>| grade.map_or(String::new(), |grade| format!(" (grade {grade})"));
            let calibrated = calibrated.map(|c| format!("  calibrated {:.4}{}", c.score, graded(c.grade)));
            format!("  score {score:.4}{}{}", graded(grade), calibrated.unwrap_or_default())
        });
        let cut = if cut[side] { "  cut" } else { "" };
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
}
