//! What valid configurations mean.

use std::path::{Path, PathBuf};

use pair2score_data::{Grades, ScoreScale};
use pair2score_model::{Pooling, Projection};
use pair2score_scorer::WeightDType;

use super::*;
use crate::schedule::ScheduleKind;

const EXAMPLES: [&str; 6] = [
    "exp00_example_smoke_pairsmini",
    "exp01_example_grammar_small_baseline",
    "exp02_example_grammar_small_warmstart",
    "exp03_example_vocabulary_small_fusion",
    "exp05_example_vocabulary_large_warmstart",
    "exp06_example_syntax_large_fusion",
];

/// Only what is required.
pub(super) const SMALLEST: &str = "
pipeline: {experiment_id: e, trait: grammar, train_folds: [A, B], test_fold: C, seed: 1}
paths: {essays_csv: essays.csv, output_dir: out, checkpoint_dir: ckpt}
model: {base_model: backbone}
stage1_relative: {pairs_file: pairs.jsonl}
";

fn example(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/examples");
    Path::new(folder).join(format!("{name}.yaml"))
}

pub(super) fn read(text: &str, sets: &[&str]) -> Result<Settings, ConfigError> {
    let sets: Vec<String> = sets.iter().map(|&set| set.into()).collect();
    parse(text, Path::new("c.yaml"), &sets)
}

fn with(sets: &[&str]) -> Settings {
    read(SMALLEST, sets).unwrap()
}

const SCRATCH: &[&str] = &["stage1_relative.enabled=false"];

#[test]
fn the_published_examples_load() {
    let transfers = EXAMPLES.map(|name| load(&example(name), &[]).unwrap().absolute.transfer());
    let warm = Transfer::WarmStart { train_adapter: true };
    let fusion = Transfer::Fusion { reuse: true, train_adapter: true };
    assert_eq!(transfers, [warm, Transfer::Scratch, warm, fusion, warm, fusion]);
}

#[test]
fn the_examples_beyond_the_published_ones_load() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/examples_beyond");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let settings = load(&path, &[]).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let command = text.lines().next().unwrap();
        assert!(
            command.starts_with("# pair2score r")
                && command.ends_with(&format!("examples_beyond/{name}.yaml"))
        );
        match name.as_str() {
            "readability" => {
                assert!(settings.scale.auto && settings.absolute.training.monitor == Monitor::ValR2)
            }
            "preferences" => assert!(settings.stage1().is_some()),
            "six_traits" => assert_eq!(settings.pipeline.targets().len(), 6),
            _ => {}
        }
        names.push(name);
    }
    assert!(
        ["readability", "preferences", "six_traits"].iter().all(|name| names.iter().any(|n| n == name)),
        "{names:?}"
    );
}

#[test]
fn an_example_begins_with_its_command() {
    for name in EXAMPLES {
        let text = std::fs::read_to_string(example(name)).unwrap();
        let command = format!("# pair2score run configs/examples/{name}.yaml");
        assert_eq!(text.lines().next(), Some(command.as_str()));
    }
}

#[test]
fn example_pairs_hold_out_the_test_fold() {
    for name in EXAMPLES {
        let settings = load(&example(name), &[]).unwrap();
        let PipelineSettings { test_fold, target, .. } = &settings.pipeline;
        let Some(relative) = settings.stage1() else { continue };
        let run = ["E", "A", "B", "C", "D"].iter().position(|fold| *fold == **test_fold).unwrap() + 1;
        assert!(relative.pairs_file.ends_with(format!("run{run}_{target}.jsonl")), "{name}");
    }
}

/// A path that a configuration has to give, and gives.
fn path(text: &str) -> Required<PathBuf> {
    Required::from(PathBuf::from(text))
}

/// The projections that both adapters of the second example change.
fn second_targets() -> Vec<Projection> {
    vec![Projection::Q, Projection::K, Projection::V, Projection::O]
}

/// Stage 1 of the second example.
fn second_relative() -> RelativeSettings {
    RelativeSettings {
        enabled: true,
        from: None,
        mode: RelativeMode::Adapter,
        head_init: UtilityInit::Random,
        pairs_file: path("data/pairs_small/run3_grammar.jsonl"),
        pairs_meta: Some("data/pairs_small/run3_grammar_meta.json".into()),
        pair_weights: false,
        max_pairs: None,
        lora: RelativeLoraSettings { rank: 16, alpha: 32.0, dropout: 0.05, targets: second_targets() },
        training: second_training(),
        outputs: OutputSettings { save_adapter: true, save_embeddings: true, save_epochs: vec![] },
    }
}

