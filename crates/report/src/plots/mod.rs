//! One function per plot: from runs to a chart and its numbers.

pub(crate) mod curves;
pub(crate) mod errors;
pub(crate) mod groups;
pub(crate) mod overview;
pub(crate) mod scores;

use std::collections::BTreeSet;

use pair2score_data::ScoreScale;

use crate::run::{Prediction, Run};
use crate::svg::Chart;
use crate::table::Cells;

/// A chart, what it shows, and its numbers.
#[derive(Debug)]
pub(crate) struct Plot {
    /// Name of its files; unique in a report once [`Names`] has given it.
    pub(crate) id: String,
    pub(crate) title: String,
    /// What to look for, in a sentence or two.
    pub(crate) caption: String,
    chart: Chart,
    pub(crate) numbers: Cells,
}

impl Plot {
    fn new(id: String, title: &str, caption: String, chart: Chart, numbers: Cells) -> Self {
        Self { id, title: title.into(), caption, chart, numbers }
    }

    /// The drawing, for a page.
    pub(crate) fn svg(&self) -> String {
        self.chart.finish(&self.id, &self.title, &self.caption)
    }
}

/// The names of the files of a report.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeSet<String>);

impl Names {
    /// This name, or with a number where another file has it: different texts may come to one [`slug`].
    pub(crate) fn give(&mut self, name: &str) -> String {
        let (mut given, mut number) = (name.to_owned(), 1);
        while !self.0.insert(given.clone()) {
            number += 1;
            given = format!("{name}-{number}");
        }
        given
    }
}

/// The documents of all folds together; each was held out in one of them.
pub(crate) fn pooled<'a>(runs: &'a [&'a Run]) -> impl Iterator<Item = &'a Prediction> + Clone {
    runs.iter().flat_map(|run| &run.predictions)
}

/// A name of letters of any script, digits and dashes for ids and files.
pub(crate) fn slug(text: &str) -> String {
    let dashed: String =
        text.to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
    dashed.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// Digits enough to plot again, without the noise of the last ones.
fn exact(value: f64) -> String {
    format!("{value:.6}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn optional(value: Option<f64>) -> String {
    value.map_or_else(String::new, exact)
}

/// Groups of documents of rising label on a continuous scale.
const LABEL_GROUPS: usize = 10;

/// What an axis of labels is called.
fn label_axis(scale: &ScoreScale) -> &'static str {
    if scale.grades().is_some() { "grade of people" } else { "label of people" }
}

/// Documents by what people gave them, with the label of each group: a grade, or the mean of one of ten groups of equal
/// size.
fn by_label<'a>(runs: &'a [&'a Run], scale: &ScoreScale) -> Vec<(f64, Vec<&'a Prediction>)> {
    if let Some(grades) = scale.grades() {
        let of = |grade: f64| pooled(runs).filter(move |p| grades.nearest(p.label) == grade).collect();
        return grades.all().into_iter().map(|grade| (grade, of(grade))).collect();
    }
    let mut all: Vec<&Prediction> = pooled(runs).collect();
    all.sort_by(|a, b| a.label.total_cmp(&b.label));
    let mean = |group: &[&Prediction]| group.iter().map(|p| p.label).sum::<f64>() / group.len() as f64;
    let groups = all.chunks(all.len().div_ceil(LABEL_GROUPS).max(1));
    groups.map(|group| (mean(group), group.to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_file_names() {
        assert_eq!(slug("warm start, frozen: 1/2 \u{e4}"), "warm-start-frozen-1-2-\u{e4}");
        assert_ne!(slug("\u{433}\u{440}"), slug("\u{43b}\u{435}"));
    }

    #[test]
    fn a_name_is_given_once() {
        let mut names = Names::default();
        let given = ["a-b", "a.b", "a b", "a-b-2", "c"].map(|text| names.give(&slug(text)));
        assert_eq!(given, ["a-b", "a-b-2", "a-b-3", "a-b-2-2", "c"]);
    }

    #[test]
    fn numbers_keep_what_is_plotted() {
        assert_eq!([0.5, 2.0, -1.0 / 3.0].map(exact), ["0.5", "2", "-0.333333"]);
    }
}
