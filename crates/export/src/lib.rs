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
mod options;
mod sentence_transformers;
mod source;
/// The scorers of the tests, for those that need more than the public interface.
#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod test_scorers;
mod web;

use std::path::Path;

use pair2score_data::staging::{Kind, Staging};
use pair2score_model::Kernels;
use pair2score_scorer::{Calibration, TraitSettings};
use serde_json::{Value, json};

pub use error::ExportError;
pub use golden::{Difference, Numbers};
pub use options::{Format, Options, Precision, Quantization, Rounding};
pub use source::{Base, Source};

use backbone::write_json;
use card::Card;
use golden::Span;

/// Marks a folder as an export, so that a later one may replace it.
const EXPORT: Kind = Kind { name: "export", marker: "pair2score_export.json" };

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
    /// Of the golden texts, of a backbone alone.
    pub embeddings: Option<Difference>,
}

/// Writes a scorer in a format, reads it back, compares the scores of the [`golden`] texts and puts the folder in its
/// place. `stage` hears what begins.
///
/// # Errors
/// When the format cannot express the scorer, a file cannot be read or written, the output is something else than an
/// earlier export, or the numbers differ by more than the precision explains. Nothing is left behind then.
pub fn export<'a, B: Kernels>(
    base: impl Into<Base<'a>>,
    output: &Path,
    options: Options,
    device: &B::Device,
    mut stage: impl FnMut(&str),
) -> Result<Report, ExportError> {
    let Options { format, precision, quantize, calibrated, .. } = options;
    if format == Format::Web {
        web::check_page(&options.page)?;
    }
    let staging = Staging::create(output, EXPORT)?;
    let folder = staging.path();
    stage("loading the scorer");
    let source = Source::<B>::load(base, device)?;
    if quantize.is_some() && format != Format::Web {
        return Err(source.inexpressible(
            "can be packed in 8 bits for --format web alone; use --dtype f16 with other formats",
        ));
    }
    source.built_in(&options)?;
    if format != Format::Web {
        source.says_something()?;
    }
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
    let span = |of: &TraitSettings| Span {
        scale: (of.scale.min(), of.scale.max()),
        steepest: of.calibration.as_ref().map_or(1.0, Calibration::steepest),
    };
    let spans: Vec<Span> = source.scorer.settings.traits.iter().map(span).collect();
    let rounding = Rounding {
        precision: precision.max(Precision::of(&source.scorer)),
        quantize: quantize.or(Quantization::of(&source.scorer)),
    };
    // From here on the files are on their own, and their weights the only ones in memory.
    drop(source);
    stage("reading back and scoring again");
    let mut numbers = read_back::<B>(folder, format, device)?;
    if calibrated {
        numbers.calibrated = numbers.scores.take();
    }
    let [scores, calibrated, utilities, embeddings] = expected.differences(&numbers, rounding, &spans);
    let kinds = ["scores", "calibrated scores", "utilities", "embeddings"];
    for (what, difference) in kinds.into_iter().zip([scores, calibrated, utilities, embeddings]) {
        if let Some(Difference { largest, tolerance, .. }) = difference.filter(|d| !d.passes()) {
            let path = output.into();
            let difference = largest;
            return Err(ExportError::Differs { path, what, difference, tolerance, rounding });
        }
    }
    let report = Report { weight_deviation, scores, calibrated, utilities, embeddings };
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
        Format::Onnx => onnx::read_back::<B>(folder, device),
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
        "embedding_differences": difference(report.embeddings),
    });
    write_json(&folder.join(EXPORT.marker), &value)
}
