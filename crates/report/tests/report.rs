//! A report of runs that this test writes, against numbers worked out here.

use std::fs;
use std::path::PathBuf;

use pair2score_report::{Options, Summary, write};

/// What a run says about itself and its documents.
struct Written<'a> {
    name: &'a str,
    /// Between the lines that all configurations share.
    stage1: &'a str,
    stage2: &'a str,
    fold: &'a str,
    /// Label and score of each document, whose ids count from 0 within the fold.
    scores: &'a [(f64, f64)],
}

const BASELINE: (&str, &str) = ("enabled: false", "lora: {reuse_relative_adapter: false}");

fn config(run: &Written<'_>) -> String {
    let train: Vec<&str> = ["A", "B"].into_iter().filter(|fold| *fold != run.fold).collect();
    format!(
        "pipeline: {{experiment_id: x, trait: grammar, train_folds: {train:?}, test_fold: {}, seed: 1}}\n\
         paths: {{essays_csv: essays.csv, output_dir: o, checkpoint_dir: c}}\n\
         model: {{base_model: llama}}\n\
         stage1_relative: {{{}}}\n\
         stage2_absolute: {{{}}}\n",
        run.fold, run.stage1, run.stage2
    )
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn run(&self, run: &Written<'_>) {
        let folder = format!("outputs/{}/{}", run.name, run.fold);
        self.write(&format!("{folder}/run_1_config.yaml"), &config(run));
        let rows = run.scores.iter().enumerate();
        let rows: String =
            rows.map(|(i, (label, score))| format!("{}{i},{label},{score},{score}\n", run.fold)).collect();
        self.write(&format!("{folder}/test_predictions.csv"), &format!("id,label,score,grade\n{rows}"));
        self.write(
            &format!("{folder}/metrics.jsonl"),
            "{\"run\":\"1\"}\n\
             {\"stage\":\"absolute\",\"epoch\":1,\"step\":9,\"train_loss\":0.5,\"val_qwk_nearest\":0.25}\n\
             {\"stage\":\"absolute\",\"epoch\":2,\"step\":18,\"train_loss\":0.4,\"val_qwk_nearest\":0.3}\n",
        );
    }

    fn report(&self, options: &Options) -> Result<Summary, String> {
        write(&[self.path("outputs")], &self.path("report.html"), options).map_err(|error| error.to_string())
    }
}

/// Four grades once each; `right` of them are given, the rest are one step off.
fn scores(right: usize) -> Vec<(f64, f64)> {
    let off = |i: usize| if i < right { 0.0 } else { 0.5 };
    (0..4).map(|i| (2.0 + 0.5 * i as f64, 2.0 + 0.5 * i as f64 + off(i))).collect()
}

/// A baseline and a warm start over two folds.
fn two_rows(folder: &Folder) {
    for (fold, right) in [("A", 2), ("B", 3)] {
        let (stage1, stage2) = BASELINE;
        folder.run(&Written { name: "baseline", stage1, stage2, fold, scores: &scores(right) });
        let stage1 = "pairs_file: data/pairs_small/run1_grammar.jsonl, training: {epochs: 10}";
        folder.run(&Written { name: "warm", stage1, stage2: "mode: base", fold, scores: &scores(4) });
    }
}

/// Kappa by its definition: observed over expected disagreement, from the matrix.
fn kappa(pairs: &[(f64, f64)]) -> f64 {
    let class = |value: f64| (value * 2.0).round() as i64;
    let n = pairs.len() as f64;
    let distance = |a: f64, b: f64| ((class(a) - class(b)) as f64).powi(2);
    let observed: f64 = pairs.iter().map(|(a, b)| distance(*a, *b)).sum::<f64>() / n;
    let expected: f64 =
        pairs.iter().flat_map(|(a, _)| pairs.iter().map(move |(_, b)| distance(*a, *b))).sum::<f64>()
            / (n * n);
    1.0 - observed / expected
}

#[test]
fn the_table_has_means_deviations_and_published_values() {
    let folder = Folder::new();
    two_rows(&folder);
    let summary = folder.report(&Options::default()).unwrap();
    assert_eq!(summary.runs, 4);
    let [a, b] = [2, 3].map(|right| kappa(&scores(right)));
    let (mean, sd) = ((a + b) / 2.0, (a - b).abs() / 2.0_f64.sqrt());
    let table = folder.text("report.files/grammar-table.csv");
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[1].starts_with(&format!("scratch,2,{mean:.3} ± {sd:.3},–,")), "{table}");
    assert!(rows[1].contains(",0.6789,"), "{table}");
    assert!(rows[2].starts_with(&format!("warm start,2,1.000 ± 0.000,\"{:+.3} [", 1.0 - mean)), "{table}");
    assert!(rows[2].contains(",0.6604,"), "{table}");
    assert_eq!(rows.len(), 3);
    assert_eq!(folder.text("report.md"), summary.markdown);
    assert!(summary.markdown.contains("| warm start | 1.000 ± 0.000 |"), "{}", summary.markdown);
}

