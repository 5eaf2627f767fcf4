//! ONNX: one graph from token ids to score and embedding.
//!
//! ```text
//! onnx/model.onnx           opset 18; with onnx/model.onnx_data beyond 2 GB
//! tokenizer.json, tokenizer_config.json, README.md
//! ```
//!
//! | Name | Kind | Shape |
//! |---|---|---|
//! | `input_ids` | int64 | `[batch, length]` |
//! | `attention_mask` | int64, 1 = real | `[batch, length]`; every row has a real token |
//! | `score` | float | `[batch]`, rubric units; calibrated where that was asked for |
//! | `embedding` | float | `[batch, d_model]`, twice as wide for a fusion: what the head reads |
//!
//! Both axes are free up to the scorer's `max_length`. The weights are those of the merged backbone, once; a fusion
//! passes through them twice, the second time with stage 1's adapter as branches.
//!
//! The check compares every initializer of the written files bit by bit with the merged backbone, and evaluates the
//! graph of the files with an implementation of the operators that knows nothing of the scorer (`operators`). It is
//! ours, so it is held to inputs and outputs that onnxruntime gave (`tests/fixtures/onnx_operators.json`), and the test
//! command runs exported files in onnxruntime itself (`scripts/peers/onnx_check.py`).

mod graph;
mod llama;
mod operators;
mod read;
mod run;
mod tensor;
mod write;

use std::path::Path;

use pair2score_data::ScoreScale;
use pair2score_model::Kernels;
use pair2score_scorer::{Stage2, TraitSettings, WeightDType, names::Weight};

use crate::backbone::write_tokenizer;
use crate::merged::{Merged, rounding};
use crate::{ExportError, Options, Precision, Source};
use graph::{Data, Graph, Initializer};

pub(crate) use run::read_back;

/// Folder of the model, as page libraries expect it.
const FOLDER: &str = "onnx";

/// The file of the model in it.
const MODEL: &str = "model.onnx";

/// Whether a graph can say what this scorer does in this precision.
pub(crate) fn check<B: Kernels>(source: &Source<B>, precision: Precision) -> Result<(), ExportError> {
    stage2(source, precision).map(drop)
}

/// Stage 2, where a graph can say it.
fn stage2<B: Kernels>(source: &Source<B>, precision: Precision) -> Result<&Stage2<B>, ExportError> {
    if precision == Precision::Bf16 {
        return Err(source.inexpressible(
            "is asked for in bf16, which ONNX runtimes do not multiply in; use --dtype f16 or f32",
        ));
    }
    source.stage2()
}

/// Writes the folder and gives the largest change that rounding made to a weight.
pub(crate) fn write<B: Kernels>(
    source: &Source<B>,
    options: &Options,
    folder: &Path,
) -> Result<f64, ExportError> {
    write_with(source, options, write::EXTERNAL_ABOVE, folder)
}

fn write_with<B: Kernels>(
    source: &Source<B>,
    options: &Options,
    external_above: usize,
    folder: &Path,
) -> Result<f64, ExportError> {
    let scorer = &source.scorer;
    let merged = Merged::new(scorer);
    let stage2 = stage2(source, options.precision)?;
    let built_in = source.built_in(options)?;
    write_tokenizer(scorer, folder)?;
    let graph = llama::graph(source, &merged, stage2, built_in.as_deref(), options.precision);

    let settings = &scorer.settings;
    let of_traits = |text: fn(&TraitSettings) -> String| listed(settings.traits.iter().map(text).collect());
    let mut metadata = vec![
        ("trait", of_traits(|of| of.target.clone())),
        ("scale", of_traits(|of| scale_text(&of.scale))),
        ("max_length", settings.max_length.to_string()),
        ("pad_token_id", scorer.text_encoder.pad_id.to_string()),
        ("score", if built_in.is_some() { "calibrated" } else { "raw" }.into()),
    ];
    if settings.traits.iter().any(|of| of.calibration.is_some()) {
        let text = |of: &TraitSettings| serde_json::to_string(&of.calibration).expect("numbers serialise");
        metadata.push(("calibration", of_traits(text)));
    }
    // They lie around raw scores, which a model that calibrates does not give.
    if built_in.is_none() && settings.traits.iter().any(|of| of.intervals.is_some()) {
        let text = |of: &TraitSettings| serde_json::to_string(&of.intervals).expect("numbers serialise");
        metadata.push(("intervals", of_traits(text)));
    }
    let folder = folder.join(FOLDER);
    std::fs::create_dir_all(&folder).map_err(ExportError::io(&folder, "create"))?;
    let mut largest = 0.0_f64;
    write::write(&folder, &graph, &metadata, external_above, |initializer| {
        let (bytes, change) = weight(&merged, initializer)?;
        largest = largest.max(change);
        Ok(bytes)
    })?;
    compare(&folder, &graph, |initializer| Ok(weight(&merged, initializer)?.0))?;
    Ok(largest)
}

