//! The `key: value` file that sums up a stage.

use std::fmt::{Display, Write as _};
use std::path::Path;

use pair2score_data::ScoreScale;
use pair2score_data::files::write_atomic;
use pair2score_scorer::Calibration;

use super::reports::{Epochs, FitSummary};
use crate::TrainError;
use crate::absolute::Chosen;
use crate::calibrate::CalibratedMetrics;
use crate::config::TrainingSettings;

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
    /// the label.
    pub(super) fn chosen(&mut self, chosen: &Chosen) {
        match chosen {
            Chosen::Penalty(penalty) => self.put("penalty", penalty),
            Chosen::Evidence { judgements, variances } => {
                self.put("judgements", judgements);
                self.metric("label_error", Some(variances.label.sqrt()));
                self.metric("untold_by_text", Some(variances.untold.sqrt()));
                self.metric("judgement_slope", Some(variances.slope));
            }
        }
    }

    /// Adds what calibration changes about the test metrics; nothing where there is none.
    pub(super) fn calibration(
        &mut self,
        scale: &ScoreScale,
        fitted: Option<(&Calibration, &CalibratedMetrics)>,
    ) {
        let Some((calibration, measured)) = fitted else { return };
        self.put("calibration", calibration.method.name());
        self.put("calibration_documents", calibration.documents);
        match scale.grades() {
            Some(_) => {
                self.metric("test_qwk_calibrated", measured.scores.qwk_nearest);
                self.metric("test_qwk_thresholds", measured.qwk_thresholds);
            }
            None => self.metric("test_r2_calibrated", measured.scores.r2),
        }
        self.metric("test_mae_calibrated", Some(measured.scores.mae));
        self.metric("test_rmse_calibrated", Some(measured.scores.rmse));
    }

    /// Writes the file.
    pub(super) fn write(&self, path: &Path) -> Result<(), TrainError> {
        Ok(write_atomic(path, self.0.as_bytes())?)
    }
}
