//! The table of a sweep: mean and standard deviation over folds.

use std::fmt::{self, Display};
use std::path::Path;

use pair2score_data::files::write_atomic;

use super::graph::Graph;
use super::plan::SweepPlan;
use crate::TrainError;
use crate::metrics::mean_sd;
use crate::run::{FileHashes, FitSummary, TraitReport};

/// What the runs of a sweep measured, as far as they are done.
#[derive(Debug)]
pub struct Table {
    traits: Vec<String>,
    rows: Vec<TableRow>,
}

/// The runs of one setting on one trait, which may be runs of several traits.
#[derive(Debug)]
pub struct TableRow {
    setting: String,
    target: String,
    /// What agreement is shown as: kappa, or explained variance where the scale has no grades.
    shown: (&'static str, Measure),
    folds: Vec<TableRun>,
}

/// A run of a row.
#[derive(Debug)]
struct TableRun {
    test_fold: String,
    seed: u64,
    /// What it measured of the trait and how it went, where it is done.
    done: Option<(TraitReport, FitSummary)>,
}

/// A measure of a trait of a run.
type Measure = fn(&TraitReport) -> Option<f64>;

/// Columns of the files; undefined where a kappa or a correlation is.
const MEASURES: [(&str, Measure); 7] = [
    ("qwk", |report| report.test.qwk_nearest),
    ("qwk_floor", |report| report.test.qwk_floor),
    ("mae", |report| Some(report.test.mae)),
    ("rmse", |report| Some(report.test.rmse)),
    ("pair_accuracy", |report| report.pair_accuracy),
    ("r2", |report| report.test.r2),
    ("pearson", |report| report.test.pearson),
];

const KAPPA: (&str, Measure) = ("QWK (nearest grade)", |report| report.test.qwk_nearest);
const EXPLAINED: (&str, Measure) = ("R²", |report| report.test.r2);

impl Table {
    /// Reads the results that are there.
    pub fn read(plan: &SweepPlan, graph: &Graph) -> Self {
        let mut hashes = FileHashes::default();
        let mut rows: Vec<TableRow> = Vec::new();
        for task in &graph.tasks {
            let Some(cell) = &task.cell else { continue };
            let (settings, report) = (&task.settings, task.report(&mut hashes));
            for (place, target) in settings.pipeline.targets().iter().enumerate() {
                let run = TableRun {
                    test_fold: settings.pipeline.test_fold.to_string(),
                    seed: *settings.pipeline.seed,
                    done: report
                        .as_ref()
                        .and_then(|report| Some((report.traits().nth(place)?.clone(), report.fit.clone()))),
                };
                let same = |row: &&mut TableRow| row.setting == cell.setting && row.target == *target;
                match rows.iter_mut().find(same) {
                    Some(row) => row.folds.push(run),
                    None => rows.push(TableRow {
                        setting: cell.setting.clone(),
                        target: target.clone(),
                        shown: if settings.scale.get().grades().is_some() { KAPPA } else { EXPLAINED },
                        folds: vec![run],
                    }),
                }
            }
        }
        Self { traits: plan.traits.clone(), rows }
    }

    /// What the cells of the printed table are.
    pub fn shown(&self) -> String {
        let names: std::collections::BTreeSet<&str> = self.rows.iter().map(|row| row.shown.0).collect();
        names.into_iter().collect::<Vec<_>>().join(" or ")
    }

