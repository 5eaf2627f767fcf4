//! From the outputs of runs to a report: a table beside the published values, intervals, and plots.
//!
//! The key decision: a report reads only what runs write (`test_predictions.csv`, `metrics.jsonl`, the resolved
//! configuration) and computes every number again from single documents, with the metrics that training uses. So a run
//! of another program belongs in the table when it writes the same files, and a report needs neither device nor
//! weights. The page is one file that asks nothing of a network; beside it lies every plot as SVG and its numbers as
//! CSV, and the table as Markdown.

mod documents;
mod page;
mod plots;
mod published;
mod rows;
mod run;
mod stats;
mod svg;
mod table;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use pair2score_data::files::write_atomic;
use pair2score_data::{DataError, Layout, ScoreScale};
use pair2score_train::config::{ConfigError, Transfer};
use pair2score_train::metrics::{MetricsError, RaterAgreement};
use thiserror::Error;

use documents::Documents;
use page::{Detail, Section};
use plots::overview::Line;
use plots::{Names, Plot, curves, errors, groups, overview, scores, slug};
use published::Published;
use rows::Row;
use run::{Prediction, Run, Subject};
use stats::{Agreement, PairedFold, paired_difference};
pub use stats::{Interval, bootstrap};

/// Why there is no report. The message names the file and what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A file is missing, damaged or cannot be written.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The configuration beside a run cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Predictions that no metric can be computed of.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

/// What to report.
#[derive(Debug, Clone)]
pub struct Options {
    /// Row that the others are compared with; by default the one without stage 1.
    pub baseline: Option<String>,
    /// CSV of the documents, for lengths and groups; by default the one that the runs name.
    pub documents: Option<PathBuf>,
    /// Its group columns; by default those that look like it.
    pub groups: Vec<String>,
    /// Kappa between people by trait, in place of that of second ratings and of what is published.
    pub human: BTreeMap<String, f64>,
    /// Draws of the bootstrap, at least 1.
    pub resamples: usize,
}

impl Default for Options {
    fn default() -> Self {
        let (baseline, documents, groups, human) = (None, None, Vec::new(), BTreeMap::new());
        Self { baseline, documents, groups, human, resamples: 2000 }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Runs found.
    pub runs: usize,
    /// The table of every trait, in Markdown.
    pub markdown: String,
    /// The table, beside the page.
    pub markdown_file: PathBuf,
    /// Folder of the plots and their numbers.
    pub plots: PathBuf,
    /// Plots in it.
    pub n_plots: usize,
    /// What the report lacks, and why.
    pub notes: Vec<String>,
}

/// Reads the runs below these folders and writes the page, its plots and the table.
///
/// # Errors
/// When there are no runs, a file of theirs is damaged, a named column or baseline is missing, or a file cannot be
/// written or is somebody else's.
pub fn write(folders: &[PathBuf], output: &Path, options: &Options) -> Result<Summary, ReportError> {
    check_table(output)?;
    let runs = run::find(folders)?.iter().map(|folder| Run::read(folder)).collect::<Result<Vec<_>, _>>()?;
    let (rows, mut notes) = rows::rows(&runs);
    let published = Published::read();
    let mut library = Library { options, read: HashMap::new() };
    let named = named_baseline(&rows, options)?;
    let subjects: BTreeSet<Subject<'_>> = runs.iter().map(Run::subject).collect();
    check_human(&subjects, options)?;
    let mut sections = Vec::new();
    for &subject in &subjects {
        // Kappa and explained variance are no numbers of one column.
        let has_grades = Subject { continuous: false, ..subject };
        let name = match subject.continuous && subjects.contains(&has_grades) {
            true => format!("{}, continuous", subject.target),
            false => subject.target.to_owned(),
        };
        let baseline = named.or_else(|| without_stage1(&rows, subject));
        if baseline.is_none() {
            notes.push(format!(
                "{name}: no run without stage 1, so nothing to compare with: name a row with --baseline"
            ));
        }
        let lines = lines(subject, &rows, baseline, &published, options.resamples);
        let documents = library.of(&lines, &mut notes)?;
        let raters = raters(&lines)?;
        let human = human(subject, raters.as_ref(), &published, options);
        sections.push(section(&name, &lines, baseline, (human, raters), documents));
    }
    let mut names = Names::default();
    sections.iter_mut().for_each(|section| section.name_files(&mut names));
    let markdown = page::markdown(&sections, &published, options.resamples);
    let folder = output.with_extension("files");
    let n_plots = write_plots(&folder, &sections)?;
    let markdown_file = output.with_extension("md");
    write_atomic(&markdown_file, markdown.as_bytes())?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let page = page::html(
        &sections,
        &runs,
        &published,
        options.resamples,
        rows::settings(&rows).as_ref(),
        &notes,
        &name,
    );
    write_atomic(output, page.as_bytes())?;
    Ok(Summary { runs: runs.len(), markdown, markdown_file, plots: folder, n_plots, notes })
}

/// Refuses a name where the table would replace a file that is none of an earlier report, which has its page beside it.
fn check_table(output: &Path) -> Result<(), ReportError> {
    let table = output.with_extension("md");
    if !table.exists() || output.exists() {
        return Ok(());
    }
    let what =
        "is there and not of an earlier report, whose page would be beside it; the table would replace it";
    Err(run::file(&table, what, "choose another name with --output, or remove it"))
}

/// The row that others are compared with where none is named: of those that train without stage 1, or else of heads alone
/// that know no pairs, the one that has the most runs.
fn without_stage1<'r, 'a>(rows: &'r [Row<'a>], subject: Subject<'_>) -> Option<&'r Row<'a>> {
    let n_runs = |row: &Row<'_>| row.runs.get(&subject).map_or(0, Vec::len);
    let of = |transfer: Transfer| {
        let rows = rows.iter().filter(|row| row.setup.transfer == transfer.name() && n_runs(row) > 0);
        rows.filter(|row| !row.setup.keys.contains_key(run::PAIRS)).rev().max_by_key(|row| n_runs(row))
    };
    of(Transfer::Scratch).or_else(|| of(Transfer::HeadOnly))
}

