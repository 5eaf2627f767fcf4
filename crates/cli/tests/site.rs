//! `export --format web`: a site that scores as the scorer it was made from.

mod common;

use common::Folder;

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

/// Scores of the small corpus, from the CSV that `score` writes.
fn scores(folder: &Folder, scorer: &str) -> Vec<f64> {
    folder.run(&format!("score --scorer {scorer} --input essays.csv --output {scorer}.csv")).expect(0);
    let csv = folder.text(&format!("{scorer}.csv"));
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
