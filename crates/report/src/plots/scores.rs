//! Scores of a row against those of people.

use pair2score_data::{Grades, ScoreScale};

use super::{Plot, by_label, exact, label_axis, pooled};
use crate::run::{Prediction, Run};
use crate::stats::quantile;
use crate::svg::{Axis, Chart, Key};
use crate::table::Cells;
use pair2score_train::metrics::mean_sd;

/// Documents drawn as dots; the numbers have all of them.
const MOST_DOTS: usize = 800;
/// Groups of equal size of the calibration plot.
const BINS: usize = 10;

/// Intervals of a continuous scale.
const INTERVALS: usize = 16;

/// The grades of a scale, or the middles of equal intervals.
fn places(scale: &ScoreScale) -> Vec<f64> {
    let width = (scale.max() - scale.min()) / INTERVALS as f64;
    let middles = || (0..INTERVALS).map(|i| scale.min() + (i as f64 + 0.5) * width).collect();
    scale.grades().map_or_else(middles, Grades::all)
}

/// How often each of the places is the nearest.
fn counts(places: &[f64], values: impl Iterator<Item = f64>) -> Vec<usize> {
    let mut counts = vec![0; places.len()];
    // Halfway between two places, the higher one.
    let bounds: Vec<f64> = places.windows(2).map(|pair| f64::midpoint(pair[0], pair[1])).collect();
    values.for_each(|value| counts[bounds.partition_point(|bound| *bound <= value)] += 1);
    counts
}

/// How often each grade is given, or how scores are spread.
pub(crate) fn histogram(id: &str, runs: &[&Run], scale: &ScoreScale) -> Plot {
    let has_grades = scale.grades().is_some();
    let names =
        if has_grades { ["nearest grade", "calibrated grade"] } else { ["score", "calibrated score"] };
    let calibrated = |p: &Prediction| if has_grades { p.calibrated_grade } else { p.calibrated };
    let calibrated: Option<Vec<f64>> = pooled(runs).map(calibrated).collect();
    let places = places(scale);
    let mut sides = vec![
        ("people", counts(&places, pooled(runs).map(|p| p.label))),
        (names[0], counts(&places, pooled(runs).map(|p| p.score))),
    ];
    sides.extend(calibrated.map(|scores| (names[1], counts(&places, scores.into_iter()))));
    let most = sides.iter().flat_map(|(_, counts)| counts).copied().max().unwrap_or(1);
    let shown = |place: &f64| if has_grades { place.to_string() } else { format!("{place:.2}") };
    let labels: Vec<String> = places.iter().map(shown).collect();
    let column = if has_grades { "grade" } else { "score" };
    let mut chart = Chart::new(Axis::names(column, &labels), Axis::numbers("documents", [0.0, most as f64]));
    let mut numbers = Cells::new(&[column, "by", "documents"]);
    let width = 0.8 / sides.len() as f64;
    for (side, (name, counts)) in sides.iter().enumerate() {
        for (place, count) in counts.iter().enumerate() {
            let left = place as f64 - 0.4 + side as f64 * width;
            chart.bar(side, [left, left + width * 0.92], [0.0, *count as f64]);
            numbers.push(vec![exact(places[place]), (*name).to_owned(), count.to_string()]);
        }
        chart.name(side, name, Key::Bar);
    }
    let [title, caption] = match has_grades {
        true => ["Grades given", "A scorer that stays near the mean gives the outer grades too rarely."],
        false => ["Scores given", "A scorer that stays near the mean gives outer scores too rarely."],
    };
    Plot::new(format!("{id}-histogram"), title, caption.to_owned(), chart, numbers)
}