/// How stage 1 of the second example trains.
fn second_training() -> TrainingSettings {
    TrainingSettings {
        epochs: 10,
        max_steps: None,
        batch_size: 4,
        lr: 2e-4,
        weight_decay: 0.01,
        log_every: 100,
        monitor: Monitor::ValAccuracy,
        monitor_mode: MonitorMode::Max,
        patience: Some(3),
        min_delta: 5e-4,
        accumulation: 1,
        max_grad_norm: None,
        schedule: ScheduleKind::Constant,
        warmup_steps: 0,
        length_grouped: false,
        max_batch_tokens: None,
        document_grouped: false,
    }
}

/// Stage 2 of the second example.
fn second_absolute() -> AbsoluteSettings {
    AbsoluteSettings {
        mode: Mode::Base,
        lora: AbsoluteLoraSettings {
            reuse_relative_adapter: Some(true),
            rank: 16,
            alpha: 32.0,
            dropout: 0.05,
            targets: second_targets(),
            stack_new_adapter: Some(false),
            stack_adapter_name: "stage2".into(),
            train_reused_adapter: Some(true),
        },
        training: TrainingSettings {
            epochs: 15,
            lr: 1e-4,
            monitor: Monitor::ValQwk,
            patience: Some(4),
            ..second_training()
        },
        embedding_fusion: FusionSettings { enabled: Some(false) },
        head: Head::Mlp,
        head_init: Some(HeadInit::Random),
        max_labels: None,
        trait_weights: None,
        objective: Objective::L1,
        huber_delta: 1.0,
        binning: Binning::Nearest,
        calibration: Calibration::Linear,
        outputs: ScorerOutputSettings { keep_anchor_texts: false },
    }
}

#[test]
fn every_key_of_the_second_example_arrives() {
    let settings = load(&example(EXAMPLES[2]), &[]).unwrap();
    let name = EXAMPLES[2];
    let mut metadata = settings.metadata.clone();
    assert!(metadata.remove("notes").is_some_and(|notes| !notes.is_empty()));
    let expected = Settings {
        pipeline: PipelineSettings {
            experiment: format!("{name}_seed42").into(),
            run_id: None,
            traits: Vec::new(),
            target: "grammar".to_owned().into(),
            train_folds: ["C", "D", "E", "A"].map(String::from).to_vec(),
            test_fold: "B".to_owned().into(),
            val_ratio: 0.1,
            seed: 42.into(),
            share_val_split: true,
            checkpoint_every: Some(100),
            checkpoint_keep: 2,
        },
        determinism: DeterminismSettings { enabled: true, warn_only: false, allow_tf32: false },
        hardware: HardwareSettings { cuda_device: 0, devices: None, device: None },
        metadata: settings.metadata.clone(),
        paths: PathSettings {
            essays_csv: path("data/datasets/main/train_with_folds.csv"),
            output_dir: path(&format!("outputs/{name}/grammar")),
            checkpoint_dir: path(&format!("checkpoints/{name}/grammar")),
            pair_cache_dir: Some("data/pairs_small".into()),
            embedding_dir: Some("data/embeddings".into()),
        },
        model: ModelSettings {
            backbone: path("/path/to/local/meta-llama-checkpoint"),
            quantization: Some(Quantization::None),
            layers: None,
            max_length: 512,
            pooling: Pooling::Mean,
            dtype: WeightDType::F32,
            recompute: false,
        },
        data: DataSettings::default(),
        scale: ScaleSettings::default(),
        relative: second_relative(),
        absolute: second_absolute(),
    };
    assert_eq!(settings, expected);
}

#[test]
fn defaults_are_those_of_the_second_example() {
    let (smallest, example) = (with(&[]), load(&example(EXAMPLES[2]), &[]).unwrap());
    assert_eq!(smallest.absolute, example.absolute);
    let [ours, published] = [smallest, example].map(|settings| settings.relative);
    assert_eq!((ours.lora, ours.training), (published.lora, published.training));
}

