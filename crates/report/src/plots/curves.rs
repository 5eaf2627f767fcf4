//! Training over epochs.

use std::collections::BTreeMap;

use super::{Plot, exact, optional, slug};
use crate::plots::overview::{Line, measure};
use crate::run::{EXPLAINED, Epoch, KAPPA};
use crate::svg::{Axis, Chart, Key, SERIES};
use crate::table::Cells;
use pair2score_train::metrics::mean_sd;

/// A quantity of an epoch.
type Quantity = fn(&Epoch) -> Option<f64>;

/// What is drawn of a stage: stage, name of the files, title, axis, quantity.
const CURVES: [(&str, &str, &str, &str, Quantity); 5] = [
    ("relative", "stage1-accuracy", "Stage 1, validation", "pair accuracy", |epoch| epoch.metric),
    ("relative", "stage1-loss", "Stage 1, training", "mean loss", |epoch| Some(epoch.train_loss)),
    ("absolute", "stage2-qwk", "Stage 2, validation", KAPPA.long, |epoch| epoch.metric),
    ("absolute", "stage2-r2", "Stage 2, validation", EXPLAINED.long, |epoch| epoch.metric),
    ("absolute", "stage2-loss", "Stage 2, training", "mean loss", |epoch| Some(epoch.train_loss)),
];

/// A curve per row: the mean over the folds that reached the epoch.
pub(crate) fn plots(target: &str, lines: &[Line<'_>]) -> Vec<Plot> {
    let other = if *measure(lines) == KAPPA { EXPLAINED.long } else { KAPPA.long };
    CURVES
        .iter()
        .filter(|(_, _, _, axis, _)| *axis != other)
        .filter_map(|curve| plot(target, lines, *curve))
        .collect()
}

fn plot(
    target: &str,
    lines: &[Line<'_>],
    (stage, file, title, axis, quantity): (&str, &str, &str, &str, Quantity),
) -> Option<Plot> {
    let mut numbers = Cells::new(&["setting", "fold", "epoch", "value"]);
    let mut curves = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        let mut by_epoch: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for run in line.runs {
            for epoch in run.epochs.iter().filter(|epoch| epoch.stage == stage) {
                let value = quantity(epoch);
                by_epoch.entry(epoch.epoch).or_default().extend(value);
                numbers.push(vec![
                    line.row.name.clone(),
                    run.fold.clone(),
                    epoch.epoch.to_string(),
                    optional(value),
                ]);
            }
        }
        let means = by_epoch.iter().filter_map(|(epoch, values)| Some((*epoch as f64, mean_sd(values)?.0)));
        let points: Vec<(f64, f64)> = means.collect();
        if !points.is_empty() {
            curves.push((place % SERIES, &line.row.name, points));
        }
    }
    // A single epoch is a number and no curve.
    if curves.iter().all(|(.., points)| points.len() < 2) {
        return None;
    }
    let of = |part: fn(&(f64, f64)) -> f64| {
        curves.iter().flat_map(|(.., points)| points).map(part).collect::<Vec<_>>()
    };
    let mut chart = Chart::new(Axis::whole("epoch", of(|p| p.0)), Axis::numbers(axis, of(|p| p.1)));
    for (series, name, points) in &curves {
        chart.line(*series, points, points.len() <= 20);
        chart.name(*series, name, Key::Line);
    }
    let longest = of(|p| p.0).into_iter().fold(0.0, f64::max);
    let caption = format!("Means over folds; up to {} epochs.", exact(longest));
    let id = format!("{}-{file}", slug(target));
    Some(Plot::new(id, &format!("{title}: {target}"), caption, chart, numbers))
}
