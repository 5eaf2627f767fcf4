//! `demo`: everything at once on embedded data, so that a first try needs no file and no download.

mod table;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail};
use pair2score_data::files::write_atomic;
use pair2score_export::Format;
use pair2score_train::config::{self, Settings};
use pair2score_train::run::{Inputs, Stages};
use pair2score_train::{Examples, OnUnfinished, Silent};

use super::run::Training;
use super::{export, serve};
use crate::Answer;
use crate::args::{DemoArgs, DeviceArgs, ExportArgs, ReadingArgs};
use crate::device::Device;
use crate::progress::Terminal;
use crate::{http, page, program, shell, signals};
use table::Row;

/// The configuration, for the file system and for the program.
const CONFIG: &str = include_str!("../../../../../configs/demo.yaml");

/// What the demo needs, by its place under `data/demo/`.
const FILES: [(&str, &[u8]); 7] = [
    ("essays.csv", include_bytes!("../../../../../data/demo/essays.csv")),
    ("pairs/run1_grammar.jsonl", include_bytes!("../../../../../data/demo/pairs/run1_grammar.jsonl")),
    ("pairs/run1_grammar_meta.json", include_bytes!("../../../../../data/demo/pairs/run1_grammar_meta.json")),
    ("backbone/config.json", include_bytes!("../../../../../data/demo/backbone/config.json")),
    ("backbone/model.safetensors", include_bytes!("../../../../../data/demo/backbone/model.safetensors")),
    ("backbone/tokenizer.json", include_bytes!("../../../../../data/demo/backbone/tokenizer.json")),
    (
        "backbone/tokenizer_config.json",
        include_bytes!("../../../../../data/demo/backbone/tokenizer_config.json"),
    ),
];

/// The rows of the table: a name, and what differs from `configs/demo.yaml`.
const ROWS: [(&str, &[&str]); 3] = [
    ("labels_alone", &["stage1_relative.enabled=false", "stage2_absolute.head=ridge"]),
    ("labels_and_pairs", &[]),
    (
        "all_labels",
        &["stage1_relative.enabled=false", "stage2_absolute.head=ridge", "stage2_absolute.max_labels=null"],
    ),
];

/// The row that is worth trying.
const SHOWN: &str = "labels_and_pairs";

/// Where the page is hosted.
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Trains the three rows, prints them side by side, and hosts the page where that was asked for.
pub(crate) fn run(args: DemoArgs) -> Result<Answer> {
    let started = Instant::now();
    if args.serve {
        // Said now, and not when the training is over.
        page::built()?;
        http::check_free(HOST, args.port)?;
    }
    check_output(&args.output)?;
    let data = args.output.join("data");
    for (name, bytes) in FILES {
        write_atomic(data.join(name), bytes)?;
    }
    let first = settings(&args.output, SHOWN, &[])?;
    let target = &first.pipeline.target;
    let device = Device::choose(args.device.device, Some(&first))?;
    errln!(
        "Three scorers of {target} on {device}. The 1,600 short essays are of a program, and their scores follow from how\n\
         it wrote them; the judgements are of simulated raters, who err. The numbers are real, the learners are not."
    );
    let mut rows = Vec::new();
    for (name, sets) in ROWS {
        errln!("\n-- {name}");
        let settings = settings(&args.output, name, sets)?;
        let counts = counts(&settings)?;
        let training = Training {
            settings: &settings,
            stages: Stages::Both,
            unfinished: if args.restart { OnUnfinished::Discard } else { OnUnfinished::ResumeOrReplace },
            others: Vec::new(),
            stop: &signals::STOP,
            progress: &mut Terminal::new(),
        };
        let report = device.run(training)?;
        rows.push(Row::new(name, &settings, &report, counts)?);
    }
    table::print(target, &rows);
    // `serve` hosts it by default.
    let site = args.output.join("site");
    if page::built().is_ok() {
        write_site(site.clone(), &args)?;
    }
    outln!(
        "Test on {} essays of fold {} that nothing has learned from. {:.0} s in all; everything is in {}.\n",
        rows.first().map_or(0, Row::documents),
        first.pipeline.test_fold,
        started.elapsed().as_secs_f64(),
        args.output.display()
    );
    next_steps(&args);
    match args.serve {
        true => serve::host_site(&site, HOST, args.port),
        false => Ok(Answer::Yes),
    }
}

