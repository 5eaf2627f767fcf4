//! A trained scorer as files that other programs load.
//!
//! The key decision: no export is done before its numbers are checked. The scorer scores the golden texts, the format
//! writes into a folder aside, that folder is read back without the scorer in memory and scores the same texts, and
//! only when both agree does the folder take its place. The cost is the time of two scorings of a few dozen texts.
//!
//! A format is one module with two functions: `write` takes the loaded scorer, the options and a folder; `read_back`
//! takes the folder alone and gives the numbers that it yields. [`export`] has the one `match` for each.
//!
//! Weights go to files tensor by tensor, so that a model is never held twice.

#[cfg(test)]
extern crate self as pair2score_export;

mod backbone;
mod card;
mod error;
pub mod golden;
mod hf;
mod merged;
mod onnx;
mod sentence_transformers;
/// The scorers of the tests, for those that need more than the public interface.
#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod test_scorers;
mod web;

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use burn::tensor::{DType, backend::Backend};
use pair2score_data::staging::{Kind, Staging};
use pair2score_model::{Kernels, ScoreHead};
use pair2score_scorer::{Calibration, ScoreFiles, Scorer, WeightDType, find_scorer};
use serde_json::{Value, json};

pub use error::ExportError;
pub use golden::{Difference, Numbers};

use backbone::write_json;
use card::Card;