#[test]
fn resolved_settings_survive_the_file() {
    let sets: &[&[&str]] = &[
        &[],
        SCRATCH,
        &["stage2_absolute.mode=head_only"],
        &["stage2_absolute.lora.train_reused_adapter=false"],
        &["stage2_absolute.mode=stacked", "stage2_absolute.lora.stack_adapter_name=on-top"],
        &["stage2_absolute.mode=fusion", "stage2_absolute.lora.reuse_relative_adapter=false"],
        &["stage2_absolute.mode=fusion", "stage2_absolute.lora.train_reused_adapter=false"],
        &["stage2_absolute.objective=huber", "stage2_absolute.huber_delta=0.1", "stage2_absolute.qwk=floor"],
        &["stage2_absolute.objective=ordinal", "stage2_absolute.training.monitor=val_rmse"],
        &["stage1_relative.training.monitor=val_loss", "stage1_relative.training.early_stop_patience=0"],
        &["stage1_relative.pair_weights=true"],
        &["stage1_relative.from=earlier/relative"],
        &[
            "stage1_relative.from=earlier/relative",
            "stage1_relative.max_pairs=7",
            "stage2_absolute.head=joint",
            "stage2_absolute.lora.train_reused_adapter=false",
        ],
        &["stage1_relative.mode=head_only", "stage2_absolute.mode=head_only", "stage2_absolute.head=joint"],
        &["stage1_relative.outputs.save_epochs=[3, 1]"],
        &["stage2_absolute.training.schedule=cosine", "stage2_absolute.training.max_grad_norm=0.3"],
        &[
            "hardware={device: wgpu, cuda_device: 3}",
            "model.dtype=auto",
            "model.pooling=last",
            "model.recompute=true",
        ],
        &["pipeline.train_folds=['1', 2, 'null', 'true', '1.5', '0x1', '1_0']", "pipeline.test_fold=~x"],
        &["pipeline.seed=18446744073709551615", "pipeline.val_ratio=0.30000000000000004"],
        &["metadata={a: 1.50, b: true, c: ~, 3: \"two\\nlines: 'x' # no comment\", e: ''}"],
        &[
            "metadata={a: '~', b: '-', c: '1:30', d: '.inf', e: '=', f: '{', g: ' x ', h: '?', i: '!t', j: '007'}",
        ],
        &[
            "data.columns={id: a, text: b, fold: c, label: d, prompt: e, label_se: f}",
            "scale={min: 0, max: 6, step: 1}",
        ],
        &["data={prompt_template: 'Q: {prompt} A: {text}', delimiter: tab, encoding: latin-1, escape: '\\'}"],
        &["scale={min: 0.67, max: 4.33, step: 0.33}"],
        &["scale={min: -4, max: 2}"],
        &["scale=auto", "stage2_absolute.objective=huber"],
        &["determinism={enabled: false, warn_only: true, allow_tf32: true}"],
        &[
            "hardware.devices=[2, 0]",
            "stage1_relative.training.gradient_accumulation=2",
            "stage2_absolute.training.gradient_accumulation=4",
        ],
    ];
    for sets in sets {
        let settings = with(sets);
        let yaml = settings.to_yaml();
        assert_eq!(read(&yaml, &[]).unwrap(), settings, "{sets:?}\n{yaml}");
    }
}

#[test]
fn what_is_said_of_a_scale_decides_its_kind() {
    let grades = |min, max, step| ScoreScale::Graded(Grades { min, max, step });
    let of = |set: &str| with(&[set]).scale.get();
    assert_eq!(of("scale={}"), grades(1.0, 5.0, 0.5));
    assert_eq!(of("scale={max: 3}"), grades(1.0, 3.0, 0.5));
    assert_eq!(of("scale={min: 0, max: 6, step: 1}"), grades(0.0, 6.0, 1.0));
    assert_eq!(of("scale={min: 1, max: 4, step: 0.33}"), grades(1.0, 4.0, 1.0 / 3.0));
    assert_eq!(of("scale={min: -4, max: 2}"), ScoreScale::continuous(-4.0, 2.0));
    assert_eq!(of("scale={step: null}"), ScoreScale::continuous(1.0, 5.0));
    for auto in ["scale=auto", "scale={auto: true}"] {
        assert!(matches!(of(auto), ScoreScale::Continuous(interval) if interval.observed), "{auto}");
    }
}

#[test]
fn what_labels_decide_is_recorded_but_is_no_setting() {
    let asked = with(&["scale=auto"]);
    let recorded = asked.with_scale(&ScoreScale::observed([-3.5, 1.75]).unwrap());
    let read = read(&recorded.to_yaml(), &[]).unwrap();
    assert_eq!((read.scale.get().min(), read.scale.get().max()), (-3.5, 1.75));
    assert_eq!(read, recorded);
    assert_eq!(read.entries(), asked.entries());
}