/// Raw scores by the label of people: dots, quartiles and medians.
pub(crate) fn against_people(id: &str, runs: &[&Run], scale: &ScoreScale) -> Plot {
    let all: Vec<&Prediction> = pooled(runs).collect();
    let ends = [scale.min(), scale.max()];
    let x = Axis::numbers(label_axis(scale), all.iter().map(|p| p.label).chain(ends));
    let y = Axis::numbers("raw score", all.iter().map(|p| p.score).chain(ends));
    let mut chart = Chart::new(x, y);
    chart.diagonal();
    let step = all.len().div_ceil(MOST_DOTS).max(1);
    // Side by side within a grade, in an order that has nothing to do with the score.
    let room = scale.grades().map_or(0.0, |grades| 0.6 * grades.step);
    let aside = |place: usize| ((place * 37 % 61) as f64 / 60.0 - 0.5) * room;
    let shown = all.iter().enumerate().step_by(step);
    chart.dots(2, shown.map(|(place, p)| (p.label + aside(place), p.score)));
    let mut medians = Vec::new();
    for (label, group) in by_label(runs, scale) {
        let mut scores: Vec<f64> = group.iter().map(|p| p.score).collect();
        if scores.is_empty() {
            continue;
        }
        scores.sort_by(f64::total_cmp);
        let [low, median, high] = [0.25, 0.5, 0.75].map(|share| quantile(&scores, share));
        chart.segment("rule", (label, low), (label, high));
        medians.push((label, median));
    }
    chart.line(0, &medians, true);
    chart.name(0, "median and quartiles", Key::Line);
    let mut numbers = Cells::new(&["id", "label", "score"]);
    all.iter().for_each(|p| numbers.push(vec![p.id.clone(), exact(p.label), exact(p.score)]));
    let caption = format!(
        "Dashed: equal to people. {} of {} documents are drawn.",
        all.len().div_ceil(step),
        all.len()
    );
    Plot::new(format!("{id}-scores"), "Scores against people", caption, chart, numbers)
}

/// Documents by the grade of people and the grade given.
pub(crate) fn confusion(id: &str, runs: &[&Run], scale: &Grades) -> Plot {
    let grades = scale.all();
    let n = grades.len();
    let mut cells = vec![vec![0_usize; n]; n];
    for p in pooled(runs) {
        cells[scale.index_nearest(p.label)][scale.index_nearest(p.score)] += 1;
    }
    let mut chart =
        Chart::new(Axis::names("grade given (nearest)", &grades), Axis::names("grade of people", &grades));
    let mut numbers = Cells::new(&["people", "given", "documents"]);
    for (row, counts) in cells.iter().enumerate() {
        let total = counts.iter().sum::<usize>().max(1);
        for (column, &count) in counts.iter().enumerate() {
            if count > 0 {
                chart.cell(column as f64, row as f64, count as f64 / total as f64, &count.to_string());
            }
            numbers.push(vec![grades[row].to_string(), grades[column].to_string(), count.to_string()]);
        }
    }
    let caption = "Numbers are documents; the darker, the larger their share of the row.".to_owned();
    Plot::new(format!("{id}-confusion"), "Confusion by grade", caption, chart, numbers)
}

/// One of the scores of a document.
type Score = fn(&Prediction) -> Option<f64>;

/// Mean grade of people where the scorer gives about the same score.
pub(crate) fn calibration(id: &str, runs: &[&Run], scale: &ScoreScale) -> Plot {
    let sides: [(&str, Score); 2] =
        [("raw score", |p| Some(p.score)), ("calibrated score", |p| p.calibrated)];
    let axis = |label: &str| Axis::numbers(label, [scale.min(), scale.max()]);
    let mut chart = Chart::new(axis("mean score"), axis(&format!("mean {}", label_axis(scale))));
    chart.diagonal();
    let mut numbers = Cells::new(&["score", "documents", "mean_score", "mean_label", "standard_error"]);
    for (series, (name, score)) in sides.iter().enumerate() {
        let mut pairs: Vec<(f64, f64)> = pooled(runs).filter_map(|p| Some((score(p)?, p.label))).collect();
        if pairs.is_empty() {
            continue;
        }
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let points: Vec<(f64, f64)> = pairs
            .chunks(pairs.len().div_ceil(BINS))
            .filter_map(|bin| {
                let (scores, labels): (Vec<f64>, Vec<f64>) = bin.iter().copied().unzip();
                let ((score, _), (label, sd)) = (mean_sd(&scores)?, mean_sd(&labels)?);
                let error = sd.map(|sd| sd / (bin.len() as f64).sqrt());
                if let Some(error) = error {
                    chart.segment("whisker", (score, label - 1.96 * error), (score, label + 1.96 * error));
                }
                numbers.push(vec![
                    (*name).to_owned(),
                    bin.len().to_string(),
                    exact(score),
                    exact(label),
                    super::optional(error),
                ]);
                Some((score, label))
            })
            .collect();
        chart.line(series, &points, true);
        chart.name(series, name, Key::Line);
    }
    let caption = "Ten groups of documents of rising score, with 95 % intervals of the mean. On the dashed line scores \
                   mean what they say."
        .to_owned();
    Plot::new(format!("{id}-calibration"), "Calibration", caption, chart, numbers)
}
