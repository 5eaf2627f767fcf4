//! One function per plot: from runs to a chart and its numbers.

pub(crate) mod curves;
pub(crate) mod errors;
pub(crate) mod groups;
pub(crate) mod overview;
pub(crate) mod scores;

use crate::run::{Prediction, Run};
use crate::svg::Chart;
use crate::table::Cells;

/// A chart, what it shows, and its numbers.
#[derive(Debug)]
pub(crate) struct Plot {
    /// Name of its files, unique in a report.
    pub(crate) id: String,
    pub(crate) title: String,
    /// What to look for, in a sentence or two.
    pub(crate) caption: String,
    pub(crate) svg: String,
    pub(crate) numbers: Cells,
}

impl Plot {
    fn new(id: String, title: &str, caption: String, chart: Chart, numbers: Cells) -> Self {
        let svg = chart.finish(&id, title, &caption);
        Self { id, title: title.into(), caption, svg, numbers }
    }
}

/// The documents of all folds together; each was held out in one of them.
pub(crate) fn pooled<'a>(runs: &'a [&'a Run]) -> impl Iterator<Item = &'a Prediction> + Clone {
    runs.iter().flat_map(|run| &run.predictions)
}

/// A name of letters, digits and dashes for ids and files.
pub(crate) fn slug(text: &str) -> String {
    let dashed: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    dashed.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// Digits enough to plot again, without the noise of the last ones.
fn exact(value: f64) -> String {
    format!("{value:.6}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn optional(value: Option<f64>) -> String {
    value.map_or_else(String::new, exact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_file_names() {
        assert_eq!(slug("warm start, frozen: 1/2 \u{e4}"), "warm-start-frozen-1-2");
    }

    #[test]
    fn numbers_keep_what_is_plotted() {
        assert_eq!([0.5, 2.0, -1.0 / 3.0].map(exact), ["0.5", "2", "-0.333333"]);
    }
}