#[test]
fn without_grades_the_epoch_is_chosen_by_explained_variance() {
    let monitor = |sets: &[&str]| with(sets).absolute.training.monitor;
    assert_eq!(monitor(&[]), Monitor::ValQwk);
    assert_eq!(monitor(&["scale=auto"]), Monitor::ValR2);
    let mae = "stage2_absolute.training.monitor=val_mae";
    assert_eq!(monitor(&["scale=auto", mae]), Monitor::ValMae);
    // As published configurations say it.
    let published = ["stage2_absolute.training.monitor=val_qwk", "stage2_absolute.training.monitor_mode=max"];
    assert_eq!(monitor(&[&["scale=auto"], &published[..]].concat()), Monitor::ValR2);
}

#[test]
fn merge_keys_are_those_of_pyyaml() {
    let smallest = SMALLEST.replace("pairs.jsonl", "pairs.jsonl, training: &loop {epochs: 3, lr: 2e-4}");
    let merging = |what: &str| format!("{smallest}stage2_absolute: {{training: {{lr: 1e-3, <<: {what}}}}}\n");
    let training = read(&merging("*loop"), &[]).unwrap().absolute.training;
    assert_eq!((training.epochs, training.lr), (3, 1e-3));
    let wrong = read(&merging("3"), &[]).unwrap_err().to_string();
    assert!(wrong.contains("a merge key `<<`: expected a mapping"), "{wrong}");
}

#[test]
fn every_key_is_written() {
    let keys = |text: &str| -> Vec<String> {
        let value: serde_yaml::Value = serde_yaml::from_str(text).unwrap();
        value.as_mapping().unwrap().keys().map(|key| key.as_str().unwrap().into()).collect()
    };
    let all = serde_yaml::to_string(&Settings::default()).unwrap();
    assert_eq!(keys(&with(SCRATCH).to_yaml()), keys(&all));
}

#[test]
fn modes_and_flags_name_the_same_transfers() {
    let reuse = "stage2_absolute.lora.reuse_relative_adapter=true";
    let stack = "stage2_absolute.lora.stack_new_adapter=true";
    let fuse = "stage2_absolute.embedding_fusion.enabled=true";
    let warm = Transfer::WarmStart { train_adapter: true };
    let fusion = Transfer::Fusion { reuse: true, train_adapter: true };
    for (sets, expected) in [
        (&[][..], warm),
        (&[reuse], warm),
        (&["stage2_absolute.mode=warm_start"], warm),
        (&["stage2_absolute.lora.reuse_relative_adapter=false"], Transfer::Scratch),
        (&["stage2_absolute.mode=baseline"], Transfer::Scratch),
        (&["stage2_absolute.mode=scratch"], Transfer::Scratch),
        (&["stage2_absolute.mode=head_only"], Transfer::HeadOnly),
        (&[stack], Transfer::Stacked),
        (&["stage2_absolute.mode=stacked", stack, reuse], Transfer::Stacked),
        (&[fuse], fusion),
        (&["stage2_absolute.mode=embedding_fusion"], fusion),
        (&["stage2_absolute.mode=fusion", fuse], fusion),
        (
            &[fuse, "stage2_absolute.lora.reuse_relative_adapter=false"],
            Transfer::Fusion { reuse: false, train_adapter: true },
        ),
        (&["stage2_absolute.lora.train_reused_adapter=false"], Transfer::WarmStart { train_adapter: false }),
    ] {
        assert_eq!(with(sets).absolute.transfer(), expected, "{sets:?}");
    }
}

#[test]
fn only_a_head_and_a_fresh_adapter_do_without_stage_1() {
    assert!(!Transfer::Scratch.needs_stage1() && !Transfer::HeadOnly.needs_stage1());
    assert!(Transfer::Stacked.needs_stage1() && with(&[]).absolute.transfer().needs_stage1());
}

#[test]
fn without_stage_1_the_adapter_is_fresh() {
    let settings = with(SCRATCH);
    assert_eq!((settings.stage1(), settings.absolute.transfer()), (None, Transfer::Scratch));
}

