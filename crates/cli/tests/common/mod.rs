//! A folder to work in, the binary, a small corpus, and the oracle's tiny backbone.
#![allow(dead_code, reason = "each test binary uses a part")]

pub mod http;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pair2score_data::ScoreScale;
use pair2score_model::{Pooling, ScoreLink, hidden_width};
use pair2score_scorer::{
    HeadFile, RelativeFiles, ScoreFiles, ScorerSettings, StoredTensor, TensorFile, TraitSettings,
    WeightDType, head_files, write_scorer_settings, write_tensors,
};
use serde_json::Value;

/// Width of the oracle's embeddings.
pub const D_MODEL: usize = 64;

/// What a run of the binary left behind.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// The standard output of a run that must have succeeded.
    pub fn expect(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self.stdout
    }
}

/// A temporary folder in which the binary runs, so that messages name files as they are called here.
pub struct Folder(tempfile::TempDir);

impl Folder {
    /// Nothing in it.
    pub fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// `essays.csv`, `pairs/run1_grammar.jsonl`, `backbone/` and a `config.yaml` that names them.
    pub fn new() -> Self {
        let folder = Self::empty();
        folder.write("essays.csv", essays());
        folder.write("pairs/run1_grammar.jsonl", pairs());
        folder.write("config.yaml", CONFIG);
        folder.oracle("backbone", "backbone");
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).unwrap()
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).unwrap()
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// Replaces the first `from` of a text file, which must be there.
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.text(name);
        assert!(text.contains(from), "{name} has no {from:?}");
        self.write(name, text.replacen(from, to, 1));
    }

    /// Sets a key of a JSON object.
    pub fn set_json(&self, name: &str, key: &str, value: impl Into<Value>) {
        let mut json = self.json(name);
        json[key] = value.into();
        self.write(name, json.to_string());
    }

    /// Changes the tensors of a safetensors file.
    pub fn edit_tensors(&self, name: &str, edit: impl FnOnce(&mut BTreeMap<String, StoredTensor>)) {
        let path = self.path(name);
        let file = TensorFile::open(&path).unwrap();
        let mut tensors = file.names().map(|name| (name.to_owned(), file.stored(name).unwrap())).collect();
        edit(&mut tensors);
        write_tensors(&path, &tensors, &[]).unwrap();
    }

    /// Puts a folder of the oracle's here.
    pub fn oracle(&self, from: &str, to: &str) {
        for entry in fs::read_dir(oracle().join(from)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            self.write(&format!("{to}/{name}"), fs::read(entry.path()).unwrap());
        }
    }

    /// A scorer in `scorer/` with the oracle's adapter as stage 1 and, if asked for, a stage 2 that was never
    /// trained.
    pub fn scorer(&self, with_score: bool) {
        self.scorer_of(&["grammar"], with_score);
    }

    /// As [`scorer`](Self::scorer), of these traits, whose heads differ.
    pub fn scorer_of(&self, targets: &[&str], with_score: bool) {
        self.oracle("adapter", "scorer/adapter");
        let files = |stem: &str| head_files(stem, targets.iter().copied());
        for (place, file) in files("relative_head").iter().enumerate() {
            let head = [("weight".to_owned(), times(ramp(&[1, D_MODEL]), place + 1))].into();
            write_tensors(&self.path("scorer").join(file), &head, &[]).unwrap();
        }
        let hidden = hidden_width(D_MODEL);
        for (place, file) in files("head").iter().enumerate() {
            let head = [
                ("0.weight".to_owned(), ramp(&[hidden, D_MODEL])),
                ("0.bias".to_owned(), ramp(&[hidden])),
                ("2.weight".to_owned(), times(ramp(&[1, hidden]), place + 1)),
                ("2.bias".to_owned(), ramp(&[1])),
            ];
            write_tensors(&self.path("scorer").join(file), &head.into(), &[]).unwrap();
        }
        let settings = ScorerSettings {
            traits: targets.iter().map(|target| TraitSettings::new(*target, ScoreScale::default())).collect(),
            pooling: Pooling::Mean,
            max_length: 48,
            prompt_template: None,
            letters: None,
            anchors: None,
            dtype: WeightDType::F32,
            backbone: "../backbone".into(),
            backbone_fingerprint: None,
            layers: None,
            final_norm: true,
            relative: Some(RelativeFiles {
                adapter: Some("adapter".into()),
                heads: head_files("relative_head", targets.iter().copied()),
            }),
            score: with_score.then(|| ScoreFiles {
                adapters: vec!["adapter".into()],
                fusion: false,
                heads: head_files("head", targets.iter().copied())
                    .into_iter()
                    .map(|path| HeadFile { path, link: ScoreLink::Identity })
                    .collect(),
            }),
        };
        write_scorer_settings(&self.path("scorer"), &settings).unwrap();
    }

    /// The binary, to be run here; `args` are separated by blanks.
    pub fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pair2score"));
        command.args(args.split_whitespace()).current_dir(self.0.path());
        command.env_remove("RUST_LOG").stdin(Stdio::null());
        command
    }

    /// Runs the binary here; `args` are separated by blanks.
    pub fn run(&self, args: &str) -> Outcome {
        let output = self.command(args).output().unwrap();
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Every file below a folder of this one, with `/` between the parts of its name.
    pub fn files(&self, below: &str) -> BTreeSet<String> {
        fn collect(root: &Path, folder: &Path, files: &mut BTreeSet<String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    collect(root, &path, files);
                } else {
                    let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                    files.insert(name.replace('\\', "/"));
                }
            }
        }
        let mut files = BTreeSet::new();
        let folder = self.path(below);
        if folder.is_dir() {
            collect(&folder, &folder, &mut files);
        }
        files
    }
}