    /// Writes `table.csv`, a line per setting and trait, and `runs.csv`, a line per run that is done.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), TrainError> {
        let names = MEASURES.map(|(name, _)| name);
        let statistics = names.iter().flat_map(|name| ["folds", "mean", "sd"].map(|s| format!("{name}_{s}")));
        let mut table = vec![["setting", "trait"].map(str::to_owned).into_iter().chain(statistics).collect()];
        let columns = ["setting", "trait", "test_fold", "seed"].into_iter().chain(names);
        let mut runs = vec![columns.chain(["best_epoch", "epochs", "seconds"]).map(str::to_owned).collect()];
        for row in &self.rows {
            let place = [row.setting.clone(), row.target.clone()];
            let cells = MEASURES.iter().flat_map(|(_, measure)| {
                let Summary { n, mean, sd } = row.summary(*measure);
                [n.to_string(), text(mean), text(sd)]
            });
            table.push(place.iter().cloned().chain(cells).collect());
            for TableRun { test_fold, seed, done } in &row.folds {
                let Some((report, fit)) = done else { continue };
                let measures = MEASURES.iter().map(|(_, measure)| text(measure(report)));
                let epochs = fit.epochs.as_ref();
                let [best, trained] = [epochs.map(|e| e.best_epoch), epochs.map(|e| e.epochs)]
                    .map(|epoch| epoch.map_or(String::new(), |epoch| epoch.to_string()));
                let end = [best, trained, format!("{:.1}", fit.seconds)];
                let start = place.iter().cloned().chain([test_fold.clone(), seed.to_string()]);
                runs.push(start.chain(measures).chain(end).collect());
            }
        }
        write_csv(&folder.join("table.csv"), &table)?;
        write_csv(&folder.join("runs.csv"), &runs)
    }
}

/// Over the folds where a measure is defined.
#[derive(Debug, PartialEq)]
struct Summary {
    n: usize,
    mean: Option<f64>,
    /// Standard deviation of the sample (n − 1); needs two.
    sd: Option<f64>,
}

impl Summary {
    fn of(values: &[f64]) -> Self {
        let (mean, sd) = mean_sd(values).unzip();
        Self { n: values.len(), mean, sd: sd.flatten() }
    }
}

impl TableRow {
    fn summary(&self, measure: Measure) -> Summary {
        let reports = self.folds.iter().filter_map(|run| run.done.as_ref());
        Summary::of(&reports.filter_map(|(report, _)| measure(report)).collect::<Vec<_>>())
    }

    /// `0.6789 ± 0.0123`, with the number of folds where it is not all of them.
    fn agreement(&self) -> String {
        let Summary { n, mean, sd } = self.summary(self.shown.1);
        let Some(mean) = mean else { return "–".into() };
        let sd = sd.map_or(String::new(), |sd| format!(" ± {sd:.4}"));
        let all = self.folds.len();
        let folds = if n == all { String::new() } else { format!(" ({n} of {all})") };
        format!("{mean:.4}{sd}{folds}")
    }
}

fn text(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| format!("{value:.6}"))
}

fn write_csv(path: &Path, records: &[Vec<String>]) -> Result<(), TrainError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for record in records {
        writer.write_record(record).expect("records of one length, into memory");
    }
    let bytes = writer.into_inner().expect("writing to memory does not fail");
    Ok(write_atomic(path, &bytes)?)
}

impl Display for Table {
    /// Markdown: a row per setting, a column per trait, agreement as mean ± standard deviation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| Setting | {} |", self.traits.join(" | "))?;
        writeln!(f, "|---|{}", "---:|".repeat(self.traits.len()))?;
        let mut settings: Vec<&str> = self.rows.iter().map(|row| row.setting.as_str()).collect();
        let mut seen = std::collections::BTreeSet::new();
        settings.retain(|setting| seen.insert(*setting));
        for setting in settings {
            let cells = self.traits.iter().map(|target| {
                let row = self.rows.iter().find(|row| row.setting == setting && row.target == *target);
                row.map_or_else(|| "–".into(), TableRow::agreement)
            });
            writeln!(f, "| {setting} | {} |", cells.collect::<Vec<_>>().join(" | "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_of_the_sample() {
        // By hand: mean 3, squares 1 + 0 + 1, over n - 1.
        assert_eq!(Summary::of(&[2.0, 3.0, 4.0]), Summary { n: 3, mean: Some(3.0), sd: Some(1.0) });
        assert_eq!(Summary::of(&[2.0]), Summary { n: 1, mean: Some(2.0), sd: None });
        assert_eq!(Summary::of(&[]), Summary { n: 0, mean: None, sd: None });
    }
}
