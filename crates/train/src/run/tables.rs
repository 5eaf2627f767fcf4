//! The tables of a run: embeddings, splits and predictions.

use std::path::Path;

use pair2score_data::Splits;
use pair2score_data::files::write_atomic;
use pair2score_scorer::{Scored, StoredTensor, TraitSettings, WeightDType, write_tensors};
use serde_json::json;

use crate::TrainError;
use crate::examples::Examples;

/// Writes `embeddings [n, d] f32` with the ids, in order, as a JSON list in the metadata key `ids`.
pub(super) fn write_embeddings<'a>(
    path: &Path,
    ids: &[&str],
    rows: impl Iterator<Item = &'a [f32]>,
    width: usize,
) -> Result<(), TrainError> {
    let values: Vec<f32> = rows.flatten().copied().collect();
    let tensor = StoredTensor { shape: vec![ids.len(), width], values, dtype: WeightDType::F32 };
    let ids = serde_json::to_string(ids).expect("strings serialise");
    Ok(write_tensors(path, &[("embeddings".to_owned(), tensor)].into(), &[("ids", ids)])?)
}

/// Writes `id,label,score,grade`, with a calibration `calibrated,calibrated_grade`, with intervals `low,high`, and with second
/// ratings `second_rating`, one test document per line. Without grades, the columns of grades are empty.
pub(super) fn write_predictions(
    path: &Path,
    of: &TraitSettings,
    ids: &[&str],
    [labels, scores]: [&[f64]; 2],
    second_ratings: &[Option<f64>],
) -> Result<(), TrainError> {
    let mut header = vec!["id", "label", "score", "grade"];
    header.extend(of.calibration.iter().flat_map(|_| ["calibrated", "calibrated_grade"]));
    header.extend(of.intervals.iter().flat_map(|_| ["low", "high"]));
    let is_rated_twice = second_ratings.iter().any(Option::is_some);
    header.extend(is_rated_twice.then_some("second_rating"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header).expect("writing to memory does not fail");
    for (((id, label), &score), second) in ids.iter().zip(labels).zip(scores).zip(second_ratings) {
        let Scored { score, grade, calibrated, interval } = Scored::new(score, of);
        let mut numbers = vec![Some(*label), Some(score), grade];
        numbers
            .extend(calibrated.into_iter().flat_map(|calibrated| [Some(calibrated.score), calibrated.grade]));
        numbers.extend(interval.into_iter().flatten().map(Some));
        numbers.extend(is_rated_twice.then_some(*second));
        let numbers =
            numbers.iter().map(|number| number.map_or_else(String::new, |number| number.to_string()));
        let record: Vec<String> = std::iter::once((*id).to_owned()).chain(numbers).collect();
        writer.write_record(record).expect("writing to memory does not fail");
    }
    let bytes = writer.into_inner().expect("writing to memory does not fail");
    Ok(write_atomic(path, &bytes)?)
}

/// Writes the ids of the documents of every split of stage 2, as `{"train": [...], "val": [...], "test": [...]}`.
pub(super) fn write_splits(path: &Path, examples: &Examples) -> Result<(), TrainError> {
    let ids = |documents: &[usize]| -> Vec<&str> { documents.iter().map(|&i| examples.id(i)).collect() };
    let Splits { train, val, test } = &examples.splits;
    let splits = json!({ "train": ids(train), "val": ids(val), "test": ids(test) });
    let text = serde_json::to_string_pretty(&splits).expect("ids serialise");
    Ok(write_atomic(path, text.as_bytes())?)
}
