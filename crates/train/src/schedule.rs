//! The learning rate of each step.

use serde::{Deserialize, Serialize};

/// Shape of the learning rate after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// Stays at the peak.
    Constant,
    /// Straight line to 0 at the last step.
    Linear,
    /// Half a cosine period to 0 at the last step.
    Cosine,
}

/// The learning rate as a pure function of the step.
///
/// The values are those of `get_constant_schedule_with_warmup`, `get_linear_schedule_with_warmup` and
/// `get_cosine_schedule_with_warmup` in Hugging Face transformers: with a warm-up the very first step has rate 0
/// and step `warmup_steps` is the first at the peak. Ours differs past `total_steps` only: the cosine stays at 0
/// where theirs would rise again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Shape after the warm-up.
    pub kind: ScheduleKind,
    /// Peak learning rate.
    pub base_lr: f64,
    /// Steps from 0 to the peak; 0 begins at the peak.
    pub warmup_steps: usize,
    /// Steps of the whole run, warm-up included.
    pub total_steps: usize,
}

impl Schedule {
    /// The learning rate of `step`, counted from 0; in 0 to `base_lr`.
    pub fn lr(&self, step: usize) -> f64 {
        if step < self.warmup_steps {
            return self.base_lr * step as f64 / self.warmup_steps as f64;
        }
        let decay_steps = self.total_steps.saturating_sub(self.warmup_steps).max(1);
        let progress = ((step - self.warmup_steps) as f64 / decay_steps as f64).min(1.0);
        let factor = match self.kind {
            ScheduleKind::Constant => 1.0,
            ScheduleKind::Linear => 1.0 - progress,
            ScheduleKind::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
        };
        self.base_lr * factor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(kind: ScheduleKind, warmup_steps: usize, steps: impl IntoIterator<Item = usize>) -> Vec<f64> {
        let schedule = Schedule { kind, base_lr: 8.0, warmup_steps, total_steps: 12 };
        steps.into_iter().map(|step| schedule.lr(step)).collect()
    }

    #[test]
    fn warm_up_is_a_straight_line_from_zero() {
        for kind in [ScheduleKind::Constant, ScheduleKind::Linear, ScheduleKind::Cosine] {
            assert_eq!(rates(kind, 4, 0..5), [0.0, 2.0, 4.0, 6.0, 8.0]);
        }
    }

    #[test]
    fn without_warm_up_the_first_step_is_the_peak() {
        for kind in [ScheduleKind::Constant, ScheduleKind::Linear, ScheduleKind::Cosine] {
            assert_eq!(rates(kind, 0, [0]), [8.0]);
        }
    }

    #[test]
    fn constant_stays() {
        assert_eq!(rates(ScheduleKind::Constant, 0, [1, 11, 99]), [8.0; 3]);
    }

    #[test]
    fn linear_reaches_zero_and_stays() {
        assert_eq!(rates(ScheduleKind::Linear, 4, [6, 8, 10, 12, 99]), [6.0, 4.0, 2.0, 0.0, 0.0]);
    }

    #[test]
    fn cosine_is_half_a_period() {
        let expected = [8.0 * (0.5 + 0.125_f64.sqrt()), 4.0, 8.0 * (0.5 - 0.125_f64.sqrt()), 0.0, 0.0];
        for (rate, expected) in rates(ScheduleKind::Cosine, 4, [6, 8, 10, 12, 99]).into_iter().zip(expected) {
            assert!((rate - expected).abs() < 1e-14, "{rate} {expected}"); // Rounding of the cosine.
        }
    }

    #[test]
    fn a_warm_up_longer_than_the_run_does_not_divide_by_zero() {
        assert_eq!(rates(ScheduleKind::Linear, 20, [10, 19, 20, 21]), [4.0, 7.6, 8.0, 0.0]);
    }
}
