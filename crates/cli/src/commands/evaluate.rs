//! `evaluate`: agreement of a scorer with human scores.

use anyhow::{Result, bail};
use pair2score_data::{Document, Layout, read_scored};
use pair2score_scorer::{Scorer, ScorerError};
use pair2score_train::calibrate;
use pair2score_train::metrics::{pair_accuracy_from_scores, regression};
use pair2score_train::{Progress, TrainBackend};
use serde_json::json;

use super::cell;
use crate::Answer;
use crate::args::EvaluateArgs;
use crate::device::{Device, OnDevice};
use crate::progress::Terminal;

/// Prints QWK (both ways), MAE, RMSE, correlations and pair accuracy.
pub(crate) fn run(args: EvaluateArgs) -> Result<Answer> {
    Device::choose(args.device.device, None)?.run(Evaluate(args))
}

struct Evaluate(EvaluateArgs);

impl OnDevice for Evaluate {
    type Output = Answer;

    fn run<B: TrainBackend>(self, device: &B::Device, _: &str) -> Result<Answer> {
        let Self(args) = self;
        let scorer = Scorer::<B::InnerBackend>::load(&args.scorer, device)?;
        let target = args.target.unwrap_or_else(|| scorer.settings.target.clone());
        let scale = scorer.settings.scale;
        let set = read_scored(&args.input, &Layout::from(args.layout), &target, &scale)?;
        let documents: Vec<&Document> = match &args.fold {
            None => set.iter().collect(),
            Some(fold) => set.iter().filter(|document| document.fold.as_ref() == Some(fold)).collect(),
        };
        if let (true, Some(fold)) = (documents.is_empty(), &args.fold) {
            bail!("{}: no document is in fold {fold:?}", args.input.display());
        }
        let texts: Vec<&str> = documents.iter().map(|document| document.text.as_str()).collect();
        let labels: Vec<f64> = documents.iter().filter_map(|document| document.label).collect();
        let encoded = scorer.encode(&texts)?;
        let cut = encoded.iter().filter(|document| document.truncated()).count();
        let mut progress = Terminal::quiet();
        progress.begin("evaluate", documents.len());
        let named = |error: ScorerError| error.of_document(|place| documents[place].id.clone());
        let scores = scorer.score(&encoded, |done| progress.advance(done)).map_err(named)?;
        let utilities = scorer.utilities(&encoded, |done| progress.advance(done)).map_err(named)?;
        progress.end();

        let utility_accuracy = match &utilities {
            Some(utilities) => pair_accuracy_from_scores(&labels, utilities)?,
            None => None,
        };
        let scores: Option<Vec<f64>> = scores.map(|scores| scores.iter().map(|s| s.score).collect());
        let (metrics, score_accuracy) = match &scores {
            Some(scores) => {
                (Some(regression(&labels, scores, &scale)?), pair_accuracy_from_scores(&labels, scores)?)
            }
            None => (None, None),
        };
        let calibrated = match (&scores, &scorer.settings.calibration) {
            (Some(scores), Some(calibration)) => {
                Some(calibrate::measure(calibration, &labels, scores, &scale)?)
            }
            _ => None,
        };
        if args.json {
            let value = json!({
                "trait": target,
                "documents": documents.len(),
                "truncated": cut,
                "qwk": metrics.and_then(|m| m.qwk_nearest),
                "qwk_floor": metrics.and_then(|m| m.qwk_floor),
                "mae": metrics.map(|m| m.mae),
                "rmse": metrics.map(|m| m.rmse),
                "pearson": metrics.and_then(|m| m.pearson),
                "spearman": metrics.and_then(|m| m.spearman),
                "pair_accuracy": score_accuracy,
                "utility_pair_accuracy": utility_accuracy,
                "calibrated": calibrated.map(|calibrated| json!({
                    "qwk": calibrated.scores.qwk_nearest,
                    "qwk_thresholds": calibrated.qwk_thresholds,
                    "mae": calibrated.scores.mae,
                    "rmse": calibrated.scores.rmse,
                })),
            });
            outln!("{value}");
            return Ok(Answer::Yes);
        }
        outln!("{target}: {} documents, {cut} cut at {} tokens", documents.len(), scorer.settings.max_length);
        if let Some(metrics) = metrics {
            outln!("QWK (nearest grade)  {}", cell(metrics.qwk_nearest));
            outln!("QWK (floor)          {}", cell(metrics.qwk_floor));
            outln!("MAE                  {:.4}", metrics.mae);
            outln!("RMSE                 {:.4}", metrics.rmse);
            outln!("Pearson              {}", cell(metrics.pearson));
            outln!("Spearman             {}", cell(metrics.spearman));
            outln!("pair accuracy        {}", cell(score_accuracy));
        }
        if utilities.is_some() {
            outln!("pair accuracy (u)    {}", cell(utility_accuracy));
        }
        if let (Some(calibrated), Some(calibration)) = (calibrated, &scorer.settings.calibration) {
            outln!(
                "\ncalibrated ({}, on {} validation documents)",
                calibration.method.name(),
                calibration.documents
            );
            outln!("QWK (nearest grade)  {}", cell(calibrated.scores.qwk_nearest));
            outln!("QWK (thresholds)     {}", cell(calibrated.qwk_thresholds));
            outln!("MAE                  {:.4}", calibrated.scores.mae);
            outln!("RMSE                 {:.4}", calibrated.scores.rmse);
        }
        Ok(Answer::Yes)
    }
}
