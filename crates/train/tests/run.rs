//! Runs of a few documents on the oracle's backbone: what a run that is over or stopped does when it is asked again,
//! and what it says about itself.

use std::fs;
use std::path::{Path, PathBuf};

use burn::backend::{Autodiff, Flex};
use pair2score_scorer::{TensorFile, WeightDType, write_tensors};
use pair2score_train::config::{Settings, parse};
use pair2score_train::run::{Inputs, Plan, RunOptions, RunReport, Stages, run};
use pair2score_train::{EpochReport, OnUnfinished, Progress, Silent, StepReport, Stop, TrainError};
use tempfile::TempDir;

type AD = Autodiff<Flex>;

const CONFIG: &str = "\
pipeline: {experiment_id: tiny, trait: grammar, train_folds: [A, B, C], test_fold: D, seed: 36, share_val_split: false}
paths: {essays_csv: DIR/essays.csv, output_dir: DIR/out, checkpoint_dir: DIR/ckpt}
model: {base_model: DIR/backbone, max_length: 24}
stage1_relative:
  pairs_file: DIR/pairs.jsonl
  lora: {r: 2, alpha: 4, target_modules: [q_proj]}
  training: {epochs: 2, batch_size: 4, lr: 0.002}
stage2_absolute:
  lora: {train_reused_adapter: false}
  training: {epochs: 1, batch_size: 4, lr: 0.002}
";

/// A folder with all that the configuration names: sixteen documents, and eight pairs.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let mut essays = "text_id,full_text,fold,grammar\n".to_owned();
    for i in 0..16 {
        let (fold, words) = (["A", "B", "C", "D"][i % 4], "The plan was bold. ".repeat(1 + i % 3));
        essays += &format!("d{i},{words}Number {i}.,{fold},{}\n", 1 + i * 3 % 5);
    }
    fs::write(place("essays.csv"), essays).unwrap();
    let pair = |i: usize| {
        let (split, y) = (["train", "train", "val", "test"][i % 4], i % 2);
        format!(
            "{{\"run\": 1, \"trait\": \"grammar\", \"split\": \"{split}\", \"index\": {}, \"a\": \"d{}\", \
             \"b\": \"d{}\", \"y\": {y}}}\n",
            if split == "train" { i / 4 * 2 + i % 2 } else { i / 4 },
            [0, 1, 2, 4, 5, 6, 8, 9][i],
            [1, 2, 4, 5, 6, 8, 9, 10][i],
        )
    };
    fs::write(place("pairs.jsonl"), (0..8).map(pair).collect::<String>()).unwrap();
    fs::create_dir(place("backbone")).unwrap();
    for entry in fs::read_dir(oracle()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), place("backbone").join(entry.file_name())).unwrap();
    }
    folder
}

fn oracle() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scorer/tests/fixtures/oracle/backbone")
}

fn settings(folder: &TempDir, sets: &[&str]) -> Settings {
    let text = CONFIG.replace("DIR", folder.path().to_str().unwrap());
    let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
    parse(&text, Path::new("tiny.yaml"), &sets).unwrap()
}

/// Remembers messages.
#[derive(Default)]
struct Messages(Vec<String>);

impl Progress for Messages {
    fn begin(&mut self, _: &str, _: usize) {}
    fn advance(&mut self, _: usize) {}
    fn step(&mut self, _: &str, _: &StepReport) {}
    fn epoch(&mut self, _: &str, _: &EpochReport) {}
    fn end(&mut self) {}
    fn message(&mut self, text: &str) {
        self.0.push(text.into());
    }
}

/// A run that goes on with what is there.
fn go_on(folder: &TempDir, stages: Stages, sets: &[&str]) -> (Result<RunReport, TrainError>, Vec<String>) {
    let mut messages = Messages::default();
    let stop = Stop::new();
    let options = RunOptions { stages, unfinished: OnUnfinished::Resume, device_name: "cpu", stop: &stop };
    let report = run::<AD>(&settings(folder, sets), options, &Default::default(), &[], &mut messages);
    (report, messages.0)
}

