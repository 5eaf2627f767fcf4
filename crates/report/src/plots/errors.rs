//! Where a row errs: by grade and by length.

use pair2score_data::ScoreScale;

use super::{Plot, by_label, exact, label_axis, pooled};
use crate::documents::Documents;
use crate::run::{Prediction, Run};
use crate::svg::{Axis, Chart, Key};
use crate::table::Cells;
use pair2score_train::metrics::mean_sd;

/// Groups of equal size by length.
const LENGTHS: usize = 8;

/// Errors of the raw score in groups of documents.
struct Errors {
    at: Vec<f64>,
    documents: Vec<usize>,
    bias: Vec<f64>,
    mae: Vec<f64>,
}

impl Errors {
    fn of<'a>(groups: impl Iterator<Item = (f64, Vec<&'a Prediction>)>) -> Self {
        let mut errors = Self { at: vec![], documents: vec![], bias: vec![], mae: vec![] };
        for (at, group) in groups {
            let error: Vec<f64> = group.iter().map(|p| p.score - p.label).collect();
            let absolute: Vec<f64> = error.iter().map(|error| error.abs()).collect();
            if let (Some((bias, _)), Some((mae, _))) = (mean_sd(&error), mean_sd(&absolute)) {
                errors.at.push(at);
                errors.documents.push(group.len());
                errors.bias.push(bias);
                errors.mae.push(mae);
            }
        }
        errors
    }

    fn plot(&self, id: String, title: &str, x: Axis, column: &str, caption: &str) -> Plot {
        let y =
            Axis::numbers("error in score units", self.bias.iter().chain(&self.mae).copied().chain([0.0]));
        let mut chart = Chart::new(x, y);
        let ends = self.at.iter().fold((f64::MAX, f64::MIN), |(low, high), at| (low.min(*at), high.max(*at)));
        chart.segment("reference", (ends.0, 0.0), (ends.1, 0.0));
        let points = |values: &[f64]| self.at.iter().copied().zip(values.iter().copied()).collect::<Vec<_>>();
        chart.line(0, &points(&self.mae), true);
        chart.line(1, &points(&self.bias), true);
        chart.name(0, "mean absolute error", Key::Line);
        chart.name(1, "mean error (score minus people)", Key::Line);
        let mut numbers = Cells::new(&[column, "documents", "mean_absolute_error", "mean_error"]);
        for (i, at) in self.at.iter().enumerate() {
            numbers.push(vec![
                exact(*at),
                self.documents[i].to_string(),
                exact(self.mae[i]),
                exact(self.bias[i]),
            ]);
        }
        Plot::new(id, title, caption.to_owned(), chart, numbers)
    }
}

/// Errors by the grade of people.
pub(crate) fn by_grade(id: &str, runs: &[&Run], scale: &ScoreScale) -> Plot {
    let groups = by_label(runs, scale);
    let x = Axis::numbers(label_axis(scale), [scale.min(), scale.max()]);
    let [title, column] = match scale.grades() {
        Some(_) => ["Errors by grade", "grade"],
        None => ["Errors by label", "label"],
    };
    let caption =
        "A mean error above 0 at low labels and below 0 at high ones is a scorer that stays near the mean.";
    Errors::of(groups.into_iter()).plot(format!("{id}-errors-by-{column}"), title, x, column, caption)
}

/// Errors by the length of the text; `None` where the lengths are not known.
pub(crate) fn by_length(id: &str, runs: &[&Run], documents: &Documents) -> Option<Plot> {
    let mut known: Vec<(usize, &Prediction)> =
        pooled(runs).filter_map(|p| Some((*documents.words.get(&p.id)?, p))).collect();
    if known.is_empty() {
        return None;
    }
    known.sort_by_key(|(words, _)| *words);
    let groups = known.chunks(known.len().div_ceil(LENGTHS)).map(|group| {
        let words = group.iter().map(|(words, _)| *words as f64).sum::<f64>() / group.len() as f64;
        (words, group.iter().map(|(_, p)| *p).collect())
    });
    let errors = Errors::of(groups);
    let x = Axis::numbers("words", errors.at.iter().copied().chain([0.0]));
    let caption =
        "Eight groups of equal size. An error that changes with length is a scorer that counts words.";
    Some(errors.plot(format!("{id}-errors-by-length"), "Errors by length", x, "words", caption))
}
