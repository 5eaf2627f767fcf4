//! `evaluate`: agreement of a scorer with human scores.

use anyhow::{Result, bail};
use pair2score_data::{Document, Layout, read_scored};
use pair2score_model::Kernels;
use pair2score_scorer::{Calibration, EmbeddingCache, Scorer, ScorerError, ScorerSettings};
use pair2score_train::calibrate::{self, CalibratedMetrics};
use pair2score_train::metrics::{RegressionMetrics, pair_accuracy_from_scores, regression};
use pair2score_train::{Progress, TrainBackend};
use serde_json::{Value, json};

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
        if args.require_labels {
            set.require_labels()?;
        }
        let mut documents: Vec<&Document> = match &args.fold {
            None => set.iter().collect(),
            Some(fold) => set.iter().filter(|document| document.fold.as_ref() == Some(fold)).collect(),
        };
        if let (true, Some(fold)) = (documents.is_empty(), &args.fold) {
            bail!("{}: no document is in fold {fold:?}", args.input.display());
        }
        let all = documents.len();
        documents.retain(|document| document.label.is_some());
        if documents.is_empty() {
            bail!("{}: no document has a {target} label, give some", args.input.display());
        }
        let unlabelled = all - documents.len();
        let evaluation =
            Evaluation { unlabelled, ..Evaluation::of(&scorer, target, &documents, args.cache.open())? };
        match args.json {
            true => outln!("{}", evaluation.json()),
            false => evaluation.print(),
        }
        Ok(Answer::Yes)
    }
}

/// How a scorer agrees with people; what it cannot do, or what is undefined, is `None`.
struct Evaluation {
    target: String,
    documents: usize,
    /// Documents that were left out, since they have no label.
    unlabelled: usize,
    /// Documents that were longer than the scorer reads.
    cut: usize,
    /// Tokens that it reads.
    max_length: usize,
    scores: Option<RegressionMetrics>,
    /// Whether the scale has grades, of which kappas speak.
    has_grades: bool,
    score_accuracy: Option<f64>,
    ranks: bool,
    utility_accuracy: Option<f64>,
    calibrated: Option<(Calibration, CalibratedMetrics)>,
}

impl Evaluation {
    fn of<B: Kernels>(
        scorer: &Scorer<B>,
        target: String,
        documents: &[&Document],
        cache: Option<EmbeddingCache>,
    ) -> Result<Self> {
        let texts: Vec<&str> = documents.iter().map(|document| document.text.as_str()).collect();
        let labels: Vec<f64> = documents.iter().filter_map(|document| document.label).collect();
        let ScorerSettings { scale, max_length, ref calibration, .. } = scorer.settings;
        let encoded = scorer.encode(&texts)?;
        let mut progress = Terminal::quiet();
        progress.begin("evaluate", documents.len());
        let named = |error: ScorerError| error.of_document(|place| documents[place].id.clone());
        let advance = |done| progress.advance(done);
        let (scores, utilities) = match cache {
            Some(cache) => {
                let mut kept = scorer.open_cache(&cache)?;
                let scores = scorer.score_cached(&encoded, &mut kept, advance).map_err(named)?;
                let advance = |done| progress.advance(done);
                (scores, scorer.utilities_cached(&encoded, &mut kept, advance).map_err(named)?)
            }
            None => {
                let scores = scorer.score(&encoded, advance).map_err(named)?;
                (scores, scorer.utilities(&encoded, |done| progress.advance(done)).map_err(named)?)
            }
        };
        progress.end();

        let scores: Option<Vec<f64>> = scores.map(|scores| scores.iter().map(|s| s.score).collect());
        let accuracy = |values: &Option<Vec<f64>>| match values {
            Some(values) => pair_accuracy_from_scores(&labels, values),
            None => Ok(None),
        };
        let calibrated = match (&scores, calibration) {
            (Some(scores), Some(calibration)) => {
                let measured = calibrate::measure(calibration, &labels, scores, &scale)?;
                Some((calibration.clone(), measured))
            }
            _ => None,
        };
        Ok(Self {
            target,
            documents: documents.len(),
            unlabelled: 0,
            cut: encoded.iter().filter(|document| document.truncated()).count(),
            max_length,
            has_grades: scale.grades().is_some(),
            score_accuracy: accuracy(&scores)?,
            scores: scores.map(|scores| regression(&labels, &scores, &scale)).transpose()?,
            ranks: utilities.is_some(),
            utility_accuracy: accuracy(&utilities)?,
            calibrated,
        })
    }

    fn json(&self) -> Value {
        json!({
            "trait": self.target,
            "documents": self.documents,
            "unlabelled": self.unlabelled,
            "truncated": self.cut,
            "qwk": self.scores.and_then(|m| m.qwk_nearest),
            "qwk_floor": self.scores.and_then(|m| m.qwk_floor),
            "mae": self.scores.map(|m| m.mae),
            "rmse": self.scores.map(|m| m.rmse),
            "r2": self.scores.and_then(|m| m.r2),
            "pearson": self.scores.and_then(|m| m.pearson),
            "spearman": self.scores.and_then(|m| m.spearman),
            "pair_accuracy": self.score_accuracy,
            "utility_pair_accuracy": self.utility_accuracy,
            "calibrated": self.calibrated.as_ref().map(|(_, calibrated)| json!({
                "qwk": calibrated.scores.qwk_nearest,
                "qwk_thresholds": calibrated.qwk_thresholds,
                "mae": calibrated.scores.mae,
                "rmse": calibrated.scores.rmse,
                "r2": calibrated.scores.r2,
            })),
        })
    }

    fn print(&self) {
        outln!(
            "{}: {} documents, {} cut at {} tokens",
            self.target,
            self.documents,
            self.cut,
            self.max_length
        );
        if self.unlabelled > 0 {
            outln!("{} documents have no label and are left out", self.unlabelled);
        }
        if let Some(metrics) = self.scores {
            if self.has_grades {
                outln!("QWK (nearest grade)  {}", cell(metrics.qwk_nearest));
                outln!("QWK (floor)          {}", cell(metrics.qwk_floor));
            }
            outln!("MAE                  {:.4}", metrics.mae);
            outln!("RMSE                 {:.4}", metrics.rmse);
            outln!("R²                   {}", cell(metrics.r2));
            outln!("Pearson              {}", cell(metrics.pearson));
            outln!("Spearman             {}", cell(metrics.spearman));
            outln!("pair accuracy        {}", cell(self.score_accuracy));
        }
        if self.ranks {
            outln!("pair accuracy (u)    {}", cell(self.utility_accuracy));
        }
        if let Some((calibration, calibrated)) = &self.calibrated {
            let Calibration { method, documents, .. } = calibration;
            outln!("\ncalibrated ({}, on {documents} unseen documents)", method.name());
            if self.has_grades {
                outln!("QWK (nearest grade)  {}", cell(calibrated.scores.qwk_nearest));
                outln!("QWK (thresholds)     {}", cell(calibrated.qwk_thresholds));
            }
            outln!("MAE                  {:.4}", calibrated.scores.mae);
            outln!("RMSE                 {:.4}", calibrated.scores.rmse);
            outln!("R²                   {}", cell(calibrated.scores.r2));
        }
    }
}
