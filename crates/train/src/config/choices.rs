//! Settings with a fixed list of values, and their spellings in the file.

use pair2score_scorer::CalibrationMethod;

use crate::schedule::ScheduleKind;

/// Spellings and what they mean; the first spelling of a value is the one written.
pub(super) type Spellings<T> = [(&'static str, T)];

/// The first spelling of `value`, `"?"` if the table lacks it (a bug that the round-trip test finds).
pub(super) fn spell<T: PartialEq>(options: &Spellings<T>, value: T) -> &'static str {
    options.iter().find(|(_, option)| *option == value).map_or("?", |&(spelling, _)| spelling)
}

/// Where tensors live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// This machine's processor.
    Cpu,
    /// An NVIDIA card.
    Cuda,
    /// Any card with Vulkan, Metal or DirectX 12.
    Wgpu,
}

pub(super) const DEVICES: &Spellings<DeviceKind> =
    &[("cpu", DeviceKind::Cpu), ("cuda", DeviceKind::Cuda), ("wgpu", DeviceKind::Wgpu)];

/// Hidden states to one embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolingKind {
    /// Mean over real tokens.
    Mean,
    /// The last real token.
    Last,
}

pub(super) const POOLINGS: &Spellings<PoolingKind> =
    &[("mean", PoolingKind::Mean), ("last", PoolingKind::Last)];

/// In which frozen weights are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DtypeKind {
    /// 32 bits.
    F32,
    /// 16 bits with the range of `F32`.
    Bf16,
    /// 16 bits.
    F16,
    /// As the file has them.
    Auto,
}

pub(super) const DTYPES: &Spellings<DtypeKind> =
    &[("f32", DtypeKind::F32), ("bf16", DtypeKind::Bf16), ("f16", DtypeKind::F16), ("auto", DtypeKind::Auto)];

pub(super) const SCHEDULES: &Spellings<ScheduleKind> = &[
    ("constant", ScheduleKind::Constant),
    ("linear", ScheduleKind::Linear),
    ("cosine", ScheduleKind::Cosine),
];

/// The loss of stage 2.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Objective {
    /// Mean absolute error.
    L1,
    /// Mean squared error.
    Mse,
    /// Squared near the label, linear beyond `delta`.
    Huber {
        /// In score units, above 0.
        delta: f64,
    },
    /// One threshold per grade step.
    Ordinal,
    /// Cross-entropy over the grades.
    Classification,
}

pub(super) fn objectives(delta: f64) -> [(&'static str, Objective); 5] {
    [
        ("l1", Objective::L1),
        ("mse", Objective::Mse),
        ("huber", Objective::Huber { delta }),
        ("ordinal", Objective::Ordinal),
        ("classification", Objective::Classification),
    ]
}

impl Objective {
    /// Its spelling in the file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Huber { delta } => spell(&objectives(delta), self),
            _ => spell(&objectives(1.0), self),
        }
    }
}

/// How scores become grades when kappa is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binning {
    /// The nearest grade of the scale.
    Nearest,
    /// The highest grade not above the score, over the grades that occur: as published.
    Floor,
}

pub(super) const BINNINGS: &Spellings<Binning> = &[("nearest", Binning::Nearest), ("floor", Binning::Floor)];

impl Binning {
    /// Its spelling in the file.
    pub fn key(self) -> &'static str {
        spell(BINNINGS, self)
    }
}

/// How scores are calibrated on the validation documents; `None` leaves them as they are.
pub(super) const CALIBRATIONS: &Spellings<Option<CalibrationMethod>> = &[
    ("linear", Some(CalibrationMethod::Linear)),
    ("isotonic", Some(CalibrationMethod::Isotonic)),
    ("none", None),
];

/// The metric that chooses the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Monitor {
    /// Share of validation pairs ordered rightly.
    ValAccuracy,
    /// The stage's loss.
    ValLoss,
    /// Quadratic weighted kappa.
    ValQwk,
    /// Mean absolute error in score units.
    ValMae,
    /// Root mean squared error in score units.
    ValRmse,
}

pub(super) const RELATIVE_MONITORS: &Spellings<Monitor> =
    &[("val_acc", Monitor::ValAccuracy), ("val_loss", Monitor::ValLoss)];

pub(super) const ABSOLUTE_MONITORS: &Spellings<Monitor> = &[
    ("val_qwk", Monitor::ValQwk),
    ("val_mae", Monitor::ValMae),
    ("val_rmse", Monitor::ValRmse),
    ("val_loss", Monitor::ValLoss),
];

impl Monitor {
    /// Whether a larger value is a better one.
    pub fn higher_is_better(self) -> bool {
        matches!(self, Self::ValAccuracy | Self::ValQwk)
    }

    /// Its spelling in the file and in logs.
    pub fn key(self) -> &'static str {
        match self {
            Self::ValAccuracy => spell(RELATIVE_MONITORS, self),
            _ => spell(ABSOLUTE_MONITORS, self),
        }
    }
}

/// What `monitor_mode` says: `Some(true)` higher is better, `None` leaves it to the monitor.
pub(super) const MONITOR_MODES: &Spellings<Option<bool>> =
    &[("auto", None), ("max", Some(true)), ("min", Some(false))];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_monitor_has_its_published_key() {
        let keys =
            [Monitor::ValAccuracy, Monitor::ValLoss, Monitor::ValQwk, Monitor::ValMae, Monitor::ValRmse]
                .map(|monitor| (monitor.key(), monitor.higher_is_better()));
        let expected = [
            ("val_acc", true),
            ("val_loss", false),
            ("val_qwk", true),
            ("val_mae", false),
            ("val_rmse", false),
        ];
        assert_eq!(keys, expected);
    }

    #[test]
    fn huber_is_spelled_whatever_its_delta() {
        assert_eq!(Objective::Huber { delta: 0.3 }.key(), "huber");
    }
}
