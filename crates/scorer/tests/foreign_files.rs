//! Backbones and adapters as people have them: the numbers of transformers and PEFT, or the reason in one line.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::{B, Oracle, assert_close, device};
use pair2score_model::Pooling;
use pair2score_scorer::{
    BackboneFolder, Encoder, StoredTensor, TensorFile, TextEncoder, WeightDType, load_adapter, load_backbone,
    write_tensors,
};
use serde_json::{Value, json};

const TOLERANCE: f32 = 1e-4;
const REPEATED: &str =
    "My friend Sofia forget the homework last month, and after that she told the teacher the truth. ";

fn texts() -> [String; 4] {
    [
        "Homework helps us to learn alone, and it teaches patience.".into(),
        "A short one.".into(),
        REPEATED.repeat(3),
        "Ünïcödé — “quotes” and 😀.".into(),
    ]
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cases")
}

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/demo/backbone")
}

fn expected(name: &str) -> Vec<f32> {
    TensorFile::open(&fixtures().join("expected.safetensors")).unwrap().stored(name).unwrap().values
}

/// A copy of a folder, to be changed.
struct Copy(tempfile::TempDir);

impl Copy {
    fn of(from: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            fs::write(folder.path().join(entry.file_name()), fs::read(entry.path()).unwrap()).unwrap();
        }
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, file: &str, content: impl AsRef<[u8]>) -> &Self {
        fs::write(self.path().join(file), content).unwrap();
        self
    }

    fn edit(&self, file: &str, changes: Value) -> &Self {
        let mut json: Value = serde_json::from_slice(&fs::read(self.path().join(file)).unwrap()).unwrap();
        for (key, value) in changes.as_object().unwrap() {
            json[key] = value.clone();
        }
        self.write(file, json.to_string())
    }

    fn edit_tensors(
        &self,
        file: &str,
        change: impl Fn(BTreeMap<String, StoredTensor>) -> BTreeMap<String, StoredTensor>,
    ) {
        let path = self.path().join(file);
        let open = TensorFile::open(&path).unwrap();
        let tensors = open.names().map(|name| (name.to_owned(), open.stored(name).unwrap())).collect();
        write_tensors(&path, &change(tensors), &[]).unwrap();
    }

    fn rename_tensors(&self, file: &str, rename: impl Fn(&str) -> String) {
        self.edit_tensors(file, |tensors| {
            tensors.into_iter().map(|(name, tensor)| (rename(&name), tensor)).collect()
        });
    }
}

/// Embeddings of the texts.
fn embed(backbone: &Path, adapter: Option<&Path>) -> Result<Vec<f32>, String> {
    let text = |error: pair2score_scorer::ScorerError| error.to_string();
    let folder = BackboneFolder::find(backbone).map_err(text)?;
    let tokens = TextEncoder::load(&folder.tokenizer, 512).map_err(text)?;
    let (config, weights) = load_backbone::<B>(&folder.model, WeightDType::F32, &device()).map_err(text)?;
    let adapter =
        adapter.map(|path| load_adapter::<B>(path, &config, &device()).map_err(text)).transpose()?;
    let encoder = Encoder::new(config, weights, Pooling::Mean);
    let ids: Vec<Vec<u32>> = texts().iter().map(|text| tokens.encode(text).unwrap().ids).collect();
    let rows: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
    let adapters: Vec<_> = adapter.iter().map(|loaded| &loaded.adapter).collect();
    Ok(encoder.embed(&rows, &adapters, &device()).into_data().into_vec().unwrap())
}

const MODEL: &str = "model.safetensors";
const CONFIG: &str = "config.json";
const FACTORS: &str = "adapter_model.safetensors";
const PEFT: &str = "adapter_config.json";