/// Refuses a folder with other files where the demo writes its own; one that an earlier demo has trained in may have those
/// of an earlier version.
fn check_output(output: &Path) -> Result<()> {
    if ROWS.iter().any(|(row, _)| output.join("checkpoints").join(row).is_dir()) {
        return Ok(());
    }
    for (name, bytes) in FILES {
        let path = output.join("data").join(name);
        if std::fs::read(&path).is_ok_and(|found| found != bytes) {
            bail!(
                "{}: is there and not of the demo, which writes a file of its own there; name another folder with --output",
                path.display()
            );
        }
    }
    Ok(())
}

/// The scorer that is worth trying.
fn scorer(output: &Path) -> PathBuf {
    output.join("checkpoints").join(SHOWN)
}

/// Labels and judgements that a row learns from.
fn counts(settings: &Settings) -> Result<[usize; 2]> {
    let inputs = Inputs::load(settings, &mut Silent)?;
    let Examples { splits, pairs, .. } = &inputs.examples;
    Ok([splits.train.len() + splits.val.len(), pairs.as_ref().map_or(0, |pairs| pairs.train.len())])
}

/// Says what to do next.
fn next_steps(args: &DemoArgs) {
    outln!("Your own table:   {} (any CSV)", score_command(&args.output));
    outln!(
        "A real backbone:  scripts/smollm2.sh, then a configuration of yours (README.md, \"From your table to a page\")"
    );
    if !args.serve {
        let first = if page::built().is_ok() { "" } else { "scripts/web.sh, then " };
        let words = program::arguments().filter(|word| word != "--restart").chain(["--serve".into()]);
        outln!("The scoring page: {first}{}", shell::line(&words.collect::<Vec<_>>()));
    }
}

/// The command that scores the demo's essays.
fn score_command(output: &Path) -> String {
    let path = |path: PathBuf| shell::quoted(&path.display().to_string());
    format!(
        "pair2score score --scorer {} --input {} --output scores.csv",
        path(scorer(output)),
        path(output.join("data/essays.csv"))
    )
}

/// Writes the scoring page with the scorer.
fn write_site(site: PathBuf, args: &DemoArgs) -> Result<Answer> {
    export::run(ExportArgs {
        scorer: Some(scorer(&args.output)),
        // How a backbone would be read, were there no scorer.
        backbone: None,
        reading: ReadingArgs::default(),
        format: Format::Web,
        output: site,
        calibrated: false,
        dtype: None,
        quantize: None,
        page: Some(page::built()?),
        device: DeviceArgs { device: args.device.device },
    })
}

/// The demo's configuration with its files under `output`.
fn settings(output: &Path, row: &str, sets: &[&str]) -> Result<Settings> {
    let data = output.join("data");
    // Quoted, so that no folder name is taken for YAML.
    let path =
        |key: &str, path: PathBuf| format!("{key}='{}'", path.display().to_string().replace('\'', "''"));
    let mut all = vec![
        path("paths.essays_csv", data.join("essays.csv")),
        path("paths.pair_cache_dir", data.join("pairs")),
        path("stage1_relative.pairs_file", data.join("pairs/run1_grammar.jsonl")),
        path("model.base_model", data.join("backbone")),
        path("paths.output_dir", output.join("outputs").join(row)),
        path("paths.checkpoint_dir", output.join("checkpoints").join(row)),
    ];
    all.extend(sets.iter().map(|set| (*set).to_owned()));
    Ok(config::parse(CONFIG, Path::new("configs/demo.yaml"), &all)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted_whatever_the_folder_is_called() {
        let command = score_command(Path::new("my demo"));
        let expected = "pair2score score --scorer 'my demo/checkpoints/labels_and_pairs' --input 'my demo/data/essays.csv' \
                        --output scores.csv";
        assert_eq!(command.replace('\\', "/"), expected);
        assert!(score_command(Path::new("demo")).contains(" --input demo/data/essays.csv "));
    }

    #[test]
    fn files_of_others_are_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path();
        check_output(output).unwrap();
        let essays = output.join("data/essays.csv");
        write_atomic(&essays, b"text_id,full_text\nmine,A text.\n").unwrap();
        let refused = check_output(output).unwrap_err().to_string();
        assert!(refused.contains("essays.csv: is there") && refused.contains("--output"), "{refused}");
        // Those of an earlier version of the demo are.
        std::fs::create_dir_all(output.join("checkpoints/labels_alone")).unwrap();
        check_output(output).unwrap();
        // And a demo that was stopped before it trained goes on.
        std::fs::remove_dir_all(output.join("checkpoints")).unwrap();
        write_atomic(&essays, FILES[0].1).unwrap();
        check_output(output).unwrap();
    }
}