/// The text of a single trait as it is; of several as a JSON list.
fn listed(texts: Vec<String>) -> String {
    match &texts[..] {
        [text] => text.clone(),
        _ => serde_json::Value::from(texts).to_string(),
    }
}

/// The lowest and the highest label, and where there are grades, their step.
fn scale_text(scale: &ScoreScale) -> String {
    let step = scale.grades().map_or(String::new(), |grades| format!(" {}", grades.step));
    format!("{} {}{step}", scale.min(), scale.max())
}

/// Compares every initializer of the written files with what was to be written, bit by bit.
fn compare(
    folder: &Path,
    graph: &Graph,
    mut weight: impl FnMut(&Initializer) -> Result<Vec<u8>, ExportError>,
) -> Result<(), ExportError> {
    let mut expected = graph.initializers.iter();
    read::read(folder, |stored| {
        let initializer = expected.next().ok_or("is not in the graph")?;
        let bytes = write::bytes(initializer, &mut weight).map_err(|error| error.to_string())?;
        let same = stored.name == initializer.name
            && (&stored.shape, stored.dtype) == (&initializer.shape, initializer.dtype)
            && stored.bytes == bytes;
        if same { Ok(()) } else { Err("is not what was written".into()) }
    })?;
    match expected.next() {
        Some(missing) => Err(ExportError::read_back(&folder.join(MODEL), format!("no {}", missing.name))),
        None => Ok(()),
    }
}

/// Bytes of a weight of the merged backbone as the graph wants it, and the change by rounding.
fn weight<B: Kernels>(merged: &Merged<B>, initializer: &Initializer) -> Result<(Vec<u8>, f64), ExportError> {
    let Data::Weight(weight) = initializer.data else { return Ok((Vec::new(), 0.0)) };
    let precision = match initializer.dtype {
        onnx_protobuf::tensor_proto::DataType::FLOAT16 => Precision::F16,
        _ => Precision::F32,
    };
    let mut values = merged.values(weight);
    let change = rounding(&initializer.name, &values, precision)?;
    if let Weight::Projection(..) = weight {
        // Files have `[out, in]`, a matrix product wants `[in, out]`.
        let [inputs, outputs] = [initializer.shape[0], initializer.shape[1]];
        values = llama::transpose(&values, outputs, inputs);
    }
    Ok((WeightDType::from(precision).encode(&values), change))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Numbers;
    use crate::test_scorers::{B, Folder, Transfer};

    #[test]
    fn weights_beside_the_model_are_found() {
        let folder = Folder::new();
        let scorer = folder.scorer(Transfer::Fusion);
        let source = Source::<B>::load(scorer.as_path(), &Default::default()).unwrap();
        let options = crate::test_scorers::options(crate::Format::Onnx, Precision::F32);
        let out = folder.path("out");
        write_with(&source, &options, 10_000, &out).unwrap();
        assert_eq!(folder.names("out/onnx"), ["model.onnx", write::EXTERNAL]);
        let small = std::fs::metadata(out.join("onnx/model.onnx")).unwrap().len();
        let large = std::fs::metadata(out.join("onnx").join(write::EXTERNAL)).unwrap().len();
        assert!(large > 5 * small, "{small} {large}");
        let (expected, found) =
            (Numbers::of(&source.scorer).unwrap(), read_back::<B>(&out, &Default::default()).unwrap());
        for (a, b) in expected.scores.unwrap().iter().flatten().zip(found.scores.unwrap().iter().flatten()) {
            assert!((a - b).abs() <= 2e-5, "{a} {b}");
        }
    }
}
