//! `export --format web`: a site that scores as the scorer it was made from.

mod common;

use common::Folder;
use serde_json::json;

const EXPORT: &str = "export --scorer scorer --format web --page page --output site";

/// A scorer, and a folder that looks like a built page with a bundle of its own.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.scorer(true);
    folder.write("page/index.html", "the page");
    folder.write("page/assets/main.js", "code");
    folder.write("page/bundle/manifest.json", "another scorer");
    folder
}

/// The table that `score` writes about the small corpus.
fn table(folder: &Folder, scorer: &str) -> String {
    folder.run(&format!("score --scorer {scorer} --input essays.csv --output {scorer}.csv")).expect(0);
    folder.text(&format!("{scorer}.csv"))
}

/// The scores in that table.
fn scores(folder: &Folder, scorer: &str) -> Vec<f64> {
    let csv = table(folder, scorer);
    csv.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().parse().unwrap()).collect()
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn the_site_is_the_page_and_a_whole_scorer() {
    let folder = folder();
    let said = folder.run(EXPORT).expect(0);
    assert!(said.contains("wrote site: web in f32") && said.contains("largest score difference"), "{said}");
    for (file, content) in [("site/index.html", "the page"), ("site/assets/main.js", "code")] {
        assert_eq!(folder.text(file), content);
    }
    let manifest = folder.json("site/bundle/manifest.json");
    assert_eq!(manifest["format"], 1);
    assert!(manifest["golden"].as_array().unwrap().iter().all(|golden| golden["score"].is_f64()));
    assert_eq!(scores(&folder, "site"), scores(&folder, "scorer"));

    // Half precision, over the earlier site.
    folder.run(&format!("{EXPORT} --dtype f16")).expect(0);
    let difference = largest_difference(&scores(&folder, "site"), &scores(&folder, "scorer"));
    assert!(difference > 0.0 && difference < 0.02, "{difference}");
}

#[test]
fn a_packed_site_has_its_table_in_f16_unless_told_otherwise() {
    let folder = folder();
    for (dtype, expected) in [("", "f16"), ("--dtype f32", "f32")] {
        let said = folder.run(&format!("{EXPORT} --quantize q8 {dtype}")).expect(0);
        let manifest = folder.json("site/bundle/manifest.json");
        let is_table =
            |tensor: &&serde_json::Value| tensor["name"].as_str().unwrap().ends_with("embed_tokens.weight");
        let table = manifest["tensors"].as_array().unwrap().iter().find(is_table).unwrap();
        assert_eq!(table["dtype"], expected, "{said}");
        let difference = largest_difference(&scores(&folder, "site"), &scores(&folder, "scorer"));
        assert!(difference < 0.05, "{difference}");
    }
}

#[test]
fn a_site_rates_all_traits_of_its_scorer() {
    let folder = folder();
    folder.scorer_of(&["grammar", "syntax"], true);
    let mut settings = folder.json("scorer/scorer.json");
    settings["traits"][1]["scale"] = json!({ "min": -2.0, "max": 2.0 });
    settings["traits"][0]["label_counts"] = json!([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let thresholds = [1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4.25, 4.75];
    let knots = [[-1.0, 1.0], [1.0, 5.0]];
    settings["traits"][0]["calibration"] =
        json!({ "method": "linear", "documents": 9, "knots": knots, "thresholds": thresholds });
    folder.write("scorer/scorer.json", settings.to_string());
    folder.run(EXPORT).expect(0);
    let manifest = folder.json("site/bundle/manifest.json");
    for (written, given) in
        manifest["scorer"]["traits"].as_array().unwrap().iter().zip(settings["traits"].as_array().unwrap())
    {
        for key in ["target", "scale", "label_counts", "calibration"] {
            assert_eq!(written[key], given[key], "{key}");
        }
    }
    for golden in manifest["golden"].as_array().unwrap() {
        let [score, utility] = ["score", "utility"].map(|key| golden[key].as_array().unwrap());
        assert!(score.len() == 2 && utility.len() == 2 && score[0] != score[1], "{golden}");
    }
    let of_site = table(&folder, "site");
    assert!(of_site.starts_with("id,grammar,grammar_grade,syntax,syntax_grade,truncated\n"), "{of_site}");
    assert_eq!(of_site, table(&folder, "scorer"));
}

#[test]
fn what_no_site_can_be_made_from_is_said() {
    let folder = folder();
    for (args, message) in [
        (format!("{EXPORT} --dtype bf16"), "no browser computes in bf16; use --dtype f16 or f32"),
        (
            EXPORT.replace("--page page", "--page nowhere"),
            "nowhere: has no built page (index.html); build it with scripts/web.sh",
        ),
    ] {
        let outcome = folder.run(&args);
        assert_eq!(outcome.code, Some(2), "{args}");
        assert!(outcome.stderr.contains(message), "{}", outcome.stderr);
        assert!(folder.files("site").is_empty());
    }
}
