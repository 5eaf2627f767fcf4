//! The `key: value` file that sums up a stage.

use std::fmt::{Display, Write as _};
use std::path::Path;

use pair2score_data::ScoreScale;
use pair2score_data::files::write_atomic;
use pair2score_scorer::{Calibration, Intervals};

use super::reports::{Epochs, FitSummary, TraitReport};
use crate::TrainError;
use crate::absolute::Chosen;
use crate::calibrate::CalibratedMetrics;
use crate::config::TrainingSettings;
use crate::intervals::IntervalMetrics;
use crate::metrics::RaterAgreement;

/// The key of the trait that a file is about, where its run has several.
pub(super) const OF_TRAIT: &str = "of_trait";

/// The lines of the file.
#[derive(Debug, Default)]
pub(super) struct Info(String);

impl Info {
    /// Adds a line.
    pub(super) fn put(&mut self, key: &str, value: impl Display) {
        // A value is one line, whatever a user wrote into it.
        let value = value.to_string().replace(['\r', '\n'], " ");
        writeln!(self.0, "{key}: {value}").expect("writing to a string does not fail");
    }

    /// Adds a number, or that it is undefined.
    pub(super) fn metric(&mut self, key: &str, value: Option<f64>) {
        match value {
            Some(value) => self.put(key, format_args!("{value:.6}")),
            None => self.put(key, "undefined"),
        }
    }

    /// Adds how a training went; what was solved for has no epochs.
    pub(super) fn fit(&mut self, fit: &FitSummary, training: &TrainingSettings) {
        if let Some(Epochs { best_epoch, epochs }) = fit.epochs {
            self.put("monitor", training.monitor.key());
            self.put("best_epoch", best_epoch);
            self.put("epochs", epochs);
        }
        let best = if fit.epochs.is_some() { "best_" } else { "" };
        for (name, value) in &fit.best {
            self.metric(&format!("{best}{name}"), *value);
        }
        self.put("tokens_per_second", format_args!("{:.0}", fit.tokens_per_second));
        self.put("seconds", format_args!("{:.1}", fit.seconds));
    }

    /// Adds what the data chose beside the weights of a head that was solved for; variances as deviations, in units of
    /// the label. Keys end in `of`, which names the trait where there are several.
    pub(super) fn chosen(&mut self, of: &str, chosen: &Chosen) {
        match chosen {
            Chosen::Penalty(penalty) => self.put(&format!("penalty{of}"), penalty),
            Chosen::Evidence { judgements, variances } => {
                self.put(&format!("judgements{of}"), judgements);
                self.metric(&format!("label_error{of}"), Some(variances.label.sqrt()));
                self.metric(&format!("untold_by_text{of}"), Some(variances.untold.sqrt()));
                self.metric(&format!("judgement_slope{of}"), Some(variances.slope));
            }
        }
    }

    /// Adds what was measured of a trait on the test documents; keys as in [`chosen`](Self::chosen).
    pub(super) fn test(&mut self, of: &str, scale: &ScoreScale, report: &TraitReport) {
        let TraitReport { test, pair_accuracy, .. } = report;
        if scale.grades().is_some() {
            self.metric(&format!("test_qwk{of}"), test.qwk_nearest);
            self.metric(&format!("test_qwk_floor{of}"), test.qwk_floor);
        }
        let metrics = [
            ("mae", Some(test.mae)),
            ("rmse", Some(test.rmse)),
            ("r2", test.r2),
            ("pearson", test.pearson),
            ("spearman", test.spearman),
            ("pair_accuracy", *pair_accuracy),
        ];
        metrics.into_iter().for_each(|(name, value)| self.metric(&format!("test_{name}{of}"), value));
    }

    /// Adds what calibration changes about the test metrics of a trait, nothing where there is none; keys as in
    /// [`chosen`](Self::chosen).
    pub(super) fn calibration(
        &mut self,
        of: &str,
        scale: &ScoreScale,
        fitted: Option<(&Calibration, &CalibratedMetrics)>,
    ) {
        let Some((calibration, measured)) = fitted else { return };
        self.put(&format!("calibration{of}"), calibration.method.name());
        self.put(&format!("calibration_documents{of}"), calibration.documents);
        let agreement = match scale.grades() {
            Some(_) => {
                vec![
                    ("qwk_calibrated", measured.scores.qwk_nearest),
                    ("qwk_thresholds", measured.qwk_thresholds),
                ]
            }
            None => vec![("r2_calibrated", measured.scores.r2)],
        };
        let errors =
            [("mae_calibrated", Some(measured.scores.mae)), ("rmse_calibrated", Some(measured.scores.rmse))];
        let metrics = agreement.into_iter().chain(errors);
        metrics.for_each(|(name, value)| self.metric(&format!("test_{name}{of}"), value));
    }

    /// Adds how two people agree about the test documents of a trait, nothing where nobody rated twice; keys as in
    /// [`chosen`](Self::chosen).
    pub(super) fn raters(&mut self, of: &str, found: Option<&RaterAgreement>) {
        let Some(RaterAgreement { documents, qwk, reliability, ceiling_perfect, ceiling_rater }) = found
        else {
            return;
        };
        self.put(&format!("rated_twice{of}"), documents);
        self.metric(&format!("test_rater_qwk{of}"), *qwk);
        self.metric(&format!("test_rater_reliability{of}"), *reliability);
        self.metric(&format!("test_ceiling_perfect{of}"), *ceiling_perfect);
        self.metric(&format!("test_ceiling_rater{of}"), *ceiling_rater);
    }

    /// Adds what intervals hold of the test labels of a trait, nothing where there are none; keys as in
    /// [`chosen`](Self::chosen).
    pub(super) fn intervals(&mut self, of: &str, fitted: Option<(&Intervals, &IntervalMetrics)>) {
        let Some((Intervals { level, documents, .. }, measured)) = fitted else { return };
        self.put(&format!("interval_level{of}"), level);
        self.put(&format!("interval_documents{of}"), documents);
        self.metric(&format!("test_interval_coverage{of}"), Some(measured.coverage));
        self.metric(&format!("test_interval_width{of}"), Some(measured.width));
    }

    /// Writes the file.
    pub(super) fn write(&self, path: &Path) -> Result<(), TrainError> {
        Ok(write_atomic(path, self.0.as_bytes())?)
    }
}
