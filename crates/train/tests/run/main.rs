//! Runs of a few documents on the oracle's backbone: what a run that is over or stopped does when it is asked again,
//! and what it says about itself.

mod earlier;
mod heads;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::backend::{Autodiff, Flex};
use pair2score_scorer::{Scorer, StoredTensor, TensorFile, WeightDType, write_tensors};
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

/// Both stages as linear heads on the frozen backbone.
const SOLVED: [&str; 4] = [
    "stage1_relative.mode=head_only",
    "stage2_absolute.mode=head_only",
    "stage2_absolute.head=joint",
    "stage2_absolute.lora.train_reused_adapter=null",
];

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
fn a_scorer_remembers_graded_documents_and_their_texts_only_when_asked() {
    let trained: &[&str] = &[];
    for (sets, keep) in [(trained, false), (&SOLVED, false), (&SOLVED, true)] {
        let folder = folder();
        let keep_texts = format!("stage2_absolute.outputs.keep_anchor_texts={keep}");
        go_on(&folder, Stages::Both, &[sets, &[&keep_texts]].concat()).0.unwrap();
        let path = folder.path().join("ckpt/absolute");
        let scorer = Scorer::<Flex>::load(&path, &Default::default()).unwrap();
        let anchors = scorer.settings.anchors.as_ref().unwrap();
        // Of a trained head, the documents that validated it; of a solved one any of the training folds, which are three
        // quarters of the documents. Each label has four documents at most, fewer than there may be anchors of it.
        let n = anchors.documents.len();
        assert!(if sets.is_empty() { (1..6).contains(&n) } else { n == 12 }, "{n}");
        for (place, anchor) in anchors.documents.iter().enumerate() {
            let i: usize = anchor.id[1..].parse().unwrap();
            assert_ne!(i % 4, 3, "fold D is the test");
            assert_eq!(anchor.labels, [Some((1 + i * 3 % 5) as f64)]);
            let text = format!("{}Number {i}.", "The plan was bold. ".repeat(1 + i % 3));
            assert_eq!(anchor.text.as_deref(), keep.then_some(text.as_str()));
            let row = scorer.embed(&scorer.encode(&[text.as_str()]).unwrap(), |_| ()).unwrap().remove(0);
            // Others may have the tokens that are read of it; of a single document nothing deviates from the mean.
            let near = scorer.nearest(&row, 0, n);
            let own = near.iter().find(|near| near.anchor == place).unwrap().similarity;
            assert!(n == 1 || (own > 0.999 && near[0].similarity - own < 1e-3), "{near:?} of {place}");
        }
        for entry in
            fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file())
        {
            let bytes = fs::read(&entry).unwrap();
            let holds = bytes.windows(8).any(|part| part == b"was bold");
            assert_eq!(holds, keep && entry.ends_with("scorer.json"), "{}", entry.display());
        }
    }
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

/// Writes the weights of the backbone again, each tensor as `change` leaves it.
fn change_backbone(folder: &TempDir, change: impl Fn(&str, &mut StoredTensor)) {
    let path = folder.path().join("backbone/model.safetensors");
    let file = TensorFile::open(&path).unwrap();
    let tensors: BTreeMap<_, _> = file
        .names()
        .map(|name| {
            let mut tensor = file.stored(name).unwrap();
            change(name, &mut tensor);
            (name.to_owned(), tensor)
        })
        .collect();
    write_tensors(&path, &tensors, &[]).unwrap();
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
    change_backbone(&folder, |_, tensor| tensor.dtype = WeightDType::Bf16);
    assert_eq!(memory("auto"), bf16);
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
fn a_scorer_knows_its_backbone_again() {
    let folder = folder();
    let sets = [
        "stage1_relative.enabled=false",
        "stage2_absolute.mode=head_only",
        "stage2_absolute.lora.train_reused_adapter=null",
    ];
    go_on(&folder, Stages::Absolute, &sets).0.unwrap();
    let load = || {
        let scorer = Scorer::<Flex>::load(&folder.path().join("ckpt"), &Default::default());
        scorer.map(|_| ()).map_err(|error| error.to_string())
    };
    load().unwrap();
    // The same weights in another form.
    change_backbone(&folder, |_, tensor| tensor.dtype = WeightDType::Bf16);
    load().unwrap();
    // One projection as another training would have left it.
    change_backbone(&folder, |name, tensor| {
        if name.ends_with("layers.1.self_attn.q_proj.weight") {
            tensor.values.iter_mut().for_each(|value| *value *= 1.1);
        }
    });
    let problem = load().unwrap_err();
    assert!(problem.contains("scorer.json: was made for other weights than the backbone "), "{problem}");
    // A scorer of an older version says nothing of it.
    let settings = folder.path().join("ckpt/absolute/scorer.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&settings).unwrap()).unwrap();
    json.as_object_mut().unwrap().remove("backbone_fingerprint").unwrap();
    fs::write(&settings, json.to_string()).unwrap();
    load().unwrap();
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
