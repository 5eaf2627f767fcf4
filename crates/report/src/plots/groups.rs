//! Groups of writers: does a row treat them alike?

use std::collections::BTreeMap;

use pair2score_data::ScoreScale;
use pair2score_train::metrics::regression;

use super::{Plot, exact, optional, pooled, slug};
use crate::documents::Documents;
use crate::run::{Measure, Prediction, Run};
use crate::stats::standardised_difference;
use crate::svg::{Axis, Chart};
use crate::table::{Cells, number, signed};

/// Fewer documents say nothing about a group.
const FEWEST: usize = 10;
/// From here on a difference is called large (Williamson, Xi and Breyer, 2012).
const LARGE: f64 = 0.1;

/// What is measured of a group.
struct Group {
    name: String,
    documents: usize,
    difference: Option<f64>,
    rmse: f64,
    agreement: Option<f64>,
}

/// A plot of standardised differences and a table, for each group column that the row's documents have.
pub(crate) fn plots(
    id: &str,
    runs: &[&Run],
    documents: &Documents,
    scale: &ScoreScale,
) -> Vec<(Plot, Cells)> {
    let plot = |(column, values): (&String, &std::collections::HashMap<String, String>)| {
        let mut members: BTreeMap<&str, Vec<&Prediction>> = BTreeMap::new();
        for p in pooled(runs) {
            if let Some(value) = values.get(&p.id) {
                members.entry(value).or_default().push(p);
            }
        }
        members.retain(|_, group| group.len() >= FEWEST);
        // Grades of school in their order, names in theirs.
        let mut members: Vec<(&str, Vec<&Prediction>)> = members.into_iter().collect();
        members.sort_by_key(|(name, _)| name.parse::<i64>().unwrap_or(i64::MAX));
        let groups: Vec<Group> =
            members.into_iter().filter_map(|(name, group)| Group::of(name, &group, scale)).collect();
        (groups.len() > 1).then(|| draw(id, column, &groups, Measure::on(scale)))
    };
    documents.groups.iter().filter_map(plot).collect()
}

impl Group {
    fn of(name: &str, group: &[&Prediction], scale: &ScoreScale) -> Option<Self> {
        let labels: Vec<f64> = group.iter().map(|p| p.label).collect();
        let scores: Vec<f64> = group.iter().map(|p| p.score).collect();
        let metrics = regression(&labels, &scores, scale).ok()?;
        Some(Self {
            name: name.to_owned(),
            documents: group.len(),
            difference: standardised_difference(&labels, &scores),
            rmse: metrics.rmse,
            agreement: Measure::on(scale).of(&metrics),
        })
    }
}

fn draw(id: &str, column: &str, groups: &[Group], measure: &Measure) -> (Plot, Cells) {
    let names: Vec<String> = groups.iter().map(|group| group.name.clone()).collect();
    let differences = groups.iter().filter_map(|group| group.difference);
    let x =
        Axis::numbers("standardised mean difference, score minus people", differences.chain([-LARGE, LARGE]));
    let mut chart = Chart::of_rows(x, &names);
    chart.vertical(-LARGE, "");
    chart.vertical(LARGE, "");
    let mut table = Cells::new(&[column, "documents", "standardised difference", "RMSE", measure.short]);
    let mut numbers = Cells::new(&["group", "documents", "standardised_difference", "rmse", measure.key]);
    for (place, group) in groups.iter().enumerate() {
        if let Some(difference) = group.difference {
            chart.segment("whisker", (0.0, place as f64), (difference, place as f64));
            chart.mark(usize::from(difference.abs() > LARGE), difference, place as f64);
        }
        let large = if group.difference.is_some_and(|d| d.abs() > LARGE) { " (large)" } else { "" };
        table.push(vec![
            group.name.clone(),
            group.documents.to_string(),
            format!("{}{large}", signed(group.difference)),
            number(Some(group.rmse)),
            number(group.agreement),
        ]);
        numbers.push(vec![
            group.name.clone(),
            group.documents.to_string(),
            optional(group.difference),
            exact(group.rmse),
            optional(group.agreement),
        ]);
    }
    let caption = format!(
        "Beyond the dashed lines at ±{LARGE} a group is scored higher or lower than people score it."
    );
    let id = format!("{id}-group-{}", slug(column));
    (Plot::new(id, &format!("Groups by {column}"), caption, chart, numbers), table)
}