#[test]
fn a_head_alone_that_knows_no_pairs_is_a_baseline() {
    let folder = Folder::new();
    let pairs = "pairs_file: data/pairs_small/run1_grammar.jsonl";
    for (name, stage1, stage2, right) in [
        ("ridge", "enabled: false", "mode: head_only, head: ridge", 2),
        ("joint", &*format!("{pairs}, mode: head_only"), "mode: head_only, head: joint", 4),
        ("warm", pairs, "mode: base", 3),
    ] {
        folder.run(&Written { name, stage1, stage2, fold: "A", scores: &scores(right) });
    }
    let summary = folder.report(&Options::default()).unwrap();
    assert!(!summary.notes.iter().any(|note| note.contains("baseline")), "{:?}", summary.notes);
    let table = folder.text("report.files/grammar-table.csv");
    let with_difference: Vec<bool> = table.lines().skip(1).map(|row| row.contains('[')).collect();
    assert_eq!(
        (with_difference.len(), with_difference.iter().filter(|with| **with).count()),
        (3, 2),
        "{table}"
    );
    let ridge = table.lines().find(|row| row.contains("ridge")).unwrap();
    assert!(!ridge.contains('['), "{table}");
}

#[test]
fn runs_of_a_sweep_that_share_stage_1_are_rows() {
    let folder = Folder::new();
    two_rows(&folder);
    for (name, epochs) in [("large_10", 10), ("large_1", 1)] {
        for fold in ["A", "B"] {
            let stage1 = format!("from: checkpoints/stage1/{fold}_{epochs}/relative");
            // The braces close the section and open the next.
            let stage2 = format!(
                "mode: warm_start}}\nmetadata: {{setting: {name}, stage1_epochs: {epochs}, \
                 stage1_pairs: data/pairs_large/run1_grammar.jsonl"
            );
            folder.run(&Written { name, stage1: &stage1, stage2: &stage2, fold, scores: &scores(4) });
        }
    }
    folder.report(&Options::default()).unwrap();
    let table = folder.text("report.files/grammar-table.csv");
    // The published means of large pairs after ten epochs and after one.
    for (row, published) in [("warm start, large_10", "0.6502"), ("warm start, large_1", "0.6724")] {
        let line = table.lines().find(|line| line.starts_with(&format!("\"{row}\",")));
        let line = line.unwrap_or_else(|| panic!("{row}\n{table}"));
        assert!(line.contains(",2,") && line.contains(published), "{line}");
    }
}

#[test]
fn what_an_earlier_run_with_other_traits_has_left_is_no_run() {
    let folder = Folder::new();
    two_rows(&folder);
    folder.report(&Options::default()).unwrap();
    let before = folder.text("report.files/grammar-table.csv");
    // A run of grammar alone in the folder of one of several traits.
    folder.write(
        "outputs/baseline/A/vocabulary/test_predictions.csv",
        "id,label,score,grade\nA0,2,5,5\nA1,5,2,2\n",
    );
    assert_eq!(folder.report(&Options::default()).unwrap().runs, 4);
    assert_eq!(folder.text("report.files/grammar-table.csv"), before);
    // A run of two traits in the folder of one of grammar alone, whose predictions are other ones.
    let (config, predictions) = ("outputs/warm/A/run_1_config.yaml", "outputs/warm/A/test_predictions.csv");
    folder.write(config, &folder.text(config).replace("trait: grammar", "traits: [grammar, vocabulary]"));
    for target in ["grammar", "vocabulary"] {
        folder.write(&format!("outputs/warm/A/{target}/test_predictions.csv"), &folder.text(predictions));
    }
    folder.write(predictions, "id,label,score,grade\nA0,2,5,5\nA1,5,2,2\n");
    assert_eq!(folder.report(&Options::default()).unwrap().runs, 5);
    assert_eq!(folder.text("report.files/grammar-table.csv"), before);
}

