//! The page and the Markdown table.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use pair2score_train::metrics::RaterAgreement;

use crate::plots::overview::{Line, measure};
use crate::plots::{Names, Plot};
use crate::published::Published;
use crate::run::{KAPPA, Run};
use crate::svg::{STYLE, escape};
use crate::table::{Cells, number, signed, with_sd};

/// A trait.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) target: String,
    /// Kappa between people.
    pub(crate) human: Option<f64>,
    /// By second ratings, where runs have some.
    pub(crate) raters: Option<RaterAgreement>,
    pub(crate) table: Cells,
    /// Name of its file.
    pub(crate) table_id: String,
    /// The columns that a paper has room for.
    pub(crate) paper: Cells,
    pub(crate) overview: Vec<Plot>,
    pub(crate) curves: Vec<Plot>,
    /// The row to look at first.
    pub(crate) best: Option<String>,
    pub(crate) details: Vec<Detail>,
}

/// A row of a trait.
#[derive(Debug)]
pub(crate) struct Detail {
    pub(crate) name: String,
    pub(crate) plots: Vec<Plot>,
    /// By group column: the plot and its table.
    pub(crate) groups: Vec<(Plot, Cells)>,
}

impl Section {
    /// What two people reach, and what a scorer can.
    fn people(&self) -> Option<String> {
        let people = format!("Two people agree at a kappa of {:.2}", self.human?);
        let limits = self.raters.and_then(|raters| raters.ceiling_perfect.zip(raters.ceiling_rater));
        Some(match limits {
            None => format!("{people}."),
            Some((perfect, rater)) => format!(
                "{people}. With one of them, a perfect scorer would agree at {perfect:.2}, and one that errs as a single \
                 rater does at {rater:.2}."
            ),
        })
    }

    /// All plots, in the order of the page.
    pub(crate) fn plots(&self) -> impl Iterator<Item = &Plot> {
        let details = self
            .details
            .iter()
            .flat_map(|detail| detail.plots.iter().chain(detail.groups.iter().map(|(plot, _)| plot)));
        self.overview.iter().chain(&self.curves).chain(details)
    }

    /// Gives its files names that no other file of the report has.
    pub(crate) fn name_files(&mut self, names: &mut Names) {
        self.table_id = names.give(&self.table_id);
        let details = self
            .details
            .iter_mut()
            .flat_map(|detail| detail.plots.iter_mut().chain(detail.groups.iter_mut().map(|(plot, _)| plot)));
        for plot in self.overview.iter_mut().chain(&mut self.curves).chain(details) {
            plot.id = names.give(&plot.id);
        }
    }
}

fn floor(run: &Run) -> Option<f64> {
    run.plain.qwk_floor
}

fn thresholds(run: &Run) -> Option<f64> {
    run.calibrated?.1
}

/// Difference and its interval.
fn difference(line: &Line<'_>) -> String {
    line.difference.map_or_else(|| "–".into(), |d| format!("{:+.3} [{:+.3}, {:+.3}]", d.value, d.low, d.high))
}