/// The row that is named for the others to be compared with.
fn named_baseline<'r, 'a>(
    rows: &'r [Row<'a>],
    options: &Options,
) -> Result<Option<&'r Row<'a>>, ReportError> {
    let Some(name) = &options.baseline else { return Ok(None) };
    let found = rows.iter().find(|row| row.name == *name);
    found.map(Some).ok_or_else(|| {
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        let what = format!("--baseline {name:?} is no row; they are: {}", names.join("; "));
        DataError::Setting { what, remedy: "name one of them".into() }.into()
    })
}

/// Refuses a kappa between people in what no run is about on a scale of grades, where it would mark nothing.
fn check_human(subjects: &BTreeSet<Subject<'_>>, options: &Options) -> Result<(), ReportError> {
    let graded = subjects.iter().filter(|subject| !subject.continuous);
    let graded: Vec<&str> = graded.map(|subject| subject.target).collect();
    let unknown = options.human.keys().find(|target| !graded.contains(&target.as_str()));
    let Some(target) = unknown else { return Ok(()) };
    let what = format!("--human {target:?} is no trait with grades; they are: {}", graded.join(", "));
    Err(DataError::Setting { what, remedy: "name one of them".into() }.into())
}

/// Kappa between people, where a scale has grades.
fn human(
    Subject { target, continuous }: Subject<'_>,
    raters: Option<&RaterAgreement>,
    published: &Published,
    options: &Options,
) -> Option<f64> {
    let given = options.human.get(target).copied();
    let known = given.or_else(|| raters?.qwk).or_else(|| published.human_agreement.qwk.get(target).copied());
    known.filter(|_| !continuous)
}

/// The rows that have runs of a trait.
fn lines<'a>(
    subject: Subject<'a>,
    rows: &'a [Row<'a>],
    baseline: Option<&'a Row<'a>>,
    published: &Published,
    resamples: usize,
) -> Vec<Line<'a>> {
    let reference = baseline.and_then(|row| row.runs.get(&subject));
    let line = |row: &'a Row<'a>| {
        let runs = row.runs.get(&subject)?;
        let is_baseline = baseline.is_some_and(|baseline| std::ptr::eq(baseline, row));
        let difference = match reference {
            Some(reference) if !is_baseline => {
                let folds: Vec<PairedFold> = paired(reference, runs);
                paired_difference(&folds, Agreement::on(&runs[0].scale), resamples)
            }
            _ => None,
        };
        let published = published.qwk(row.setup, subject.target).filter(|_| !subject.continuous);
        Some(Line { row, runs, published, difference })
    };
    rows.iter().filter_map(line).collect()
}

/// Grades of the documents that both have, fold by fold.
fn paired(baseline: &[&Run], others: &[&Run]) -> Vec<PairedFold> {
    let pair = |other: &&Run| {
        let reference = baseline
            .iter()
            .find(|run| run.fold == other.fold && run.scale.grades() == other.scale.grades())?;
        let scores: HashMap<&str, f64> =
            reference.predictions.iter().map(|p| (p.id.as_str(), p.score)).collect();
        let mut fold = PairedFold::default();
        for p in &other.predictions {
            if let Some(score) = scores.get(p.id.as_str()) {
                fold.labels.push(p.label);
                fold.baseline.push(*score);
                fold.other.push(p.score);
            }
        }
        (!fold.labels.is_empty()).then_some(fold)
    };
    others.iter().filter_map(pair).collect()
}

/// Document files, each read once.
struct Library<'o> {
    options: &'o Options,
    read: HashMap<PathBuf, Option<Documents>>,
}

