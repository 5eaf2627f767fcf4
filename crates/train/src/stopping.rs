//! Early stopping: which epoch is the best so far, and when none better is to be expected.

use serde::{Deserialize, Serialize};

/// What an epoch's metric means for the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Better than every epoch before: keep this one.
    Improved,
    /// Not better; go on.
    Stale,
    /// Not better for too long.
    Stop,
}

/// Remembers the best epoch and counts the epochs since.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EarlyStopping {
    /// Whether a larger value is a better one.
    pub(crate) higher_is_better: bool,
    /// Stop at this many epochs in a row without improvement; `None` never stops.
    pub(crate) patience: Option<usize>,
    /// An improvement must exceed this.
    pub(crate) min_delta: f64,
    /// Best value so far; finite.
    pub(crate) best: Option<f64>,
    /// The epoch of the best value.
    pub(crate) best_epoch: Option<usize>,
    /// Epochs since the best one.
    pub(crate) stale: usize,
}

impl EarlyStopping {
    /// No epoch has been seen.
    pub(crate) fn new(higher_is_better: bool, patience: Option<usize>, min_delta: f64) -> Self {
        Self { higher_is_better, patience, min_delta, best: None, best_epoch: None, stale: 0 }
    }

    /// Takes the metric before the first epoch for that of epoch 0, which is kept until an epoch improves on it. One that
    /// is undefined costs no patience: nothing was trained.
    pub(crate) fn begin(&mut self, value: Option<f64>) {
        self.observe(0, value);
        (self.best_epoch, self.stale) = (Some(0), 0);
    }

    /// Judges the metric of an epoch. An undefined or non-finite value never improves; the first defined one always does.
    pub(crate) fn observe(&mut self, epoch: usize, value: Option<f64>) -> Verdict {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            let gain = self.best.map(|best| if self.higher_is_better { value - best } else { best - value });
            if gain.is_none_or(|gain| gain > self.min_delta) {
                self.best = Some(value);
                self.best_epoch = Some(epoch);
                self.stale = 0;
                return Verdict::Improved;
            }
        }
        self.stale += 1;
        if self.patience.is_some_and(|patience| self.stale >= patience) {
            Verdict::Stop
        } else {
            Verdict::Stale
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Improved, Stale, Stop};
    use super::*;

    #[test]
    fn stops_after_patience_epochs_in_a_row() {
        let mut stopping = EarlyStopping::new(true, Some(2), 0.0);
        let verdicts: Vec<_> = [0.5, 0.4, 0.6, 0.6, 0.1]
            .into_iter()
            .zip(0..)
            .map(|(v, e)| stopping.observe(e, Some(v)))
            .collect();
        assert_eq!(verdicts, [Improved, Stale, Improved, Stale, Stop]);
        assert_eq!((stopping.best, stopping.best_epoch, stopping.stale), (Some(0.6), Some(2), 2));
    }

    #[test]
    fn improvement_must_exceed_min_delta() {
        let mut stopping = EarlyStopping::new(true, None, 0.25);
        let verdicts = [0.5, 0.75, 1.0].map(|value| stopping.observe(0, Some(value)));
        assert_eq!(verdicts, [Improved, Stale, Improved]);
    }

    #[test]
    fn lower_can_be_better() {
        let mut stopping = EarlyStopping::new(false, None, 0.0);
        assert_eq!(
            [0.5, 0.4, 0.6].map(|value| stopping.observe(0, Some(value))),
            [Improved, Improved, Stale]
        );
    }

    #[test]
    fn undefined_never_wins() {
        for undefined in [None, Some(f64::NAN), Some(f64::INFINITY)] {
            let mut stopping = EarlyStopping::new(true, None, 0.0);
            assert_eq!(stopping.observe(0, undefined), Stale);
            assert_eq!(stopping.observe(1, Some(-1.0)), Improved);
            assert_eq!((stopping.observe(2, undefined), stopping.best), (Stale, Some(-1.0)));
        }
    }

    #[test]
    fn a_start_costs_no_patience() {
        for start in [None, Some(f64::NAN), Some(0.5)] {
            let mut stopping = EarlyStopping::new(true, Some(2), 0.0);
            stopping.begin(start);
            assert_eq!([1, 2].map(|epoch| stopping.observe(epoch, None)), [Stale, Stop]);
            assert_eq!(stopping.best_epoch, Some(0));
        }
        // Any epoch that is defined improves on a start that is not.
        let mut stopping = EarlyStopping::new(true, Some(2), 0.0);
        stopping.begin(None);
        assert_eq!((stopping.observe(1, Some(-3.0)), stopping.best_epoch), (Improved, Some(1)));
    }

    #[test]
    fn survives_a_save() {
        let mut stopping = EarlyStopping::new(true, Some(3), 5e-4);
        stopping.observe(0, Some(0.1 + 0.2));
        let text = serde_json::to_string(&stopping).unwrap();
        assert_eq!(serde_json::from_str::<EarlyStopping>(&text).unwrap(), stopping);
    }
}