fn bytes(folder: &TempDir, name: &str) -> Vec<u8> {
    fs::read(folder.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

const EMBEDDINGS: &str = "ckpt/relative/train_embeddings.safetensors";

#[test]
fn an_output_that_is_turned_on_later_is_written() {
    let (whole, later) = (folder(), folder());
    let with = ["stage1_relative.outputs.save_embeddings=true"];
    let without = ["stage1_relative.outputs.save_embeddings=false"];
    go_on(&whole, Stages::Relative, &with).0.unwrap();
    let report = go_on(&later, Stages::Relative, &without).0.unwrap().relative.unwrap();
    assert!(!later.path().join(EMBEDDINGS).exists());

    let (again, messages) = go_on(&later, Stages::Relative, &with);
    assert_eq!(again.unwrap().relative.unwrap().fit.best, report.fit.best);
    let said = format!("{EMBEDDINGS} is not there: its results are written again");
    assert!(messages.iter().any(|message| message.ends_with(&said)), "{messages:?}");
    assert_eq!(bytes(&later, EMBEDDINGS), bytes(&whole, EMBEDDINGS));
    let adapter = "ckpt/relative/adapter/adapter_model.safetensors";
    assert_eq!(bytes(&later, adapter), bytes(&whole, adapter));
    // Now nothing is missing.
    let (_, messages) = go_on(&later, Stages::Relative, &with);
    assert!(
        messages.iter().any(|message| message == "stage 1: is over, its results are kept"),
        "{messages:?}"
    );
}

#[test]
fn an_epoch_that_is_asked_for_too_late_is_refused() {
    let folder = folder();
    go_on(&folder, Stages::Relative, &[]).0.unwrap();
    let (again, _) = go_on(&folder, Stages::Relative, &["stage1_relative.outputs.save_epochs=[1]"]);
    let problem = again.unwrap_err().to_string();
    assert!(problem.contains("did not keep epoch 1, which is asked for now (save_epochs)"), "{problem}");
}

#[test]
fn embeddings_of_an_earlier_run_do_not_stay() {
    let folder = folder();
    let sets = ["stage1_relative.outputs.save_embeddings=true"];
    go_on(&folder, Stages::Relative, &sets).0.unwrap();
    let stop = Stop::new();
    let options = RunOptions {
        stages: Stages::Relative,
        unfinished: OnUnfinished::Discard,
        device_name: "cpu",
        stop: &stop,
    };
    let other = ["stage1_relative.outputs.save_embeddings=false", "pipeline.seed=1"];
    run::<AD>(&settings(&folder, &other), options, &Default::default(), &[], &mut Silent).unwrap();
    assert!(!folder.path().join(EMBEDDINGS).exists());
}

#[test]
fn stage_2_depends_on_the_scale_of_the_adapter() {
    let folder = folder();
    go_on(&folder, Stages::Both, &[]).0.unwrap();
    let path = folder.path().join("ckpt/relative/adapter/adapter_config.json");
    let config = fs::read_to_string(&path).unwrap();
    let key = "\"lora_alpha\": 4";
    assert!(config.contains(key), "{config}");
    fs::write(&path, config.replace(key, "\"lora_alpha\": 8")).unwrap();
    let problem = go_on(&folder, Stages::Absolute, &[]).0.unwrap_err().to_string();
    let expected = "the file of relative/adapter/adapter_config.json has changed";
    assert!(problem.contains(expected), "{problem}");
}

#[test]
fn predictions_of_one_grade_are_reported() {
    let folder = folder();
    // From a head that begins near 0, on a scale that begins at 1.
    let sets = [
        "stage1_relative.enabled=false",
        "stage2_absolute.mode=head_only",
        "stage2_absolute.training.lr=1e-9",
    ];
    let (report, messages) = go_on(&folder, Stages::Both, &sets);
    report.unwrap();
    let said = "stage 2: every test document gets grade 1 (scores ";
    assert!(messages.iter().any(|message| message.starts_with(said)), "{messages:?}");
    let info = String::from_utf8(bytes(&folder, "out/absolute_metrics_info.txt")).unwrap();
    assert!(info.contains("\nconstant_predictions: every test document gets grade 1 (scores "), "{info}");
}

#[test]
fn the_speed_of_a_frozen_backbone_is_that_of_the_whole_stage() {
    let folder = folder();
    let sets = [
        "stage1_relative.enabled=false",
        "stage2_absolute.mode=head_only",
        "stage2_absolute.training.epochs=40",
    ];
    let settings = settings(&folder, &sets);
    let started = std::time::Instant::now();
    let report = go_on(&folder, Stages::Both, &sets).0.unwrap().absolute.unwrap();
    let seconds = started.elapsed().as_secs_f64();
    // Each of the documents went through the backbone once, whatever the number of epochs.
    let inputs = Inputs::load(&settings, &mut Silent).unwrap();
    let tokens: usize = inputs.examples.encoded.iter().flatten().map(|document| document.ids.len()).sum();
    assert!(report.fit.seconds <= seconds, "{} of {seconds}", report.fit.seconds);
    let counted = report.fit.tokens_per_second * report.fit.seconds;
    assert!((counted - tokens as f64).abs() < 1e-6 * tokens as f64, "{counted} {tokens}");
    let documents = report.fit.documents_per_second * report.fit.seconds;
    assert!((14.0..18.0).contains(&documents), "{documents}");
}

#[test]
fn a_dry_run_counts_the_weights_as_their_file_has_them() {
    let folder = folder();
    let memory = |dtype: &str| {
        let settings = settings(&folder, &[&format!("model.dtype={dtype}")]);
        let inputs = Inputs::load(&settings, &mut Silent).unwrap();
        Plan::new(&settings, &inputs).unwrap().memory()
    };
    let (f32, bf16) = (memory("f32"), memory("bf16"));
    assert!(f32 > bf16);
    assert_eq!(memory("auto"), f32);
    let path = folder.path().join("backbone/model.safetensors");
    let file = TensorFile::open(&path).unwrap();
    let mut tensors: std::collections::BTreeMap<_, _> =
        file.names().map(|name| (name.to_owned(), file.stored(name).unwrap())).collect();
    tensors.values_mut().for_each(|tensor| tensor.dtype = WeightDType::Bf16);
    write_tensors(&path, &tensors, &[]).unwrap();
    assert_eq!(memory("auto"), bf16);
}

#[test]
fn a_solved_head_is_the_ridge_of_the_embeddings_and_scores_as_a_scorer() {
    let folder = folder();
    tell(&folder);
    let sets = ["stage2_absolute.head=ridge", "stage1_relative.outputs.save_embeddings=false"];
    go_on(&folder, Stages::Both, &sets).0.unwrap();

    // The ridge of all documents but the test's.
    let corpus = Corpus::of(&folder);
    let (train, test) = corpus.split();
    let y = ndarray::Array2::from_shape_fn((train.len(), 1), |(i, _)| corpus.label(train[i]));
    let head = &pair2score_heads::ridge(corpus.rows(&train).view(), y.view(), None).unwrap()[0];
    corpus.assert_scores(&folder, &test, &head.predict(corpus.rows(&test).view()));
    let info = String::from_utf8(bytes(&folder, "out/absolute_metrics_info.txt")).unwrap();
    // Every labelled document calibrates, not the validation documents alone.
    for line in [
        "head: ridge",
        &format!("penalty: {}", head.penalty),
        "calibration_documents: 12",
        "interval_documents: 12",
    ] {
        assert!(info.lines().any(|other| other == line), "{line} is not in\n{info}");
    }
    // There are no epochs to speak of.
    assert!(info.contains("\nleft_out_qwk: ") && !info.contains("epoch"), "{info}");
}

/// Gives the documents labels that their texts tell: how often a sentence is repeated.
fn tell(folder: &TempDir) {
    let essays = fs::read_to_string(folder.path().join("essays.csv")).unwrap();
    let label = |line: &str| 1 + 2 * (line.matches("bold").count() - 1);
    let mut told = "text_id,full_text,fold,grammar\n".to_owned();
    for line in essays.lines().skip(1) {
        let (rest, _) = line.rsplit_once(',').unwrap();
        told += &format!("{rest},{}\n", label(rest));
    }
    fs::write(folder.path().join("essays.csv"), told).unwrap();
}

/// The documents of a folder, and their embeddings by the scorer that was written there.
struct Corpus {
    /// Id, text, fold, label.
    rows: Vec<Vec<String>>,
    scorer: pair2score_scorer::Scorer<Flex>,
    embedded: Vec<f32>,
}

impl Corpus {
    fn of(folder: &TempDir) -> Self {
        let device = Default::default();
        let scorer = pair2score_scorer::Scorer::<Flex>::load(&folder.path().join("ckpt"), &device).unwrap();
        let essays = String::from_utf8(bytes(folder, "essays.csv")).unwrap();
        let rows: Vec<Vec<String>> =
            essays.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect();
        let texts: Vec<&str> = rows.iter().map(|row| row[1].as_str()).collect();
        let encoded = scorer.encode(&texts).unwrap();
        let ids: Vec<&[u32]> = encoded.iter().map(|document| document.ids.as_slice()).collect();
        let adapters: Vec<_> = scorer.stage2().map_or(Vec::new(), |stage2| stage2.adapters.iter().collect());
        let embedded = scorer.encoder.embed(&ids, &adapters, &device).into_data().into_vec().unwrap();
        Self { rows, scorer, embedded }
    }

    /// Documents outside the test fold, and in it.
    fn split(&self) -> (Vec<usize>, Vec<usize>) {
        (0..self.rows.len()).partition(|&i| self.rows[i][2] != "D")
    }

    fn label(&self, document: usize) -> f64 {
        self.rows[document][3].parse().unwrap()
    }

    /// Embeddings of documents.
    fn rows(&self, documents: &[usize]) -> ndarray::Array2<f32> {
        let d = self.embedded.len() / self.rows.len();
        ndarray::Array2::from_shape_fn((documents.len(), d), |(i, j)| self.embedded[documents[i] * d + j])
    }

    /// The judgements of `pairs.jsonl` that train, with the rows of these documents.
    fn judgements(&self, folder: &TempDir, documents: &[usize]) -> Vec<pair2score_heads::Judgement> {
        let pairs = String::from_utf8(bytes(folder, "pairs.jsonl")).unwrap();
        let pairs = pairs.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let row = |id: &serde_json::Value| documents.iter().position(|&i| self.rows[i][0] == *id).unwrap();
        pairs
            .filter(|pair| pair["split"] == "train")
            .map(|pair| pair2score_heads::Judgement {
                a: row(&pair["a"]),
                b: row(&pair["b"]),
                y: pair["y"].as_f64().unwrap(),
                weight: 1.0,
            })
            .collect()
    }

    /// Both the predictions that were written and the scorer give these scores.
    fn assert_scores(&self, folder: &TempDir, documents: &[usize], expected: &[f64]) {
        let predictions = String::from_utf8(bytes(folder, "out/test_predictions.csv")).unwrap();
        let texts: Vec<&str> = documents.iter().map(|&document| self.rows[document][1].as_str()).collect();
        let scores = self.scorer.score(&self.scorer.encode(&texts).unwrap(), |_| ()).unwrap().unwrap();
        for ((&document, expected), score) in documents.iter().zip(expected).zip(scores) {
            let id = format!("{},", self.rows[document][0]);
            let line = predictions.lines().find(|line| line.starts_with(&id)).unwrap();
            let predicted: f64 = line.split(',').nth(2).unwrap().parse().unwrap();
            assert!((predicted - expected).abs() < 1e-3, "{predicted} is not {expected}");
            assert!((score[0].score - expected).abs() < 1e-3);
        }
    }
}

#[test]
fn a_head_that_begins_from_data_learns_the_same_on_every_scale() {
    let sets = [
        "stage1_relative.enabled=false",
        "stage2_absolute.mode=head_only",
        "stage2_absolute.lora.train_reused_adapter=null",
        "stage2_absolute.training={epochs: 30, lr: 0.01, batch_size: 4, early_stop_patience: 0}",
        "pipeline.val_ratio=0.3",
    ];
    // 1 to 5 by 0.5, and the same mapped linearly; the labels are 1, 3 and 5.
    let mut runs = Vec::new();
    for (low, high) in [(1.0, 5.0), (0.0, 1.0), (0.0, 60.0), (200.0, 800.0)] {
        let folder = folder();
        tell(&folder);
        let mapped = |label: f64| low + (label - 1.0) / 4.0 * (high - low);
        let essays = String::from_utf8(bytes(&folder, "essays.csv")).unwrap();
        let mut lines: Vec<String> = essays.lines().map(str::to_owned).collect();
        for line in &mut lines[1..] {
            let (rest, label) = line.rsplit_once(',').unwrap();
            *line = format!("{rest},{}", mapped(label.parse().unwrap()));
        }
        fs::write(folder.path().join("essays.csv"), lines.join("\n")).unwrap();
        let scale = format!("scale={{min: {low}, max: {high}, step: {}}}", (high - low) / 8.0);
        let sets = [&sets[..], &[&scale, "stage2_absolute.head_init=data"]].concat();
        let report = go_on(&folder, Stages::Absolute, &sets).0.unwrap().absolute.unwrap();
        let predictions = String::from_utf8(bytes(&folder, "out/test_predictions.csv")).unwrap();
        let scores: Vec<f64> = predictions
            .lines()
            .skip(1)
            .map(|line| line.split(',').nth(2).unwrap().parse().unwrap())
            .map(|score: f64| 1.0 + (score - low) / (high - low) * 4.0)
            .collect();
        // The files are those of any head: the scorer gives what the run measured.
        let corpus = Corpus::of(&folder);
        let (_, test) = corpus.split();
        let unmapped: Vec<f64> = scores.iter().map(|score| mapped(*score)).collect();
        if high < 100.0 {
            corpus.assert_scores(&folder, &test, &unmapped);
        }
        runs.push((report.traits().next().unwrap().test.qwk_nearest.unwrap(), scores));
    }
    let (kappa, scores) = &runs[0];
    assert!(*kappa > 0.5, "{kappa}");
    for (other, others) in &runs[1..] {
        assert!((kappa - other).abs() < 0.03, "{kappa} {other}");
        for (one, other) in scores.iter().zip(others) {
            assert!((one - other).abs() < 0.02, "{one} {other}");
        }
    }
}

/// Steps that change nothing that can be seen.
const STANDING_STILL: &str = "training={epochs: 1, lr: 1.0e-12, early_stop_patience: 0}";

#[test]
fn training_begins_at_the_ridge_of_the_training_documents() {
    let folder = folder();
    let still = format!("stage2_absolute.{STANDING_STILL}");
    let fresh = [
        "stage1_relative.enabled=false",
        "stage2_absolute.mode=baseline",
        "stage2_absolute.lora={new_adapter_rank: 2, target_modules: [q_proj], train_reused_adapter: null}",
        "stage2_absolute.head_init=ridge",
        "pipeline.val_ratio=0.3",
        &still,
    ];
    let (report, messages) = go_on(&folder, Stages::Absolute, &fresh);
    // The start counts: no epoch improves on it.
    assert_eq!(report.unwrap().absolute.unwrap().fit.epochs.unwrap().best_epoch, 0);
    assert!(messages.iter().any(|message| message.ends_with("before the first step")), "{messages:?}");
    let corpus = Corpus::of(&folder);
    let splits: serde_json::Value = serde_json::from_slice(&bytes(&folder, "out/splits.json")).unwrap();
    let train: Vec<usize> = splits["train"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| corpus.rows.iter().position(|row| *id == row[0]).unwrap())
        .collect();
    let (known, test) = corpus.split();
    assert!(train.len() < known.len(), "validation documents take no part");
    let labels = ndarray::Array2::from_shape_fn((train.len(), 1), |(row, _)| corpus.label(train[row]));
    let ridge = pair2score_heads::ridge(corpus.rows(&train).view(), labels.view(), None).unwrap().remove(0);
    corpus.assert_scores(&folder, &test, &ridge.predict(corpus.rows(&test).view()));
    let refusal = [&fresh[..], &["stage2_absolute.objective=ordinal"]].concat();
    let refusal: Vec<String> = refusal.iter().map(|&set| set.to_owned()).collect();
    let problem = parse(CONFIG, Path::new("tiny.yaml"), &refusal).unwrap_err().to_string();
    assert!(problem.contains("stage2_absolute.head_init: ridge, whose one output is the score"), "{problem}");
}

#[test]
fn an_adapter_of_stage_1_begins_at_the_head_of_its_pairs() {
    let (solved, trained) = (folder(), folder());
    go_on(&solved, Stages::Relative, &SOLVED).0.unwrap();
    let still = format!("stage1_relative.{STANDING_STILL}");
    let begun = ["stage1_relative.head_init=head_only", "stage1_relative.outputs.save_epochs=[1]", &still];
    go_on(&trained, Stages::Relative, &begun).0.unwrap();
    let weights = |folder: &TempDir, place: &str| {
        let path = folder.path().join("ckpt/relative").join(place).join("relative_head.safetensors");
        TensorFile::open(&path).unwrap().stored("weight").unwrap().values
    };
    let expected = weights(&solved, "");
    let largest = expected.iter().fold(0.0, |largest: f32, weight| largest.max(weight.abs()));
    for place in ["", "epoch_1"] {
        for (written, expected) in weights(&trained, place).iter().zip(&expected) {
            assert!((written - expected).abs() < 1e-4 * largest, "{written} is not {expected}");
        }
    }
}

/// Both stages as linear heads on the frozen backbone.
const SOLVED: [&str; 4] = [
    "stage1_relative.mode=head_only",
    "stage2_absolute.mode=head_only",
    "stage2_absolute.head=joint",
    "stage2_absolute.lora.train_reused_adapter=null",
];

#[test]
fn a_stage_1_without_an_adapter_is_the_head_of_its_pairs() {
    let folder = folder();
    // What an adapter leaves behind is not taken for a part of it.
    go_on(&folder, Stages::Relative, &[]).0.unwrap();
    fs::remove_dir_all(folder.path().join("ckpt/relative/training")).unwrap();
    let report = go_on(&folder, Stages::Relative, &SOLVED).0.unwrap().relative.unwrap();
    assert_eq!(report.fit.epochs, None);
    assert!(report.fit.best["val_acc"].is_some(), "{:?}", report.fit.best);
    assert!(!folder.path().join("ckpt/relative/adapter/adapter_model.safetensors").exists());

    let corpus = Corpus::of(&folder);
    let (documents, _) = corpus.split();
    let judgements = corpus.judgements(&folder, &documents);
    let judged: Vec<usize> =
        (0..documents.len()).filter(|&i| judgements.iter().any(|j| [j.a, j.b].contains(&i))).collect();
    let place = |row: usize| judged.iter().position(|&i| i == row).unwrap();
    let judgements: Vec<_> = judgements
        .iter()
        .map(|j| pair2score_heads::Judgement { a: place(j.a), b: place(j.b), ..*j })
        .collect();
    let judged: Vec<usize> = judged.iter().map(|&i| documents[i]).collect();
    let none = vec![None; judged.len()];
    let head = pair2score_heads::joint(corpus.rows(&judged).view(), &none, &judgements).unwrap();
    let file = TensorFile::open(&folder.path().join("ckpt/relative/relative_head.safetensors")).unwrap();
    let weights = file.stored("weight").unwrap();
    assert_eq!(weights.shape, [1, head.weights.len()]);
    let largest = head.weights.iter().fold(0.0, |largest: f64, weight| largest.max(weight.abs()));
    for (written, expected) in weights.values.iter().zip(&head.weights) {
        assert!((f64::from(*written) - expected).abs() < 1e-3 * largest, "{written} is not {expected}");
    }
    // Nothing is left to do, and stage 2 takes it over.
    let (_, messages) = go_on(&folder, Stages::Relative, &SOLVED);
    assert!(messages.iter().any(|message| message == "stage 1: is over, its results are kept"));
    go_on(&folder, Stages::Absolute, &SOLVED).0.unwrap();
    let settings = String::from_utf8(bytes(&folder, "ckpt/absolute/scorer.json")).unwrap();
    let settings: serde_json::Value = serde_json::from_str(&settings).unwrap();
    assert_eq!(settings["relative"]["adapter"], serde_json::Value::Null);
    let texts = Corpus::of(&folder);
    assert!(texts.scorer.can_rank() && texts.scorer.can_score());
}

#[test]
fn a_joint_head_is_that_of_labels_and_judgements() {
    let folder = folder();
    tell(&folder);
    go_on(&folder, Stages::Both, &SOLVED).0.unwrap();
    let corpus = Corpus::of(&folder);
    let (documents, test) = corpus.split();
    let labels: Vec<_> = documents.iter().map(|&document| Some(corpus.label(document))).collect();
    let judgements = corpus.judgements(&folder, &documents);
    let head = pair2score_heads::joint(corpus.rows(&documents).view(), &labels, &judgements).unwrap();
    let x = corpus.rows(&test).mapv(f64::from);
    let expected = (x.dot(&head.weights) + head.intercept).to_vec();
    corpus.assert_scores(&folder, &test, &expected);
    let info = String::from_utf8(bytes(&folder, "out/absolute_metrics_info.txt")).unwrap();
    for line in ["head: joint", "judgements: 4", "calibration_documents: 12", "interval_documents: 12"] {
        assert!(info.lines().any(|other| other == line), "{line} is not in\n{info}");
    }
    // Stage 2 depends on its pairs even where stage 1 is an earlier one.
    let earlier = format!("stage1_relative.from={}/ckpt/relative", folder.path().display());
    let sets = [&SOLVED[1..], &[&earlier, "paths.checkpoint_dir=DIR/other"]].concat();
    let sets: Vec<String> =
        sets.iter().map(|set| set.replace("DIR", folder.path().to_str().unwrap())).collect();
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    go_on(&folder, Stages::Absolute, &sets).0.unwrap();
    assert_eq!(
        bytes(&folder, "other/absolute/head.safetensors"),
        bytes(&folder, "ckpt/absolute/head.safetensors")
    );
    let pairs = String::from_utf8(bytes(&folder, "pairs.jsonl")).unwrap();
    fs::write(folder.path().join("pairs.jsonl"), pairs.replace("\"y\": 1", "\"y\": 0.5")).unwrap();
    let problem = go_on(&folder, Stages::Absolute, &sets).0.unwrap_err().to_string();
    assert!(problem.contains("the file of stage1_relative.pairs_file has changed"), "{problem}");
}

#[test]
fn a_warm_start_needs_an_adapter() {
    let folder = folder();
    go_on(&folder, Stages::Relative, &SOLVED).0.unwrap();
    let from = format!("stage1_relative.from={}/ckpt/relative", folder.path().display());
    let problem = go_on(&folder, Stages::Absolute, &[&from]).0.unwrap_err().to_string();
    assert!(problem.contains("relative: has a stage 1 without an adapter to start from"), "{problem}");
}

#[test]
fn fewer_labels_are_a_part_of_more_and_change_no_stage_1() {
    let folder = folder();
    let examples = |max: &str| {
        let settings = settings(&folder, &[&format!("stage2_absolute.max_labels={max}")]);
        Inputs::load(&settings, &mut Silent).unwrap().examples
    };
    let (few, more, all) = (examples("4"), examples("8"), examples("null"));
    let counts = |examples: &pair2score_train::Examples| {
        let splits = &examples.splits;
        [splits.train.len(), splits.val.len(), splits.test.len(), examples.unlabelled.len()]
    };
    assert_eq!((counts(&few), counts(&more), counts(&all)), ([3, 1, 4, 8], [7, 1, 4, 4], [11, 1, 4, 0]));
    assert!(few.splits.train.iter().all(|document| more.splits.train.contains(document)));
    assert_eq!(few.splits.test, all.splits.test);
    assert_eq!(few.pairs.unwrap().train, all.pairs.unwrap().train);
    // Judged documents without labels are embedded all the same.
    let sets = [&SOLVED[..], &["stage2_absolute.max_labels=4"]].concat();
    go_on(&folder, Stages::Both, &sets).0.unwrap();
    let info = String::from_utf8(bytes(&folder, "out/absolute_metrics_info.txt")).unwrap();
    for line in ["train_size: 3", "val_size: 1", "judgements: 4"] {
        assert!(info.lines().any(|other| other == line), "{line} is not in\n{info}");
    }
    let embeddings = TensorFile::open(&folder.path().join(EMBEDDINGS)).unwrap();
    let ids: Vec<String> = serde_json::from_str(embeddings.metadata("ids").unwrap()).unwrap();
    assert_eq!(ids.len(), 11);
}

#[test]
fn a_backbone_can_be_read_in_part() {
    let folder = folder();
    let sets = [
        "model.layers=1",
        "stage1_relative.enabled=false",
        "stage2_absolute.mode=head_only",
        "stage2_absolute.lora.train_reused_adapter=null",
    ];
    go_on(&folder, Stages::Absolute, &sets).0.unwrap();
    let scorer =
        pair2score_scorer::Scorer::<Flex>::load(&folder.path().join("ckpt"), &Default::default()).unwrap();
    assert_eq!((scorer.encoder.config.n_layers, scorer.encoder.config.final_norm), (1, false));
    let essays = fs::read_to_string(folder.path().join("essays.csv")).unwrap();
    let predictions = String::from_utf8(bytes(&folder, "out/test_predictions.csv")).unwrap();
    for line in predictions.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let row = essays.lines().find(|row| row.starts_with(&format!("{},", cells[0]))).unwrap();
        let encoded = scorer.encode(&[row.split(',').nth(1).unwrap()]).unwrap();
        let score = scorer.score(&encoded, |_| ()).unwrap().unwrap()[0][0].score;
        assert!((score - cells[2].parse::<f64>().unwrap()).abs() < 1e-4, "{line}: {score}");
    }
    let message =
        go_on(&folder, Stages::Absolute, &[&sets[1..], &["model.layers=99"]].concat()).0.unwrap_err();
    assert!(message.to_string().contains("config.json: model.layers: 99 decoder layers"), "{message}");
}
