//! Pretraining of a tiny backbone on repetitive texts, from the settings to the files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use burn::backend::{Autodiff, Flex};
use pair2score_scorer::{BackboneFolder, TensorFile, TextEncoder, WeightDType, load_backbone, names};
use pair2score_train::config::{PretrainSettings, parse_pretrain};
use pair2score_train::pretrain::{PretrainReport, pretrain};
use pair2score_train::{EpochReport, Progress, StepReport, TrainError};
use tempfile::TempDir;

type AD = Autodiff<Flex>;

/// Remembers epochs and messages.
#[derive(Default)]
struct Recorder {
    train_losses: Vec<f64>,
    messages: Vec<String>,
}

impl Progress for Recorder {
    fn begin(&mut self, _: &str, _: usize) {}
    fn advance(&mut self, _: usize) {}
    fn step(&mut self, _: &str, _: &StepReport) {}
    fn epoch(&mut self, _: &str, report: &EpochReport) {
        self.train_losses.push(report.train_loss);
    }
    fn end(&mut self) {}
    fn message(&mut self, text: &str) {
        self.messages.push(text.into());
    }
}

/// Sentences of one pattern: which word comes where is learnt quickly, and no word is much more frequent.
fn texts() -> Vec<String> {
    let pick = |words: &[&str], i: usize| words[i % words.len()].to_owned();
    let sentence = |i: usize| {
        let who = pick(&["teacher", "student", "doctor", "farmer", "painter"], i * 7 + i / 3);
        let does = pick(&["reads", "writes", "paints", "carries"], i * 5 + i / 7);
        let what = pick(&["letter", "picture", "basket"], i * 11 + i / 5);
        format!("The {who} slowly {does} a small {what} in the garden. ")
    };
    (0..60).map(|i| (0..3).map(|j| sentence(3 * i + j)).collect()).collect()
}

/// A folder with the texts in two kinds of files.
fn corpus() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let texts = texts();
    let lines: Vec<String> = texts[1..]
        .iter()
        .chain([&String::from("  ")])
        .enumerate()
        .map(|(id, text)| format!("{{\"id\": {id}, \"text\": {text:?}}}\n"))
        .collect();
    std::fs::write(folder.path().join("texts.jsonl"), lines.concat()).unwrap();
    std::fs::write(folder.path().join("one.txt"), &texts[0]).unwrap();
    folder
}

fn settings(folder: &Path, output: &str, rest: &[&str]) -> PretrainSettings {
    let path = |name: &str| folder.join(name).display().to_string();
    let text = format!(
        "pretrain:\n  documents: [{:?}, {:?}]\n  output: {:?}\n  training: {{epochs: 4, batch_size: 4, \
         sequence_length: 48, lr: 5e-3, warmup_steps: 5, val_ratio: 0.1}}\n",
        path("texts.jsonl"),
        path("one.txt"),
        path(output),
    );
    let sets: Vec<String> = rest.iter().map(|set| format!("pretrain.{set}")).collect();
    parse_pretrain(&text, Path::new("test.yaml"), &sets).unwrap()
}

/// A new backbone of some thousand weights.
const NEW: [&str; 6] = [
    "tokenizer.vocab_size=320",
    "architecture.hidden_size=32",
    "architecture.intermediate_size=64",
    "architecture.num_hidden_layers=2",
    "architecture.num_attention_heads=2",
    "architecture.num_key_value_heads=1",
];

fn train(settings: &PretrainSettings) -> (PretrainReport, Recorder) {
    let mut recorder = Recorder::default();
    let report = pretrain::<AD>(settings, &Default::default(), &mut recorder).unwrap();
    (report, recorder)
}

fn error(settings: &PretrainSettings) -> String {
    let result: Result<_, TrainError> =
        pretrain::<AD>(settings, &Default::default(), &mut Recorder::default());
    result.unwrap_err().to_string()
}

/// Entropy of the tokens without their context, in nats.
fn unigram_entropy(encoder: &TextEncoder) -> f64 {
    let mut counts = HashMap::new();
    for text in texts() {
        for id in encoder.encode(&text).unwrap().ids {
            *counts.entry(id).or_insert(0.0) += 1.0;
        }
    }
    let n: f64 = counts.values().sum();
    counts.values().map(|count| -count / n * (count / n).ln()).sum()
}

fn bytes(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap()
}

#[test]
fn a_new_backbone_learns_the_pattern_and_loads() {
    let folder = corpus();
    let settings = settings(folder.path(), "new", &NEW);
    let (report, recorder) = train(&settings);
    assert!(recorder.messages.iter().any(|m| m == "1 of 61 documents are empty and left out"));
    assert_eq!(report.documents, 60);

    let found = BackboneFolder::find(&report.output).unwrap();
    let encoder = TextEncoder::load(&found.tokenizer, 512).unwrap();
    let (config, backbone) =
        load_backbone::<Flex>(&found.model, WeightDType::F32, &Default::default()).unwrap();
    assert_eq!((encoder.vocab_size(), config.vocab_size), (report.vocab_size, report.vocab_size));
    assert_eq!((encoder.bos_id, encoder.eos_id), (Some(0), Some(1)));
    assert_eq!(config.n_parameters(), report.parameters);
    assert_eq!(backbone.embed_tokens.val().dims(), [config.vocab_size, 32]);

    let (uniform, unigram) = ((config.vocab_size as f64).ln(), unigram_entropy(&encoder));
    assert!(report.best_val_loss < 0.5 * uniform, "{} of {uniform}", report.best_val_loss);
    assert!(report.best_val_loss < 0.7 * unigram, "{} of {unigram}", report.best_val_loss);
    let info = String::from_utf8(bytes(&report.output, "pretrain_info.txt")).unwrap();
    assert!(info.contains("documents: 60\n") && info.contains("\nperplexity: "), "{info}");
}