#[test]
fn a_run_that_was_stopped_changes_nothing_about_the_results_before_it() {
    let folder = Folder::new();
    two_rows(&folder);
    folder.report(&Options::default()).unwrap();
    let before = folder.text("report.files/grammar-table.csv");
    // A later run in the same folder has written its configuration and no results.
    let outputs = "outputs/warm/A";
    let later =
        folder.text(&format!("{outputs}/run_1_config.yaml")).replace("trait: grammar", "trait: syntax");
    folder.write(&format!("{outputs}/run_2_config.yaml"), &later);
    folder.write(&format!("{outputs}/absolute_metrics_info.txt"), "timestamp: 1\ntrait: grammar\n");
    folder.report(&Options::default()).unwrap();
    assert_eq!(folder.text("report.files/grammar-table.csv"), before);
}

#[test]
fn what_changes_results_tells_rows_apart() {
    let folder = Folder::new();
    let (stage1, _) = BASELINE;
    let stage2 = "mode: head_only, head: ridge, calibration:";
    for (name, right) in [("linear", 2), ("isotonic", 3)] {
        let stage2 = format!("{stage2} {name}");
        folder.run(&Written { name, stage1, stage2: &stage2, fold: "A", scores: &scores(right) });
    }
    for (name, column) in
        [("prompts", "prompt: task"), ("weights", "label_se: se"), ("renamed", "text: essay")]
    {
        let stage2 = format!("{stage2} linear}}\ndata: {{columns: {{{column}}}");
        folder.run(&Written { name, stage1, stage2: &stage2, fold: "A", scores: &scores(4) });
    }
    let summary = folder.report(&Options::default()).unwrap();
    let table = folder.text("report.files/grammar-table.csv");
    // The name of a column of texts changes no result: of those two runs the later one counts.
    assert_eq!(table.lines().count(), 1 + 4, "{table}");
    let [left_out, counted] = ["linear", "renamed"].map(|name| folder.path(&format!("outputs/{name}/A")));
    let note = format!(
        "grammar, fold A: {} is left out, as {} is of the same setting and comes later",
        left_out.display(),
        counted.display()
    );
    assert_eq!(summary.notes.iter().filter(|said| **said == note).count(), 1, "{:?}", summary.notes);
    assert_eq!(summary.notes.iter().filter(|said| said.contains("left out")).count(), 1);
    assert!(folder.text("report.html").contains("is left out, as"));
    let kappa_of = |right| format!(",1,{:.3}", kappa(&scores(right)));
    let isotonic = table.lines().find(|line| line.contains("isotonic")).unwrap_or_else(|| panic!("{table}"));
    assert!(isotonic.contains(&kappa_of(3)), "{table}");
}

#[test]
fn runs_with_grades_and_without_are_two_tables() {
    let folder = Folder::new();
    two_rows(&folder);
    folder.report(&Options::default()).unwrap();
    let before = folder.text("report.files/grammar-table.csv");
    for (fold, right) in [("A", 2), ("B", 3)] {
        let (stage1, stage2) = BASELINE;
        folder.run(&Written { name: "any", stage1, stage2, fold, scores: &scores(right) });
        let config = format!("outputs/any/{fold}/run_1_config.yaml");
        folder.write(&config, &(folder.text(&config) + "scale: {min: 1, max: 5}\n"));
    }
    let summary = folder.report(&Options::default()).unwrap();
    let names = |table: &str| -> Vec<String> {
        table.lines().map(|line| line.split(',').next().unwrap_or_default().to_owned()).collect()
    };
    let graded = folder.text("report.files/grammar-table.csv");
    assert_eq!(names(&graded).len(), names(&before).len(), "{graded}");
    let differences = |table: &str| table.matches('[').count();
    assert_eq!(differences(&graded), differences(&before), "{graded}");
    assert!(graded.starts_with("setting,folds,QWK,"));
    // Labels of 2 to 3.5 have squares of 1.25 around their mean; two scores are 0.5 off, or one.
    let table = folder.text("report.files/grammar-continuous-table.csv");
    let [first, second] = [0.5, 0.25].map(|squares| 1.0 - squares / 1.25);
    let mean = (first + second) / 2.0;
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[0].starts_with("setting,folds,R²,") && rows.len() == 2, "{table}");
    assert!(rows[1].contains(&format!(",2,{mean:.3} ± ")), "{table}");
    assert!(summary.markdown.contains("### grammar, continuous"), "{}", summary.markdown);
}