#[test]
fn backbones_with_keys_in_other_places_and_a_stale_index() {
    let plain = embed(&demo(), None).unwrap();
    assert_close(&plain, &expected("plain"), TOLERANCE, "plain");

    let linear = json!({"type": "linear", "rope_type": "linear", "factor": 2.0});
    let nested = json!({"rope_type": "linear", "factor": 2.0, "rope_theta": 500_000.0});
    for (name, keys) in [
        ("backbones/rope_type_and_type", json!({"rope_scaling": linear, "rope_parameters": null})),
        (
            "backbones/theta_in_scaling",
            json!({"rope_scaling": nested, "rope_theta": null, "rope_parameters": null}),
        ),
    ] {
        let backbone = Copy::of(&demo());
        backbone.edit(CONFIG, keys);
        assert_close(&embed(backbone.path(), None).unwrap(), &expected(name), TOLERANCE, name);
    }

    let backbone = Copy::of(&demo());
    let index = json!({"weight_map": {"model.embed_tokens.weight": "model-00001-of-00030.safetensors"}});
    backbone.write("model.safetensors.index.json", index.to_string());
    let name = "backbones/stale_index";
    assert_close(&embed(backbone.path(), None).unwrap(), &expected(name), TOLERANCE, name);
}

#[test]
fn files_with_a_byte_order_mark_are_read_without_it() {
    let plain = embed(&demo(), None).unwrap();
    let marked = Copy::of(&demo());
    for file in [CONFIG, "tokenizer.json", "tokenizer_config.json"] {
        let path = marked.path().join(file);
        if path.exists() {
            marked.write(file, format!("\u{feff}{}", fs::read_to_string(path).unwrap()));
        }
    }
    assert_eq!(embed(marked.path(), None).unwrap(), plain);
}

#[test]
fn a_backbone_within_wrappers_or_under_a_classifier() {
    let plain = embed(&demo(), None).unwrap();
    let reward = Copy::of(&demo());
    reward.edit(CONFIG, json!({"architectures": ["LlamaForSequenceClassification"], "num_labels": 1}));
    reward.edit_tensors(MODEL, |mut tensors| {
        tensors.retain(|name, _| name != "lm_head.weight");
        let head = StoredTensor { shape: vec![1, 96], values: vec![0.5; 96], dtype: WeightDType::F32 };
        tensors.insert("score.weight".into(), head);
        tensors
    });
    assert_eq!(embed(reward.path(), None).unwrap(), plain);

    for prefix in ["_orig_mod.", "module.", "module._orig_mod."] {
        let wrapped = Copy::of(&demo());
        wrapped.rename_tensors(MODEL, |name| format!("{prefix}{name}"));
        assert_eq!(embed(wrapped.path(), None).unwrap(), plain, "{prefix}");
    }
}

#[test]
fn adapters_by_the_rules_of_peft() {
    for name in ["alpha_class", "full_targets", "regex_patterns"] {
        let embeddings = embed(&demo(), Some(&fixtures().join(name))).unwrap();
        assert_close(&embeddings, &expected(&format!("adapters/{name}")), TOLERANCE, name);
    }
    let of_classifier = expected("adapters/sequence_classification");
    let classifier = Copy::of(&fixtures().join("alpha_class"));
    classifier.edit(
        PEFT,
        json!({"alpha_pattern": {}, "task_type": "SEQ_CLS", "modules_to_save": ["classifier", "score"]}),
    );
    classifier.edit_tensors(FACTORS, |mut tensors| {
        let head = StoredTensor { shape: vec![1, 96], values: vec![0.5; 96], dtype: WeightDType::F32 };
        tensors.insert("base_model.model.score.weight".into(), head);
        tensors
    });
    assert_close(&embed(&demo(), Some(classifier.path())).unwrap(), &of_classifier, TOLERANCE, "classifier");

    let rename: [fn(&str) -> String; 3] = [
        |name| format!("_orig_mod.{name}"),
        |name| name.replace(".weight", ".default.weight"),
        |name| format!("module.{name}"),
    ];
    for rename in rename {
        let wrapped = Copy::of(&fixtures().join("alpha_class"));
        wrapped.edit(PEFT, json!({"alpha_pattern": {}}));
        wrapped.rename_tensors(FACTORS, rename);
        assert_close(&embed(&demo(), Some(wrapped.path())).unwrap(), &of_classifier, TOLERANCE, "wrapped");
    }
}

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 2022664\n";

