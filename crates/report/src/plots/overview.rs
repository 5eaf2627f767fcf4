//! All rows of a trait beside each other.

use super::{Plot, exact, optional, slug};
use crate::rows::Row;
use crate::run::{KAPPA, Measure, Run};
use crate::stats::Difference;
use crate::svg::{Axis, Chart, Key};
use crate::table::Cells;
use pair2score_train::metrics::mean_sd;

/// A row as the table and these plots show it.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) row: &'a Row<'a>,
    pub(crate) runs: &'a [&'a Run],
    pub(crate) published: Option<f64>,
    /// From the baseline; `None` for the baseline itself and where they share no fold.
    pub(crate) difference: Option<Difference>,
}

impl Line<'_> {
    /// A metric of each fold that has it.
    pub(crate) fn values(&self, metric: fn(&Run) -> Option<f64>) -> Vec<f64> {
        self.runs.iter().filter_map(|run| metric(run)).collect()
    }

    /// Mean and deviation of a metric over folds.
    pub(crate) fn over_folds(&self, metric: fn(&Run) -> Option<f64>) -> Option<(f64, Option<f64>)> {
        mean_sd(&self.values(metric))
    }
}

/// What the agreement of a trait is measured by.
pub(crate) fn measure(lines: &[Line<'_>]) -> &'static Measure {
    lines.iter().flat_map(|line| line.runs).next().map_or(&KAPPA, |run| run.measure())
}

fn names(lines: &[Line<'_>]) -> Vec<String> {
    lines.iter().map(|line| line.row.name.clone()).collect()
}

/// Kappa of every fold and its mean, the published mean, and what people reach among themselves.
pub(crate) fn agreement(target: &str, lines: &[Line<'_>], human: Option<f64>) -> Plot {
    let measure = measure(lines);
    let (raw, calibrated) = (Run::agreement, Run::calibrated_agreement);
    let folds = lines.iter().flat_map(|line| [line.values(raw), line.values(calibrated)].concat());
    let published = lines.iter().filter_map(|line| line.published);
    let axis = format!("{}, held-out fold", measure.long);
    let x = Axis::numbers(&axis, folds.chain(published).chain(human));
    let mut chart = Chart::of_rows(x, &names(lines));
    let mut numbers = Cells::new(&[
        "setting",
        "fold",
        measure.key,
        &format!("{}_calibrated", measure.key),
        "published_mean",
    ]);
    if let Some(human) = human {
        chart.vertical(human, "two people");
    }
    for (place, line) in lines.iter().enumerate() {
        let y = place as f64;
        chart.folds(0, line.values(raw).into_iter().map(|value| (value, y)));
        if let Some((mean, _)) = line.over_folds(calibrated) {
            chart.mark(2, mean, y);
        }
        if let Some((mean, _)) = line.over_folds(raw) {
            chart.mark(0, mean, y);
        }
        if let Some(published) = line.published {
            chart.mark(3, published, y);
        }
        for run in line.runs {
            numbers.push(vec![
                line.row.name.clone(),
                run.fold.clone(),
                optional(run.agreement()),
                optional(run.calibrated_agreement()),
                optional(line.published),
            ]);
        }
    }
    let raw = if *measure == KAPPA { "mean and folds, nearest grade" } else { "mean and folds" };
    chart.name(0, raw, Key::Mark);
    if lines.iter().any(|line| !line.values(calibrated).is_empty()) {
        chart.name(2, "mean, calibrated", Key::Mark);
    }
    if lines.iter().any(|line| line.published.is_some()) {
        chart.name(3, "published mean", Key::Mark);
    }
    let caption = "Dots are folds. Further right is better.".to_owned();
    Plot::new(
        format!("{}-{}", slug(target), measure.key),
        &format!("Agreement with people: {target}"),
        caption,
        chart,
        numbers,
    )
}

/// Differences from the baseline with their intervals; `None` where there are none.
pub(crate) fn differences(target: &str, lines: &[Line<'_>], baseline: &str) -> Option<Plot> {
    let compared: Vec<(&Line<'_>, Difference)> =
        lines.iter().filter_map(|line| Some((line, line.difference?))).collect();
    if compared.is_empty() {
        return None;
    }
    let ends = compared.iter().flat_map(|(_, d)| [d.low, d.high]);
    let axis =
        format!("difference of {} from the baseline", if *measure(lines) == KAPPA { "kappa" } else { "R²" });
    let x = Axis::numbers(&axis, ends.chain([0.0]));
    let names: Vec<String> = compared.iter().map(|(line, _)| line.row.name.clone()).collect();
    let mut chart = Chart::of_rows(x, &names);
    chart.vertical(0.0, baseline);
    let mut numbers = Cells::new(&["setting", "difference", "low", "high"]);
    for (place, (line, Difference { value, low, high })) in compared.iter().enumerate() {
        chart.interval(0, *low, *value, *high, place as f64);
        numbers.push(vec![line.row.name.clone(), exact(*value), exact(*low), exact(*high)]);
    }
    let caption =
        "Lines are 95 % intervals of the paired bootstrap over documents. One that crosses 0 may be chance."
            .to_owned();
    let title = format!("Difference from {baseline}: {target}");
    Some(Plot::new(format!("{}-differences", slug(target)), &title, caption, chart, numbers))
}