#[test]
fn same_seed_gives_the_same_bytes() {
    let folder = corpus();
    let outputs = ["a", "b"].map(|output| {
        let mut sets = NEW.to_vec();
        sets.push("training.epochs=1");
        train(&settings(folder.path(), output, &sets)).0.output
    });
    for name in ["model.safetensors", "config.json", "tokenizer.json"] {
        assert!(bytes(&outputs[0], name) == bytes(&outputs[1], name), "{name} differs");
    }
}

#[test]
fn continuing_begins_where_the_first_training_ended() {
    let folder = corpus();
    let (first, _) = train(&settings(folder.path(), "first", &NEW));
    let from = format!("from={:?}", first.output.display().to_string());
    // Steps too small to learn from show the loss of the weights that were loaded.
    let sets = [from.as_str(), "training.epochs=1", "training.lr=1e-6"];
    let (second, recorder) = train(&settings(folder.path(), "second", &sets));
    assert!(recorder.train_losses[0] < 0.5 * (first.vocab_size as f64).ln(), "{:?}", recorder.train_losses);
    // The same held-out documents; 1e-6 times the number of steps is all that a weight has moved.
    assert!((second.best_val_loss - first.best_val_loss).abs() < 1e-2, "{first:?} {second:?}");
    for name in ["tokenizer.json", "tokenizer_config.json", "config.json"] {
        assert_eq!(bytes(&first.output, name), bytes(&second.output, name), "{name}");
    }
    assert_ne!(bytes(&first.output, "model.safetensors"), bytes(&second.output, "model.safetensors"));
}

#[test]
fn a_head_of_its_own_is_kept_and_trained() {
    let folder = corpus();
    let mut sets = NEW.to_vec();
    sets.extend(["architecture.tie_word_embeddings=false", "training.epochs=1"]);
    let (first, _) = train(&settings(folder.path(), "first", &sets));
    let from = format!("from={:?}", first.output.display().to_string());
    let sets = [from.as_str(), "training.epochs=1", "training.lr=1e-5"];
    let (second, _) = train(&settings(folder.path(), "second", &sets));
    assert_eq!(second.parameters, first.parameters);

    let read = |output: &PathBuf, name: &str| {
        let file = TensorFile::open_folder(output).unwrap();
        file.read(name, WeightDType::F32).unwrap().to_vec::<f32>().unwrap()
    };
    let far = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let (before, after) = (read(&first.output, names::LM_HEAD), read(&second.output, names::LM_HEAD));
    let table = read(&second.output, &format!("{}{}", names::PREFIX, names::EMBEDDING));
    // AdamW moves a weight by about the learning rate a step, and an epoch has some 50 steps.
    let moved = far(&before, &after);
    assert!(moved > 0.0 && moved < 1e-3, "{moved}");
    assert!(far(&table, &after) > 1e-2);
}

#[test]
fn what_cannot_work_is_refused_before_training() {
    let folder = corpus();
    std::fs::write(folder.path().join("texts.jsonl"), "{\"id\": 1, \"text\": \" \"}\n").unwrap();
    let few = error(&settings(folder.path(), "new", &NEW));
    assert!(few.contains("hold 1 documents that are not empty, at least 2"), "{few}");

    std::fs::write(folder.path().join("new/model.safetensors.index.json"), "{}").unwrap();
    let sharded = error(&settings(folder.path(), "new", &NEW));
    assert!(sharded.contains("belongs to another backbone"), "{sharded}");

    std::fs::create_dir(folder.path().join("imported")).unwrap();
    std::fs::write(folder.path().join("imported/config.json"), "{}").unwrap();
    let other = error(&settings(folder.path(), "imported", &NEW));
    assert!(other.contains("imported is a folder with other files in it"), "{other}");
    assert!(other.contains("an earlier backbone of pretrain"), "{other}");

    let missing = error(&settings(folder.path(), "out", &["from=/nonexistent"]));
    assert!(missing.contains("is not a folder"), "{missing}");

    let oracle = concat!(env!("CARGO_MANIFEST_DIR"), "/../scorer/tests/fixtures/oracle");
    let itself = format!("{oracle}/adapter/../backbone");
    let from = format!("from={oracle}/backbone");
    let mut same = settings(folder.path(), "out", &[from.as_str()]);
    same.output = itself.into();
    assert!(error(&same).contains("is the backbone of pretrain.from"), "{}", error(&same));
}
