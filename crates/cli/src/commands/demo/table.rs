//! The table of the demo: what each row costs and gives, with 95 % intervals over the test documents.

use std::path::Path;

use anyhow::{Context, Result};
use pair2score_data::{ScoreScale, Table, TableOptions};
use pair2score_report::{Interval, bootstrap};
use pair2score_train::config::Settings;
use pair2score_train::metrics::regression;
use pair2score_train::run::RunReport;

/// Draws of the bootstrap; more change the second decimal of an interval by nothing.
const DRAWS: usize = 1000;

/// A scorer of the demo.
pub(super) struct Row {
    name: &'static str,
    labels: usize,
    judgements: usize,
    pair_accuracy: Option<f64>,
    seconds: f64,
    scores: Scores,
}

/// Labels and scores of the test documents, in the same order in all rows.
struct Scores {
    labels: Vec<f64>,
    scores: Vec<f64>,
    scale: ScoreScale,
}

/// Quadratic weighted kappa and mean absolute error.
type Measures = [f64; 2];

impl Row {
    /// What a run measured and wrote, from so many labels and judgements.
    pub(super) fn new(
        name: &'static str,
        settings: &Settings,
        report: &RunReport,
        [labels, judgements]: [usize; 2],
    ) -> Result<Self> {
        let seconds = [
            report.relative.as_ref().map(|relative| relative.fit.seconds),
            report.absolute.as_ref().map(|absolute| absolute.fit.seconds),
        ];
        Ok(Self {
            name,
            labels,
            judgements,
            pair_accuracy: report
                .absolute
                .as_ref()
                .and_then(|absolute| absolute.traits().next()?.pair_accuracy),
            seconds: seconds.into_iter().flatten().sum(),
            scores: Scores::read(
                &settings.paths.output_dir.join("test_predictions.csv"),
                settings.scale.get(),
            )
            .context("the demo cannot be shown again; add --restart")?,
        })
    }
}

impl Row {
    /// Test documents.
    pub(super) fn documents(&self) -> usize {
        self.scores.labels.len()
    }
}

impl Scores {
    fn read(path: &Path, scale: ScoreScale) -> Result<Self> {
        let table = Table::read(path, &TableOptions::default())?;
        let column = |name: &str| -> Result<Vec<f64>> {
            let column = table.require_column(name, "of predictions", "add --restart")?;
            table.records.iter().map(|record| Ok(record.fields[column].trim().parse()?)).collect()
        };
        Ok(Self { labels: column("label")?, scores: column("score")?, scale })
    }

    /// Of some of the documents, or of one as often as it is named.
    fn measure(&self, places: &[usize]) -> Option<Measures> {
        let of = |values: &[f64]| -> Vec<f64> { places.iter().map(|&place| values[place]).collect() };
        let metrics = regression(&of(&self.labels), &of(&self.scores), &self.scale).ok()?;
        Some([metrics.qwk_nearest?, metrics.mae])
    }
}

/// Prints the rows, and how the second differs from the first.
pub(super) fn print(target: &str, rows: &[Row]) {
    outln!(
        "\n{target:<17} {:>6} {:>10} {:>22} {:>22} {:>13} {:>4}",
        "labels",
        "judgements",
        "QWK (95 %)",
        "MAE (95 %)",
        "pair accuracy",
        "s"
    );
    for row in rows {
        let n = row.scores.labels.len();
        let [qwk, mae] = [0, 1].map(|measure| {
            let interval = bootstrap(n, DRAWS, |places| Some(row.scores.measure(places)?[measure]));
            interval.map_or_else(|| "undefined".into(), |interval| shown(&interval, ""))
        });
        outln!(
            "{:<17} {:>6} {:>10} {qwk:>22} {mae:>22} {:>13} {:>4.0}",
            row.name,
            row.labels,
            row.judgements,
            row.pair_accuracy.map_or_else(|| "–".into(), |accuracy| format!("{accuracy:.2}")),
            row.seconds
        );
    }
    let [alone, both, ..] = rows else { return };
    let [qwk, mae] = [0, 1].map(|measure| {
        let difference = |places: &[usize]| {
            Some(both.scores.measure(places)?[measure] - alone.scores.measure(places)?[measure])
        };
        bootstrap(alone.scores.labels.len(), DRAWS, difference)
            .map_or_else(|| "undefined".into(), |interval| shown(&interval, "+"))
    });
    outln!("\n{} against {}, on the same essays: QWK {qwk}, MAE {mae}.", both.name, alone.name);
}

/// A value with its interval; `plus` stands before what is not negative.
fn shown(interval: &Interval, plus: &str) -> String {
    let signed =
        |value: f64| format!("{}{value:.2}", if value < -0.005 { "" } else { plus }).replace('-', "−");
    let Interval { value, low, high } = *interval;
    format!("{} ({} to {})", signed(value), signed(low), signed(high))
}