#[test]
fn the_page_is_whole_and_asks_nothing_of_a_network() {
    let folder = Folder::new();
    two_rows(&folder);
    folder.write("essays.csv", "text_id,full_text,fold,grammar,gender\n");
    let rows: String = ["A", "B"]
        .iter()
        .flat_map(|fold| {
            (0..4).map(move |i| {
                format!("{fold}{i},{}text,{fold},2.0,{}\n", "word ".repeat(i * 7), ["f", "m"][i % 2])
            })
        })
        .collect();
    folder.write("essays.csv", &format!("text_id,full_text,fold,grammar,gender\n{rows}"));
    let options = Options { documents: Some(folder.path("essays.csv")), ..Options::default() };
    let summary = folder.report(&options).unwrap();
    let page = folder.text("report.html");
    for outside in ["http:", "https:", "<script", "<link", "<img", "url(", "@import"] {
        let found = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!found.contains(outside), "{outside}");
    }
    // Two overview plots, two curves, and six of each row; groups of fewer than ten documents are not shown.
    assert_eq!(summary.n_plots, 2 + 2 + 2 * 6);
    assert_eq!(page.matches("<svg ").count(), summary.n_plots);
    let mut ids: Vec<&str> =
        page.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let n = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), n, "every id is there once");
    let files: Vec<String> = fs::read_dir(&summary.plots)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let of = |kind: &str| files.iter().filter(|name| name.ends_with(kind)).count();
    assert_eq!((of(".svg"), of(".csv")), (summary.n_plots, summary.n_plots + 1));
    for name in files.iter().filter(|name| name.ends_with(".svg")) {
        let svg = folder.text(&format!("report.files/{name}"));
        assert!(svg.starts_with("<svg ") && svg.contains("<title ") && svg.contains("<desc "), "{name}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}");
        assert!(page.contains(&format!("href=\"report.files/{name}\"")), "{name}");
    }
    // Lengths of the documents are where they belong: the longest group has 22 words.
    let lengths = folder.text("report.files/grammar-scratch-errors-by-length.csv");
    assert!(lengths.lines().last().unwrap().starts_with("22,"), "{lengths}");
}

#[test]
fn traits_whose_names_come_to_one_have_files_of_their_own() {
    let folder = Folder::new();
    let (stage1, stage2) = BASELINE;
    for (target, right) in [("a-b", 4), ("a.b", 2)] {
        folder.run(&Written { name: target, stage1, stage2, fold: "A", scores: &scores(right) });
        let config = format!("outputs/{target}/A/run_1_config.yaml");
        folder.write(&config, &folder.text(&config).replace("trait: grammar", &format!("trait: {target}")));
    }
    let summary = folder.report(&Options::default()).unwrap();
    for (file, right) in [("a-b-table", 4), ("a-b-table-2", 2)] {
        let table = folder.text(&format!("report.files/{file}.csv"));
        assert!(table.contains(&format!("scratch,1,{:.3}", kappa(&scores(right)))), "{table}");
    }
    let page = folder.text("report.html");
    for end in ["", "-2"] {
        let name = format!("a-b-scratch-histogram{end}.svg");
        assert!(folder.text(&format!("report.files/{name}")).starts_with("<svg "), "{name}");
        assert_eq!(page.matches(&format!("href=\"report.files/{name}\"")).count(), 1, "{name}");
    }
    let files = fs::read_dir(&summary.plots).unwrap().count();
    assert_eq!(files, 2 * summary.n_plots + 2, "each plot has two files, and each trait a table");
}

#[test]
fn groups_are_measured_where_the_documents_have_them() {
    let folder = Folder::new();
    // Twenty documents a group; group m is scored half a point too high.
    let scores: Vec<(f64, f64)> = (0..40)
        .map(|i| {
            let label = 2.0 + 0.5 * f64::from(i / 2 % 4);
            (label, label + if i % 2 == 1 { 0.5 } else { 0.0 })
        })
        .collect();
    let (stage1, stage2) = BASELINE;
    folder.run(&Written { name: "baseline", stage1, stage2, fold: "A", scores: &scores });
    let rows: String = (0..40).map(|i| format!("A{i},some text,A,2.0,{}\n", ["f", "m"][i % 2])).collect();
    folder.write("essays.csv", &format!("text_id,full_text,fold,grammar,gender\n{rows}"));
    let options = Options { documents: Some(folder.path("essays.csv")), ..Options::default() };
    folder.report(&options).unwrap();
    // Variance of 2, 2.5, 3, 3.5 with n - 1 of 20: 0.3125 · 20 / 19.
    let smd = 0.5 / (0.3125_f64 * 20.0 / 19.0).sqrt();
    let numbers = folder.text("report.files/grammar-scratch-group-gender.csv");
    let rows: Vec<&str> = numbers.lines().collect();
    assert_eq!(rows[1], "f,20,0,0,1");
    let found: Vec<f64> = rows[2].split(',').skip(1).map(|cell| cell.parse().unwrap()).collect();
    assert!((found[1] - smd).abs() < 1e-6 && found[2] == 0.5, "{numbers}");
}