/// The fixtures of the scorer crate.
pub fn oracle() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scorer/tests/fixtures/oracle")
}

/// So many times these values.
fn times(mut tensor: StoredTensor, factor: usize) -> StoredTensor {
    tensor.values.iter_mut().for_each(|value| *value *= factor as f32);
    tensor
}

/// Small values that differ.
pub fn ramp(shape: &[usize]) -> StoredTensor {
    let n: usize = shape.iter().product();
    let values = (0..n).map(|i| ((i * 37 % 101) as f32 / 101.0 - 0.5) * 0.2).collect();
    StoredTensor { shape: shape.to_vec(), values, dtype: WeightDType::F32 }
}

/// Rank 2, one epoch, 48 tokens: a run takes about a second.
pub const CONFIG: &str = "\
pipeline:
  experiment_id: small
  trait: grammar
  train_folds: [A, B, C, D]
  test_fold: E
  val_ratio: 0.2
  seed: 36
paths:
  essays_csv: essays.csv
  output_dir: out
  checkpoint_dir: ckpt
model:
  base_model: backbone
  max_length: 48
stage1_relative:
  pairs_file: pairs/run1_grammar.jsonl
  lora: {r: 2, alpha: 4, target_modules: [q_proj, v_proj]}
  training: {epochs: 1, batch_size: 4, lr: 0.002, log_every: 2}
stage2_absolute:
  lora: {new_adapter_rank: 2, alpha: 4, target_modules: [q_proj, v_proj]}
  training: {epochs: 1, batch_size: 4, lr: 0.002, log_every: 2}
";

const FOLDS: [&str; 5] = ["A", "B", "C", "D", "E"];
/// Documents of each fold.
const PER_FOLD: usize = 8;

/// Half a grade per step; within a fold no two documents share one.
fn grade(fold: usize, place: usize) -> f64 {
    1.0 + 0.5 * ((place * 4 + fold * 2) % 9) as f64
}

/// Forty documents `A0` to `E7` of one to four sentences; the better the grade, the fewer mistakes.
pub fn essays() -> String {
    const SENTENCES: [[&str; 2]; 8] = [
        ["She walks to school.", "She walk at school."],
        ["The river is deep, and cold.", "The river are deep, and colds."],
        ["They were late again.", "They was late agains."],
        ["My brother reads every day.", "My brother read all days."],
        ["It saved the town water.", "It have save the town a water."],
        ["We asked the teacher.", "We was ask to teacher."],
        ["Nobody knew the answer.", "Nobody not know answer."],
        ["The plan was expensive.", "The plan it was expensives."],
    ];
    let mut csv = "text_id,full_text,fold,grammar\n".to_owned();
    for place in 0..PER_FOLD {
        for (fold, name) in FOLDS.iter().enumerate() {
            let grade = grade(fold, place);
            let text: Vec<&str> = (0..=(place + fold) % 4)
                .map(|k| {
                    let mistake = (k * 3 + fold) % 8 >= (2.0 * grade - 2.0) as usize;
                    SENTENCES[(place + 2 * k + fold) % 8][usize::from(mistake)]
                })
                .collect();
            csv += &format!("{name}{place},\"{}\",{name},{grade}\n", text.join(" "));
        }
    }
    csv
}

/// Pairs of the documents that have the same place in folds A to D; fold E is held out.
pub fn pairs() -> String {
    let mut lines = String::new();
    let mut counts = BTreeMap::new();
    for place in 0..PER_FOLD {
        let split = ["train", "val", "test"][place.saturating_sub(4).min(2)];
        for (a, b) in [(0, 1), (1, 2), (2, 3), (0, 2), (1, 3)] {
            let index: &mut usize = counts.entry(split).or_default();
            let y = u8::from(grade(a, place) > grade(b, place));
            let (a, b) = (FOLDS[a], FOLDS[b]);
            lines += &format!(
                "{{\"run\": 1, \"trait\": \"grammar\", \"split\": \"{split}\", \"index\": {index}, \
                 \"a\": \"{a}{place}\", \"b\": \"{b}{place}\", \"y\": {y}}}\n"
            );
            *index += 1;
        }
    }
    lines
}
