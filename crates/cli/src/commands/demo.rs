//! `demo`: everything at once on embedded data, so that a first try needs no file and no download.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use pair2score_data::files::write_atomic;
use pair2score_export::{Format, Precision};
use pair2score_train::OnUnfinished;
use pair2score_train::config::{self, Settings};
use pair2score_train::run::{RunReport, Stages};

use super::cell;
use super::run::Training;
use crate::Answer;
use crate::args::{DemoArgs, DeviceArgs, ExportArgs};
use crate::device::Device;
use crate::page;

/// The configuration, for the file system and for the program.
const CONFIG: &str = include_str!("../../../../configs/demo.yaml");

/// What the demo needs, by its place under `data/demo/`.
const FILES: [(&str, &[u8]); 7] = [
    ("essays.csv", include_bytes!("../../../../data/demo/essays.csv")),
    ("pairs/run1_grammar.jsonl", include_bytes!("../../../../data/demo/pairs/run1_grammar.jsonl")),
    ("pairs/run1_grammar_meta.json", include_bytes!("../../../../data/demo/pairs/run1_grammar_meta.json")),
    ("backbone/config.json", include_bytes!("../../../../data/demo/backbone/config.json")),
    ("backbone/model.safetensors", include_bytes!("../../../../data/demo/backbone/model.safetensors")),
    ("backbone/tokenizer.json", include_bytes!("../../../../data/demo/backbone/tokenizer.json")),
    (
        "backbone/tokenizer_config.json",
        include_bytes!("../../../../data/demo/backbone/tokenizer_config.json"),
    ),
];

/// The rows of the table: a name and what differs from `configs/demo.yaml`.
const ROWS: [(&str, &[&str]); 3] = [
    ("baseline", &["stage1_relative.enabled=false", "stage2_absolute.lora.reuse_relative_adapter=false"]),
    ("warm start", &[]),
    ("fusion", &["stage2_absolute.embedding_fusion.enabled=true"]),
];

/// Trains the three rows and prints them side by side.
pub(crate) fn run(args: DemoArgs) -> Result<Answer> {
    let started = Instant::now();
    let data = args.output.join("data");
    for (name, bytes) in FILES {
        write_atomic(data.join(name), bytes)?;
    }
    let first = settings(&args.output, "baseline", &[])?;
    let device = Device::choose(args.device.device, Some(&first))?;
    errln!(
        "Three scorers of {} on {device}, from a synthetic corpus: 400 short essays that a program wrote and\n\
         whose scores follow from how it wrote them. The numbers are real, the learners are not.",
        first.pipeline.target
    );
    let mut rows = Vec::new();
    for (name, sets) in ROWS {
        errln!("\n-- {name}");
        let settings = settings(&args.output, name, sets)?;
        let training = Training {
            settings: &settings,
            stages: Stages::Both,
            unfinished: OnUnfinished::Discard,
            others: Vec::new(),
        };
        rows.push((name, device.run(training)?));
    }
    print_table(&first, &rows);
    outln!(
        "\nSynthetic corpus, held-out fold {}. {:.0} s in all. Everything is in {}.",
        first.pipeline.test_fold,
        started.elapsed().as_secs_f64(),
        args.output.display()
    );
    let scorer = rows.last().and_then(|(_, report)| report.absolute.as_ref()).map(|a| a.scorer.clone());
    if let Some(scorer) = scorer {
        outln!(
            "Try the fusion scorer: pair2score score --scorer {} --input {} --output scores.csv",
            scorer.display(),
            data.join("essays.csv").display()
        );
        write_site(args.output.join("site"), scorer, args.device)?;
    }
    Ok(Answer::Yes)
}

/// Writes the scoring page with the scorer, where the page has been built.
fn write_site(site: PathBuf, scorer: PathBuf, device: DeviceArgs) -> Result<()> {
    let page = page::folder();
    if !page.join("index.html").is_file() {
        outln!("With the page built by scripts/web.sh, the demo ends with a web site of this scorer.");
        return Ok(());
    }
    let shown = site.display().to_string();
    let (format, dtype) = (Format::Web, Precision::F32);
    let (page, quantize, calibrated) = (Some(page), None, false);
    super::export::run(ExportArgs {
        scorer,
        format,
        output: site,
        calibrated,
        dtype,
        quantize,
        page,
        device,
    })?;
    outln!("Open the scoring page: pair2score serve --site {shown}");
    Ok(())
}

/// The demo's configuration with its files under `output`.
fn settings(output: &Path, row: &str, sets: &[&str]) -> Result<Settings> {
    let row = row.replace(' ', "_");
    let data = output.join("data");
    // Quoted, so that no folder name is taken for YAML.
    let path =
        |key: &str, path: PathBuf| format!("{key}='{}'", path.display().to_string().replace('\'', "''"));
    let mut all = vec![
        path("paths.essays_csv", data.join("essays.csv")),
        path("paths.pair_cache_dir", data.join("pairs")),
        path("stage1_relative.pairs_file", data.join("pairs/run1_grammar.jsonl")),
        path("model.base_model", data.join("backbone")),
        path("paths.output_dir", output.join("outputs").join(&row)),
        path("paths.checkpoint_dir", output.join("checkpoints").join(&row)),
    ];
    all.extend(sets.iter().map(|set| (*set).to_owned()));
    Ok(config::parse(CONFIG, Path::new("configs/demo.yaml"), &all)?)
}

fn print_table(settings: &Settings, rows: &[(&str, RunReport)]) {
    outln!(
        "\n{:<12} {:>8} {:>11} {:>8} {:>14} {:>14} {:>9} {:>7} {:>15}",
        settings.pipeline.target,
        "QWK",
        "QWK (floor)",
        "MAE",
        "pair accuracy",
        "stage-1 pairs",
        "tokens/s",
        "s",
        "QWK, calibrated"
    );
    for (name, report) in rows {
        let Some(absolute) = &report.absolute else { continue };
        let relative = report.relative.as_ref();
        let stage1 = relative.and_then(|r| r.test).and_then(|test| test.accuracy);
        outln!(
            "{name:<12} {:>8} {:>11} {:>8.4} {:>14} {:>14} {:>9.0} {:>7.0} {:>15}",
            cell(absolute.test.qwk_nearest),
            cell(absolute.test.qwk_floor),
            absolute.test.mae,
            cell(absolute.pair_accuracy),
            cell(stage1),
            absolute.fit.tokens_per_second,
            absolute.fit.seconds + relative.map_or(0.0, |r| r.fit.seconds),
            cell(absolute.calibrated.and_then(|calibrated| calibrated.scores.qwk_nearest)),
        );
    }
}