#[test]
fn a_stage_1_without_an_adapter_leaves_a_fresh_one_to_stage_2() {
    let sets = ["stage1_relative.mode=head_only", "stage1_relative.lora.r=3"];
    let settings = with(&sets);
    assert_eq!(settings.absolute.transfer(), Transfer::Scratch);
    // What no adapter and no loop reads is no difference between two runs.
    assert_eq!(settings.relative, with(&sets[..1]).relative);
}

#[test]
fn pairs_of_an_earlier_stage_1_are_kept_where_stage_2_learns_from_them() {
    let from = ["stage1_relative.from=earlier", "stage2_absolute.lora.train_reused_adapter=false"];
    let joint = with(&[&from[..], &["stage2_absolute.head=joint"]].concat());
    assert_eq!(joint.pair_source().map(|stage1| &**stage1.pairs_file), Some(Path::new("pairs.jsonl")));
    assert!(joint.stage1().is_none());
    let ridge = with(&[&from[..], &["stage2_absolute.head=ridge"]].concat());
    assert!(ridge.pair_source().is_none() && !ridge.relative.pairs_file.is_given());
}

#[test]
fn a_run_number_names_experiment_and_pairs() {
    let sets = [
        "pipeline.experiment_id=null",
        "stage1_relative.pairs_file=null",
        "paths.pair_cache_dir=cache",
        "pipeline.run_id=3",
    ];
    let settings = with(&sets);
    assert_eq!(*settings.pipeline.experiment, "run3");
    assert_eq!(*settings.relative.pairs_file, Path::new("cache/run3_grammar.jsonl"));
}

#[test]
fn a_run_may_have_a_name_instead() {
    let settings = with(&["pipeline.experiment_id=null", "pipeline.run_id=pilot"]);
    assert_eq!(*settings.pipeline.experiment, "pilot");
}

#[test]
fn folds_may_be_unquoted_numbers() {
    let pipeline = with(&["pipeline.train_folds=[1, 2]", "pipeline.test_fold=3"]).pipeline;
    assert_eq!((pipeline.train_folds, &**pipeline.test_fold), (vec!["1".into(), "2".into()], "3"));
}

#[test]
fn the_last_set_wins_and_may_be_a_section() {
    let settings = with(&[
        "stage2_absolute.training.epochs=3",
        "stage2_absolute.training={epochs: 5, lr: 1e-3}",
        "stage2_absolute.training.lr=2e-3",
    ]);
    assert_eq!((settings.absolute.training.epochs, settings.absolute.training.lr), (5, 2e-3));
}

#[test]
fn an_empty_section_keeps_its_defaults() {
    let text = format!("{SMALLEST}stage2_absolute:\nhardware:\n");
    assert_eq!(read(&text, &[]).unwrap(), with(&[]));
}

#[test]
fn a_set_mends_the_file() {
    let text = SMALLEST.replace("seed: 1", "seed: todo");
    assert_eq!(read(&text, &["pipeline.seed=1"]).unwrap(), with(&[]));
}

#[test]
fn a_byte_order_mark_is_ignored() {
    assert_eq!(read(&format!("\u{feff}{SMALLEST}"), &[]).unwrap(), with(&[]));
    // As some editors write it, before a comment and with their line ends.
    let text = format!("\u{feff}# mine\n{SMALLEST}").replace('\n', "\r\n");
    assert_eq!(read(&text, &[]).unwrap(), with(&[]));
}

#[test]
fn what_nothing_reads_is_named() {
    assert!(with(&[]).without_effect().is_empty());
    let sets = ["determinism.allow_tf32=true", "stage2_absolute.lora.stack_adapter_name=y"];
    let expected = ["determinism.allow_tf32", "stage2_absolute.lora.stack_adapter_name"];
    assert_eq!(with(&sets).without_effect(), expected);
}

#[test]
fn a_head_that_is_solved_for_leaves_nothing_else_to_train() {
    let message = |sets: &[&str]| read(SMALLEST, sets).unwrap_err().to_string();
    let problem = message(&["stage2_absolute.head=ridge"]);
    assert!(problem.contains("stage2_absolute.head: ridge, but an adapter trains below it"), "{problem}");
    let sets =
        ["stage2_absolute.head=ridge", "stage2_absolute.mode=head_only", "stage2_absolute.objective=ordinal"];
    let problem = message(&sets);
    assert!(problem.contains("remove objective ordinal"), "{problem}");
    read(SMALLEST, &sets[..2]).unwrap();
    read(SMALLEST, &[sets[0], "stage2_absolute.lora.train_reused_adapter=false"]).unwrap();
}
