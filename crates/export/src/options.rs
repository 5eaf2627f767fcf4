//! What to write: the format, and how exactly its weights hold the numbers.

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::str::FromStr;

use burn::tensor::{DType, backend::Backend};
use pair2score_model::Projection;
use pair2score_scorer::{Scorer, WeightDType};

/// What kind of files to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A whole scorer on a merged backbone in Hugging Face layout.
    HuggingFace,
    /// `SentenceTransformer(folder).encode(texts)` gives the scores.
    SentenceTransformers,
    /// One graph from token ids to score and embedding.
    Onnx,
    /// A static site with the scoring page and the scorer's bundle.
    Web,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::HuggingFace, Self::SentenceTransformers, Self::Onnx, Self::Web];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::HuggingFace => "hf",
            Self::SentenceTransformers => "sentence-transformers",
            Self::Onnx => "onnx",
            Self::Web => "web",
        }
    }
}

impl Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == text)
            .ok_or_else(|| format!("expected {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// How weights are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// 32 bits.
    F32,
    /// 16 bits, 5 of exponent.
    F16,
    /// 16 bits, 8 of exponent.
    Bf16,
}

impl Precision {
    /// All of them, the finest first.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::Bf16];

    /// That of the other weights where nothing else is asked for. Beside packed projections f16: the embedding table,
    /// which would be more than half of the bundle in f32, loses less by it than the projections by packing.
    pub fn beside(quantize: Option<Quantization>) -> Self {
        if quantize.is_some() { Self::F16 } else { Self::F32 }
    }

    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// Largest difference of a score that is rounding and no mistake, as a share of the width of the score scale: on
    /// grades of 1 to 5, 0.001 in f32, 0.02 in f16 and 0.1 in bf16.
    pub fn tolerance(self) -> f64 {
        match self {
            Self::F32 => 0.000_25,
            Self::F16 => 0.005,
            Self::Bf16 => 0.025,
        }
    }

    /// The precision in which a scorer holds its backbone.
    pub(crate) fn of<B: Backend>(scorer: &Scorer<B>) -> Self {
        match scorer.encoder.backbone.embed_tokens.val().dtype() {
            DType::F16 => Self::F16,
            DType::BF16 => Self::Bf16,
            _ => Self::F32,
        }
    }
}

impl From<Precision> for WeightDType {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::F16 => Self::F16,
            Precision::Bf16 => Self::Bf16,
        }
    }
}

impl Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|precision| precision.name() == text)
            .ok_or_else(|| format!("expected {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// How projections are written in fewer bits than a float has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantization {
    /// 8 bits in blocks of 32 with a scale each ([`pair2score_model::packed`]).
    Q8,
}

impl Quantization {
    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Q8 => "q8",
        }
    }

    /// As [`Precision::tolerance`]: on grades of 1 to 5, 0.06.
    pub fn tolerance(self) -> f64 {
        match self {
            Self::Q8 => 0.015,
        }
    }

    /// How a scorer holds its projections, where any is packed.
    pub(crate) fn of<B: Backend>(scorer: &Scorer<B>) -> Option<Self> {
        let layers = &scorer.encoder.backbone.decoder.layers;
        let mut weights = layers.iter().flat_map(|layer| Projection::ALL.map(|p| layer.weight(p)));
        weights.any(|weight| matches!(weight.val().dtype(), DType::QFloat(_))).then_some(Self::Q8)
    }
}

impl FromStr for Quantization {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == Self::Q8.name() { Ok(Self::Q8) } else { Err(format!("expected {}", Self::Q8.name())) }
    }
}

/// In what weights are written, or held where that is coarser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounding {
    /// Of all weights.
    pub precision: Precision,
    /// Of projections.
    pub quantize: Option<Quantization>,
}

impl Rounding {
    /// As [`Precision::tolerance`], of essays. At worst the two roundings add up.
    pub fn tolerance(self) -> f64 {
        self.precision.tolerance() + self.quantize.map_or(0.0, Quantization::tolerance)
    }

    /// Whether no weight is rounded.
    pub fn is_none(self) -> bool {
        self.precision == Precision::F32 && self.quantize.is_none()
    }

    /// As [`tolerance`](Self::tolerance), of texts of a few tokens. What 8 bits round differs from token to token, and only
    /// the mean over many tokens is near 0.
    pub fn tolerance_of_few_tokens(self) -> f64 {
        self.precision.tolerance() + self.quantize.map_or(0.0, |kind| 4.0 * kind.tolerance())
    }
}

impl Display for Rounding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.quantize {
            None => write!(f, "{}", self.precision),
            Some(kind) => write!(f, "{} and {}", self.precision, kind.name()),
        }
    }
}

/// What to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Kind of files.
    pub format: Format,
    /// Of the backbone's weights; heads and adapters stay in f32.
    pub precision: Precision,
    /// Of its projections, in a [`Format::Web`].
    pub quantize: Option<Quantization>,
    /// Whether the model itself gives calibrated scores, for the formats that can give only one.
    pub calibrated: bool,
    /// Folder of the built page, which a site begins with; other formats do not read it.
    pub page: PathBuf,
}

impl Options {
    /// What the written weights lose, apart from what the scorer's have lost already.
    pub fn rounding(&self) -> Rounding {
        Rounding { precision: self.precision, quantize: self.quantize }
    }
}
