//! Settings with a fixed list of values.

use pair2score_scorer::CalibrationMethod;

/// Declares an enum of which each variant has a spelling in the file.
macro_rules! choices {
    (
        $(#[doc = $about:literal])+
        pub enum $name:ident {
            $($(#[doc = $meaning:literal])+ $variant:ident = $key:literal,)+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $(
                $(#[doc = $meaning])+
                #[serde(rename = $key)]
                $variant,
            )+
        }

        impl $name {
            /// Its spelling in the file.
            pub fn key(self) -> &'static str {
                match self {
                    $(Self::$variant => $key,)+
                }
            }
        }
    };
}

choices! {
    /// Where tensors live.
    pub enum DeviceKind {
        /// This machine's processor.
        Cpu = "cpu",
        /// An NVIDIA card.
        Cuda = "cuda",
        /// Any card with Vulkan, Metal or DirectX 12.
        Wgpu = "wgpu",
    }
}

choices! {
    /// How a published configuration may ask for packed weights.
    pub enum Quantization {
        /// Weights as they are in the file, the only ones that can be trained on.
        None = "none",
    }
}

choices! {
    /// What stage 2 takes over from stage 1, in a word.
    pub enum Mode {
        /// What the flags say.
        Base = "base",
        /// The frozen embedding of stage 1 appended.
        EmbeddingFusion = "embedding_fusion",
        /// A head on frozen embeddings of the backbone.
        HeadOnly = "head_only",
        /// A fresh adapter.
        Scratch = "scratch",
        /// As `Scratch`.
        Baseline = "baseline",
        /// The adapter of stage 1, trained on.
        WarmStart = "warm_start",
        /// A fresh adapter on the frozen one of stage 1.
        Stacked = "stacked",
        /// As `EmbeddingFusion`.
        Fusion = "fusion",
    }
}

choices! {
    /// What stage 1 learns from its pairs.
    pub enum RelativeMode {
        /// An adapter and a head of utilities, trained by gradients.
        Adapter = "adapter",
        /// A head of utilities, solved for on embeddings of the frozen backbone.
        HeadOnly = "head_only",
    }
}

choices! {
    /// Where the head of utilities begins that is trained with an adapter.
    pub enum UtilityInit {
        /// Random weights, on embeddings as they are.
        Random = "random",
        /// The head that `head_only` finds, on standardised embeddings.
        HeadOnly = "head_only",
    }
}

choices! {
    /// The map from an embedding to a score, and how it is found.
    pub enum Head {
        /// One hidden layer, trained by gradients, with the adapter where one trains.
        Mlp = "mlp",
        /// A linear map, solved for on frozen embeddings.
        Ridge = "ridge",
        /// A linear map, solved for on frozen embeddings from labels and the pairs of stage 1 together.
        Joint = "joint",
    }
}

choices! {
    /// Where a head that is trained begins.
    pub enum HeadInit {
        /// Random weights and biases, on embeddings as they are.
        Random = "random",
        /// Random weights on standardised embeddings, with the mean and the deviation of the training labels.
        Data = "data",
        /// The ridge on the embeddings of the training documents before the first step.
        Ridge = "ridge",
    }
}

impl Head {
    /// Whether it is solved for, so that nothing below it may train.
    pub fn is_solved(self) -> bool {
        self != Self::Mlp
    }
}

choices! {
    /// The loss of stage 2.
    pub enum Objective {
        /// Mean absolute error.
        L1 = "l1",
        /// Mean squared error.
        Mse = "mse",
        /// Squared near the label, linear beyond `huber_delta`.
        Huber = "huber",
        /// One threshold per grade step.
        Ordinal = "ordinal",
        /// Cross-entropy over the grades.
        Classification = "classification",
    }
}

impl Objective {
    /// Whether the head has an output for each grade, or each but one, instead of the score.
    pub fn is_of_grades(self) -> bool {
        matches!(self, Self::Ordinal | Self::Classification)
    }
}

choices! {
    /// How scores become grades when kappa is computed.
    pub enum Binning {
        /// The nearest grade of the scale.
        Nearest = "nearest",
        /// The highest grade not above the score, over the grades that occur: as published.
        Floor = "floor",
    }
}

choices! {
    /// How scores are calibrated on the validation documents.
    pub enum Calibration {
        /// See [`CalibrationMethod::Linear`].
        Linear = "linear",
        /// See [`CalibrationMethod::Isotonic`].
        Isotonic = "isotonic",
        /// Scores stay as they are.
        None = "none",
    }
}

impl Calibration {
    /// The method, where scores are calibrated.
    pub fn method(self) -> Option<CalibrationMethod> {
        match self {
            Self::Linear => Some(CalibrationMethod::Linear),
            Self::Isotonic => Some(CalibrationMethod::Isotonic),
            Self::None => None,
        }
    }
}

choices! {
    /// The metric that chooses the epoch.
    pub enum Monitor {
        /// Share of validation pairs ordered rightly.
        ValAccuracy = "val_acc",
        /// Quadratic weighted kappa.
        ValQwk = "val_qwk",
        /// Share of the labels' variance that is explained.
        ValR2 = "val_r2",
        /// Correlation.
        ValPearson = "val_pearson",
        /// Mean absolute error in score units.
        ValMae = "val_mae",
        /// Root mean squared error in score units.
        ValRmse = "val_rmse",
        /// The stage's loss.
        ValLoss = "val_loss",
    }
}

impl Monitor {
    /// What stage 1 measures.
    pub const RELATIVE: &[Self] = &[Self::ValAccuracy, Self::ValLoss];
    /// What stage 2 measures.
    pub const ABSOLUTE: &[Self] =
        &[Self::ValQwk, Self::ValR2, Self::ValPearson, Self::ValMae, Self::ValRmse, Self::ValLoss];

    /// Whether a larger value is a better one.
    pub fn higher_is_better(self) -> bool {
        matches!(self, Self::ValAccuracy | Self::ValQwk | Self::ValR2 | Self::ValPearson)
    }
}

choices! {
    /// Which values of the monitor are better.
    pub enum MonitorMode {
        /// Those that are better by the nature of the metric.
        Auto = "auto",
        /// Larger ones.
        Max = "max",
        /// Smaller ones.
        Min = "min",
    }
}