impl Library<'_> {
    /// The documents of a trait's runs; `None` where the file is not there any more.
    fn of(&mut self, lines: &[Line<'_>], notes: &mut Vec<String>) -> Result<Option<&Documents>, ReportError> {
        let mut runs = lines.iter().flat_map(|line| line.runs.iter());
        let Some((run, (path, layout))) = runs.find_map(|run| Some((run, run.documents.as_ref()?))) else {
            let path = self.options.documents.clone();
            return match path {
                Some(path) => self.read(path, &Layout::default(), &ScoreScale::default(), notes),
                None => Ok(None),
            };
        };
        let path = self.options.documents.clone().unwrap_or_else(|| path.clone());
        self.read(path, layout, &run.scale, notes)
    }

    fn read(
        &mut self,
        path: PathBuf,
        layout: &Layout,
        scale: &ScoreScale,
        notes: &mut Vec<String>,
    ) -> Result<Option<&Documents>, ReportError> {
        if !self.read.contains_key(&path) {
            let named = self.options.documents.is_some() || !self.options.groups.is_empty();
            let documents = if path.is_file() || named {
                Some(Documents::read(&path, layout, scale, &self.options.groups)?)
            } else {
                notes.push(format!(
                    "{} is not there, so lengths and groups are not known: name the CSV with --documents",
                    path.file_name().unwrap_or_default().to_string_lossy()
                ));
                None
            };
            self.read.insert(path.clone(), documents);
        }
        Ok(self.read.get(&path).and_then(Option::as_ref))
    }
}

/// Everything about a trait.
fn section(
    target: &str,
    lines: &[Line<'_>],
    baseline: Option<&Row<'_>>,
    (human, raters): (Option<f64>, Option<RaterAgreement>),
    documents: Option<&Documents>,
) -> Section {
    let mut plots = vec![overview::agreement(target, lines, human)];
    plots.extend(baseline.and_then(|row| overview::differences(target, lines, &row.name)));
    let detail = |line: &Line<'_>| {
        let (runs, scale) = (line.runs, &line.runs[0].scale);
        let id = format!("{}-{}", slug(target), slug(&line.row.name));
        let mut plots = vec![
            scores::histogram(&id, runs, scale),
            scores::against_people(&id, runs, scale),
            scores::calibration(&id, runs, scale),
            errors::by_grade(&id, runs, scale),
        ];
        if let Some(grades) = scale.grades() {
            plots.insert(2, scores::confusion(&id, runs, grades));
        }
        plots.extend(documents.and_then(|documents| errors::by_length(&id, runs, documents)));
        let groups = documents.map(|documents| groups::plots(&id, runs, documents, scale));
        Detail { name: line.row.name.clone(), plots, groups: groups.unwrap_or_default() }
    };
    Section {
        target: target.to_owned(),
        human,
        raters,
        table: page::table(lines),
        table_id: format!("{}-table", slug(target)),
        paper: page::paper_table(lines),
        overview: plots,
        curves: curves::plots(target, lines),
        best: page::best(lines),
        details: lines.iter().map(detail).collect(),
    }
}

/// How two people agree about the test documents of all runs of a trait, each document once.
fn raters(lines: &[Line<'_>]) -> Result<Option<RaterAgreement>, ReportError> {
    let Some(first) = lines.first().and_then(|line| line.runs.first()) else { return Ok(None) };
    let runs = lines.iter().flat_map(|line| line.runs);
    let rated_twice =
        runs.flat_map(|run| &run.predictions).filter(|document| document.second_rating.is_some());
    let documents: BTreeMap<&str, &Prediction> =
        rated_twice.map(|document| (document.id.as_str(), document)).collect();
    let (labels, second): (Vec<f64>, Vec<Option<f64>>) =
        documents.values().map(|document| (document.label, document.second_rating)).unzip();
    Ok(RaterAgreement::new(&labels, &second, &first.scale)?)
}

/// Writes every plot and its numbers, and the tables; gives the number of plots. What an earlier report wrote and this
/// one does not stays: no page of this one names it, and to remove files is not a report's business.
fn write_plots(folder: &Path, sections: &[Section]) -> Result<usize, ReportError> {
    let mut n_plots = 0;
    for section in sections {
        write_atomic(folder.join(format!("{}.csv", section.table_id)), &section.table.csv())?;
        for plot in section.plots() {
            write_plot(folder, plot)?;
            n_plots += 1;
        }
    }
    Ok(n_plots)
}

fn write_plot(folder: &Path, plot: &Plot) -> Result<(), ReportError> {
    write_atomic(folder.join(format!("{}.svg", plot.id)), svg::standalone(&plot.svg()).as_bytes())?;
    Ok(write_atomic(folder.join(format!("{}.csv", plot.id)), &plot.numbers.csv())?)
}