/// Marks a folder as an export, so that a later one may replace it.
const EXPORT: Kind = Kind { name: "export", marker: "pair2score_export.json" };

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
    fn of<B: Backend>(scorer: &Scorer<B>) -> Self {
        match scorer.encoder.backbone.table().val().dtype() {
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

    /// As [`Precision::tolerance`]: 8 bits round as bf16 does.
    pub fn tolerance(self) -> f64 {
        match self {
            Self::Q8 => Precision::Bf16.tolerance(),
        }
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
    /// As [`Precision::tolerance`].
    pub fn tolerance(self) -> f64 {
        self.precision.tolerance().max(self.quantize.map_or(0.0, Quantization::tolerance))
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

/// A loaded scorer and where its files are.
#[derive(Debug)]
pub struct Source<B: Backend> {
    /// On its device.
    pub scorer: Scorer<B>,
    /// With `scorer.json`, or the manifest of a bundle.
    pub folder: PathBuf,
}

impl<B: Kernels> Source<B> {
    /// Loads a run's checkpoint folder or an exported scorer.
    ///
    /// # Errors
    /// As [`Scorer::load`].
    pub fn load(folder: &Path, device: &B::Device) -> Result<Self, ExportError> {
        let folder = find_scorer(folder)?;
        let scorer = Scorer::<B>::load(&folder, device)?;
        Ok(Self { scorer, folder })
    }

    /// The head of stage 2 and what is said about it, for formats that hold nothing but scores.
    fn stage2(&self) -> Result<(&ScoreHead<B>, &ScoreFiles), ExportError> {
        match (self.scorer.stage2(), &self.scorer.settings.score) {
            (Some((_, head)), Some(files)) => Ok((head, files)),
            _ => Err(self.inexpressible(
                "holds stage 1 only, which ranks and does not score; use --format hf, or run stage 2 first",
            )),
        }
    }

    /// The calibration that the model itself is to apply: the scorer's where that is asked for.
    fn built_in(&self, options: &Options) -> Result<Option<&Calibration>, ExportError> {
        match (options.calibrated, options.format, &self.scorer.settings.calibration) {
            (false, ..) => Ok(None),
            (true, Format::HuggingFace | Format::Web, _) => Err(self.inexpressible(
                "keeps its calibration beside raw scores in the formats hf and web; leave out --calibrated",
            )),
            (true, _, None) => Err(self.inexpressible(
                "holds no calibration; leave out --calibrated, or train with stage2_absolute.calibration",
            )),
            (true, _, calibration) => Ok(calibration.as_ref()),
        }
    }

    fn inexpressible(&self, problem: &str) -> ExportError {
        ExportError::Inexpressible { scorer: self.folder.clone(), problem: problem.into() }
    }
}

/// What an export came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// Largest change of a weight by the cast to the written precision, after the adapters were folded in.
    pub weight_deviation: f64,
    /// Of the golden texts, where the format and the scorer have scores.
    pub scores: Option<Difference>,
    /// Of the golden texts, where the format and the scorer have calibrated scores.
    pub calibrated: Option<Difference>,
    /// Of the golden texts, where the format and the scorer have utilities.
    pub utilities: Option<Difference>,
}

/// Writes a scorer in a format, reads it back, compares the scores of the [`golden`] texts and puts the folder in its
/// place. `stage` hears what begins.
///
/// # Errors
/// When the format cannot express the scorer, a file cannot be read or written, the output is something else than an
/// earlier export, or the numbers differ by more than the precision explains. Nothing is left behind then.
pub fn export<B: Kernels>(
    scorer: &Path,
    output: &Path,
    options: Options,
    device: &B::Device,
    mut stage: impl FnMut(&str),
) -> Result<Report, ExportError> {
    let Options { format, precision, quantize, calibrated, .. } = options;
    let staging = Staging::create(output, EXPORT)?;
    let folder = staging.path();
    stage("loading the scorer");
    let source = Source::<B>::load(scorer, device)?;
    if quantize.is_some() && format != Format::Web {
        return Err(source.inexpressible(
            "can be packed in 8 bits for --format web alone; use --dtype f16 with other formats",
        ));
    }
    source.built_in(&options)?;
    match format {
        Format::HuggingFace | Format::Web => Ok(()),
        Format::SentenceTransformers => sentence_transformers::check(&source),
        Format::Onnx => onnx::check(&source, precision),
    }?;
    stage("scoring the golden texts");
    let expected = Numbers::of(&source.scorer)?;
    stage("writing");
    let weight_deviation = match format {
        Format::HuggingFace => hf::write(&source, precision, folder),
        Format::SentenceTransformers => sentence_transformers::write(&source, &options, folder),
        Format::Onnx => onnx::write(&source, &options, folder),
        Format::Web => web::write(&source, &options, &expected, folder),
    }?;
    let card = Card::new(&source)?;
    let scale = source.scorer.settings.scale;
    let steepest = source.scorer.settings.calibration.as_ref().map_or(1.0, Calibration::steepest);
    let rounding = Rounding { precision: precision.max(Precision::of(&source.scorer)), quantize };
    // From here on the files are on their own, and their weights the only ones in memory.
    drop(source);
    stage("reading back and scoring again");
    let mut numbers = read_back::<B>(folder, format, device)?;
    if calibrated {
        numbers.calibrated = numbers.scores.take();
    }
    let [scores, calibrated, utilities] =
        expected.differences(&numbers, rounding.tolerance(), scale.max - scale.min, steepest);
    for (what, difference) in
        [("scores", scores), ("calibrated scores", calibrated), ("utilities", utilities)]
    {
        if let Some(Difference { largest, tolerance, .. }) = difference.filter(|d| !d.passes()) {
            let path = output.into();
            let difference = largest;
            return Err(ExportError::Differs { path, what, difference, tolerance, rounding });
        }
    }
    let report = Report { weight_deviation, scores, calibrated, utilities };
    card.write(folder, &options, &report)?;
    write_marker(folder, &options, &report)?;
    staging.finish()?;
    Ok(report)
}

/// The numbers that an exported folder gives for the [`golden`] texts, from its files alone.
///
/// # Errors
/// When a file is missing or is not what the format has.
pub fn read_back<B: Kernels>(
    folder: &Path,
    format: Format,
    device: &B::Device,
) -> Result<Numbers, ExportError> {
    match format {
        Format::HuggingFace => hf::read_back::<B>(folder, device),
        Format::SentenceTransformers => sentence_transformers::read_back::<B>(folder, device),
        Format::Onnx => onnx::read_back(folder),
        Format::Web => web::read_back::<B>(folder, device),
    }
}

/// Says what the folder is, and how close its numbers are.
fn write_marker(folder: &Path, options: &Options, report: &Report) -> Result<(), ExportError> {
    let difference = |difference: Option<Difference>| {
        difference.map_or(
            Value::Null,
            |d| json!({ "largest": d.largest, "mean": d.mean, "tolerance": d.tolerance }),
        )
    };
    let value = json!({
        "program": concat!("pair2score ", env!("CARGO_PKG_VERSION")),
        "format": options.format.name(),
        "dtype": options.precision.name(),
        "quantize": options.quantize.map(Quantization::name),
        "largest_weight_deviation": report.weight_deviation,
        "golden_texts": golden::texts().len(),
        "score_differences": difference(report.scores),
        "calibrated_score_differences": difference(report.calibrated),
        "utility_differences": difference(report.utilities),
    });
    write_json(&folder.join(EXPORT.marker), &value)
}