/// Every metric of every row.
pub(crate) fn table(lines: &[Line<'_>]) -> Cells {
    if *measure(lines) != KAPPA {
        return table_without_grades(lines);
    }
    let mut cells = Cells::new(&[
        "setting",
        "folds",
        "QWK",
        "from baseline, 95 %",
        "QWK floor",
        "published",
        "floor minus published",
        "QWK calibrated",
        "QWK thresholds",
        "MAE",
        "RMSE",
        "Pearson",
    ]);
    for line in lines {
        let against =
            line.over_folds(floor).zip(line.published).map(|((mean, _), published)| mean - published);
        cells.push(vec![
            line.row.name.clone(),
            line.runs.len().to_string(),
            with_sd(line.over_folds(Run::agreement)),
            difference(line),
            with_sd(line.over_folds(floor)),
            number(line.published),
            signed(against),
            with_sd(line.over_folds(Run::calibrated_agreement)),
            with_sd(line.over_folds(thresholds)),
            with_sd(line.over_folds(|run| Some(run.plain.mae))),
            with_sd(line.over_folds(|run| Some(run.plain.rmse))),
            with_sd(line.over_folds(|run| run.plain.pearson)),
        ]);
    }
    cells
}

fn table_without_grades(lines: &[Line<'_>]) -> Cells {
    let mut cells = Cells::new(&[
        "setting",
        "folds",
        "R²",
        "from baseline, 95 %",
        "R² calibrated",
        "Pearson",
        "Spearman",
        "MAE",
        "RMSE",
    ]);
    for line in lines {
        cells.push(vec![
            line.row.name.clone(),
            line.runs.len().to_string(),
            with_sd(line.over_folds(Run::agreement)),
            difference(line),
            with_sd(line.over_folds(Run::calibrated_agreement)),
            with_sd(line.over_folds(|run| run.plain.pearson)),
            with_sd(line.over_folds(|run| run.plain.spearman)),
            with_sd(line.over_folds(|run| Some(run.plain.mae))),
            with_sd(line.over_folds(|run| Some(run.plain.rmse))),
        ]);
    }
    cells
}

/// What fits the width of a paper.
pub(crate) fn paper_table(lines: &[Line<'_>]) -> Cells {
    if *measure(lines) != KAPPA {
        return table_without_grades(lines);
    }
    let mut cells =
        Cells::new(&["Setting", "QWK", "from baseline [95 %]", "calibrated", "floor", "published", "MAE"]);
    for line in lines {
        cells.push(vec![
            line.row.name.clone(),
            with_sd(line.over_folds(Run::agreement)),
            difference(line),
            with_sd(line.over_folds(Run::calibrated_agreement)),
            with_sd(line.over_folds(floor)),
            number(line.published),
            with_sd(line.over_folds(|run| Some(run.plain.mae))),
        ]);
    }
    cells
}

/// The row with the highest mean agreement.
pub(crate) fn best(lines: &[Line<'_>]) -> Option<String> {
    let scored = lines.iter().filter_map(|line| Some((line.over_folds(Run::agreement)?.0, &line.row.name)));
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name.clone())
}

/// The tables for a paper, with what has to be said about them.
pub(crate) fn markdown(sections: &[Section], published: &Published, resamples: usize) -> String {
    let mut text = String::new();
    for section in sections {
        let _ = write!(text, "### {}\n\n{}\n", section.target, section.paper.markdown());
        if let Some(people) = section.people() {
            let _ = writeln!(text, "{people}\n");
        }
    }
    let _ = writeln!(
        text,
        "Quadratic weighted kappa on held-out folds, mean ± standard deviation over folds. QWK rounds scores to the \
         nearest grade, floor takes the grade below over the grades that occur, calibrated rounds the score that \
         validation documents correct. Where labels are no grades, R² is the share of their variance that scores explain. \
         Differences from the baseline: paired bootstrap over documents, {resamples} \
         draws. Published: {}, {}; {}.",
        published.source, published.backbone, published.note
    );
    text
}

/// The page; `files` is the name of the folder beside it.
pub(crate) fn html(
    sections: &[Section],
    runs: &[Run],
    published: &Published,
    resamples: usize,
    settings: Option<&Cells>,
    notes: &[String],
    files: &str,
) -> String {
    let mut body = String::new();
    let mut put = |text: String| body += &text;
    let folds: BTreeSet<&str> = runs.iter().map(|run| run.fold.as_str()).collect();
    let traits: Vec<&str> = sections.iter().map(|section| section.target.as_str()).collect();
    put(format!(
        "<header><h1>Pair2Score report</h1><p class=\"lede\">{} {} of {}; {} {}: {}. Every number is computed from the \
         predictions for documents that training did not see.</p><nav aria-label=\"Traits\">",
        runs.len(),
        if runs.len() == 1 { "run" } else { "runs" },
        escape(&traits.join(", ")),
        folds.len(),
        if folds.len() == 1 { "held-out fold" } else { "held-out folds" },
        escape(&folds.into_iter().collect::<Vec<_>>().join(" ")),
    ));
    for target in &traits {
        put(format!("<a href=\"#{0}\">{0}</a> ", escape(target)));
    }
    put("<a href=\"#method\">method</a></nav></header><main>".into());
    if !notes.is_empty() {
        let items: String = notes.iter().map(|note| format!("<li>{}</li>", escape(note))).collect();
        put(format!("<ul class=\"notes\">{items}</ul>"));
    }
    for section in sections {
        put(format!("<section id=\"{0}\"><h2>{0}</h2>", escape(&section.target)));
        put(section.table.html("Mean ± standard deviation over folds"));
        if let Some(people) = section.people() {
            put(format!("<p class=\"quiet\">{people}</p>"));
        }
        put(format!("<div class=\"wide\">{}</div>", figures(&section.overview, files)));
        if !section.curves.is_empty() {
            put(format!(
                "<h3>Learning curves</h3><div class=\"grid\">{}</div>",
                figures(&section.curves, files)
            ));
        }
        put("<h3>Scores and errors</h3>".into());
        for detail in &section.details {
            let open = if section.best.as_ref() == Some(&detail.name) { " open" } else { "" };
            put(format!(
                "<details{open}><summary>{}</summary><div class=\"grid\">{}</div>",
                escape(&detail.name),
                figures(&detail.plots, files)
            ));
            for (plot, table) in &detail.groups {
                let figure = figures(std::slice::from_ref(plot), files);
                put(format!("<div class=\"wide\">{figure}{}</div>", table.html(&plot.title)));
            }
            put("</details>".into());
        }
        put("</section>".into());
    }
    if let Some(settings) = settings {
        put(format!("<section><h2>Settings</h2>{}</section>", settings.html("Where rows differ")));
    }
    put(method(published, resamples, files));
    put(run_list(runs));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>Pair2Score report</title><style>{STYLE}{}</style></head><body>{body}</main></body></html>\n",
        include_str!("page.css")
    )
}

fn figures(plots: &[Plot], files: &str) -> String {
    let figure = |plot: &Plot| {
        format!(
            "<figure><h4>{}</h4>{}<figcaption>{} <a href=\"{files}/{id}.svg\">SVG</a> \
             <a href=\"{files}/{id}.csv\">numbers</a></figcaption></figure>",
            escape(&plot.title),
            plot.svg(),
            escape(&plot.caption),
            files = escape(files),
            id = plot.id,
        )
    };
    plots.iter().map(figure).collect()
}

fn method(published: &Published, resamples: usize, files: &str) -> String {
    format!(
        "<section id=\"method\"><h2>Method</h2><ul>\
         <li>A row is a setting, and its name says what tells it from others of its kind; the table of settings has every \
         difference. Folds are held out in turn: means \
         and standard deviations (n − 1) are over folds, plots of single rows pool the documents of all folds.</li>\
         <li>QWK rounds scores and labels to the nearest grade. QWK floor, the published form, takes the highest grade \
         not above a score and numbers the grades that occur. QWK calibrated rounds the calibrated score; QWK \
         thresholds gives grades by the thresholds. Both were fitted on validation documents. Where labels are no grades, \
         R² is the share of their variance that scores explain.</li>\
         <li>Differences from the baseline are means over the folds that both have. Their 95 % intervals are \
         percentiles of {resamples} draws of the paired bootstrap: documents are drawn anew within each fold, the same \
         for both. They say how much the choice of documents matters, not how much the seed of training does.</li>\
         <li>Standardised mean difference of a group: mean of score minus mean of people, over the root of the mean \
         variance of both (Williamson, Xi and Breyer 2012, who call 0.1 large).</li>\
         <li>Published values: {}, {}; {}. Agreement of people: {}.</li>\
         <li>Every plot is in the folder {} as SVG, its numbers as CSV.</li></ul></section>",
        escape(&published.source),
        escape(&published.backbone),
        escape(&published.note),
        escape(&published.human_agreement.source),
        escape(files),
    )
}

/// Where every number comes from.
fn run_list(runs: &[Run]) -> String {
    let measures: BTreeSet<&str> = runs.iter().map(|run| run.measure().short).collect();
    let agreement = measures.into_iter().collect::<Vec<_>>().join(" or ");
    let calibrated = format!("{agreement} calibrated");
    let mut cells =
        Cells::new(&["folder", "trait", "fold", "setting", "documents", &agreement, &calibrated, "MAE"]);
    for run in runs {
        cells.push(vec![
            run.folder.display().to_string(),
            run.target.clone(),
            run.fold.clone(),
            run.setup.transfer.clone(),
            run.predictions.len().to_string(),
            number(run.agreement()),
            number(run.calibrated_agreement()),
            number(Some(run.plain.mae)),
        ]);
    }
    format!(
        "<section><h2>Runs</h2><details><summary>{} runs</summary>{}</details></section>",
        runs.len(),
        cells.html("Runs")
    )
}