#[test]
fn a_run_of_another_program_is_a_row() {
    let folder = Folder::new();
    two_rows(&folder);
    folder.write(
        "outputs/tfidf/absolute_metrics_info.txt",
        "trait: grammar\ntransfer: TF-IDF + ridge\ntest_fold: A\n",
    );
    folder.write("outputs/tfidf/test_predictions.csv", "id,label,score,grade\nA0,2,2,2\nA1,2.5,2.9,3\n");
    folder.report(&Options::default()).unwrap();
    let table = folder.text("report.files/grammar-table.csv");
    assert!(table.lines().nth(1).unwrap().starts_with("TF-IDF + ridge,1,"), "{table}");
}

#[test]
fn second_ratings_say_what_a_scorer_can_reach() {
    let folder = Folder::new();
    two_rows(&folder);
    // Each document once, though every row has it: labels 2, 2.5, 3, 3.5 with half a grade more, the highest less.
    let rated = |row: &str| {
        let label: f64 = row.split(',').nth(1).unwrap().parse().unwrap();
        format!("{row},{}\n", if label < 3.5 { label + 0.5 } else { label - 1.5 })
    };
    for path in ["baseline/A", "baseline/B"].map(|run| format!("outputs/{run}/test_predictions.csv")) {
        let rows: String = folder.text(&path).lines().skip(1).map(rated).collect();
        folder.write(&path, &format!("id,label,score,grade,second_rating\n{rows}"));
    }
    folder.report(&Options::default()).unwrap();
    // 2, 2.5, 3, 3.5 and 2.5, 3, 3.5, 2 with deviations -3, -1, 1, 3 and -1, 1, 3, -3 in quarters: 3 - 1 + 3 - 9 of 20.
    let text = folder.text("report.md");
    assert!(text.contains("Two people agree at a kappa of -0.20."), "{text}");

    let same = |row: &str| format!("{row},{}\n", row.split(',').nth(1).unwrap());
    let path = "outputs/baseline/A/test_predictions.csv";
    let rows: String =
        folder.text(path).lines().skip(1).map(|row| same(row.rsplit_once(',').unwrap().0)).collect();
    folder.write(path, &format!("id,label,score,grade,second_rating\n{rows}"));
    folder.report(&Options::default()).unwrap();
    // Of eight documents now four agree: (20 - 4) / 40.
    let text = folder.text("report.md");
    let expected = "Two people agree at a kappa of 0.40. With one of them, a perfect scorer would agree at 0.57, and one \
                    that errs as a single rater does at 0.40.";
    assert!(text.contains(expected) && folder.text("report.html").contains(expected), "{text}");
    // What is said by hand goes before what is computed.
    let human = [("grammar".to_owned(), 0.5)].into();
    folder.report(&Options { human, ..Options::default() }).unwrap();
    assert!(folder.text("report.md").contains("Two people agree at a kappa of 0.50."));
}

#[test]
fn what_cannot_be_reported_is_named() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path("outputs")).unwrap();
    let error = folder.report(&Options::default()).unwrap_err();
    assert!(error.contains("outputs: holds no outputs of a finished run"), "{error}");
    two_rows(&folder);
    folder.write("report.md", "Notes of somebody.\n");
    let error = folder.report(&Options::default()).unwrap_err();
    assert!(error.contains("report.md: is there and not of an earlier report"), "{error}");
    assert_eq!(folder.text("report.md"), "Notes of somebody.\n");
    fs::remove_file(folder.path("report.md")).unwrap();
    let baseline = Options { baseline: Some("fusion".into()), ..Options::default() };
    let error = folder.report(&baseline).unwrap_err();
    assert!(error.contains("they are: scratch; warm start"), "{error}");
    let human = [("gramar".to_owned(), 0.5)].into();
    let error = folder.report(&Options { human, ..Options::default() }).unwrap_err();
    assert!(error.contains("--human \"gramar\" is no trait with grades; they are: grammar"), "{error}");
    let documents = Options { documents: Some(folder.path("none.csv")), ..Options::default() };
    assert!(folder.report(&documents).unwrap_err().contains("none.csv"));

    folder.write("outputs/warm/A/test_predictions.csv", "id,label,score,grade\nA0,2,high,2\n");
    let error = folder.report(&Options::default()).unwrap_err();
    assert!(error.contains("test_predictions.csv: row 2: score is \"high\""), "{error}");
}