type Change = fn(&Copy);

/// What is wrong with a backbone, how it gets so, and a part of what is said about it.
const UNUSABLE: [(&str, Change, &str); 9] = [
    (
        "gptq",
        |f| _ = f.edit(CONFIG, json!({"quantization_config": {"quant_method": "gptq", "bits": 4}})),
        "config.json: quantised by gptq (quantization_config); take the original, in f32, f16 or bf16",
    ),
    (
        "pointer for weights",
        |f| _ = f.write(MODEL, POINTER),
        "model.safetensors: is a pointer of Git LFS, not the \
            file; run `git lfs pull` where it comes from",
    ),
    (
        "pointer for the tokenizer",
        |f| _ = f.write("tokenizer.json", POINTER),
        "tokenizer.json: is a pointer of \
            Git LFS, not the file; run `git lfs pull` where it comes from",
    ),
    (
        "pointer for the config",
        |f| _ = f.write(CONFIG, POINTER),
        "config.json: is a pointer of Git LFS, not the \
            file; run `git lfs pull` where it comes from",
    ),
    (
        "only SentencePiece",
        |f| {
            fs::rename(f.path().join("tokenizer.json"), f.path().join("tokenizer.model")).unwrap();
        },
        "has no tokenizer.json, neither flat nor under tokenizer/; tokenizer.model alone is not read: write \
             tokenizer.json beside it with transformers (AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER))",
    ),
    (
        "a foreign prefix",
        |f| f.rename_tensors(MODEL, |name| format!("backbone.{name}")),
        "model.safetensors: all its names begin with \"backbone.model.\", which no model of transformers writes; \
             take that off",
    ),
    (
        "one tensor by two names",
        |f| {
            f.edit_tensors(MODEL, |mut tensors| {
                let norm = tensors["model.norm.weight"].clone();
                tensors.insert("module.model.norm.weight".into(), norm);
                tensors
            });
        },
        "model.safetensors: holds both model.norm.weight and module.model.norm.weight, which are one tensor; keep one",
    ),
    (
        "many missing tensors",
        |f| {
            f.edit_tensors(MODEL, |mut tensors| {
                tensors.retain(|name, _| name.contains("embed_tokens"));
                tensors
            })
        },
        "model.layers.0.mlp.up_proj.weight and 29 more",
    ),
    (
        "scalings that disagree",
        |f| {
            _ = f.edit(CONFIG, json!({
                "rope_parameters": {"rope_type": "default"}, "rope_scaling": {"type": "linear", "factor": 2.0}
            }))
        },
        "config.json: rope scaling is None by rope_parameters and Linear { factor: 2.0 } by rope_scaling",
    ),
];

#[test]
fn what_cannot_be_used_is_said_in_one_line() {
    for (what, change, message) in UNUSABLE {
        let backbone = Copy::of(&demo());
        change(&backbone);
        let error = embed(backbone.path(), None).unwrap_err();
        assert!(error.contains(message), "{what}: {error}");
        assert!(!error.contains('\n') && error.len() < 600, "{what}: {error}");
    }
    let pissa = Copy::of(&fixtures().join("alpha_class"));
    pissa.edit(PEFT, json!({"init_lora_weights": "pissa"}));
    let error = embed(&demo(), Some(pissa.path())).unwrap_err();
    assert!(
        error.contains("init_lora_weights = \"pissa\" changes the weights of the backbone, too"),
        "{error}"
    );
    // The oracle's adapter is for another backbone.
    let error = embed(&demo(), Some(&Oracle::load().path("adapter"))).unwrap_err();
    assert!(error.contains("wrong tensors: ") && error.contains(" more"), "{error}");
}
