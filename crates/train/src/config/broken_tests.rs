//! What is said about broken configurations.

use std::path::Path;

use super::load;
use super::tests::{SMALLEST, read};

fn message(text: &str, sets: &[&str]) -> String {
    let message = read(text, sets).unwrap_err().to_string();
    assert!(message.starts_with("c.yaml: ") && !message.contains('\n'), "{message}");
    message
}

/// Each breaks the smallest configuration in one way.
const BROKEN: &[(&[&str], &str)] = &[
    // Missing.
    (&["pipeline.experiment_id=null"], "pipeline.experiment_id: missing"),
    (&["pipeline.experiment_id=' '"], "pipeline.experiment_id: missing"),
    (&["pipeline.trait=null"], "pipeline.trait: missing"),
    (&["pipeline.train_folds=[]"], "pipeline.train_folds: missing"),
    (&["pipeline.test_fold=null"], "pipeline.test_fold: missing"),
    (&["pipeline.seed=null"], "pipeline.seed: missing"),
    (&["paths.essays_csv=null"], "paths.essays_csv: missing"),
    (&["paths.output_dir=null"], "paths.output_dir: missing"),
    (&["paths.checkpoint_dir=''"], "paths.checkpoint_dir: missing"),
    (&["model.base_model=null"], "model.base_model: missing"),
    (&["stage1_relative.pairs_file=null"], "stage1_relative.pairs_file: missing"),
    (
        &["stage1_relative.pairs_file=null", "paths.pair_cache_dir=x", "pipeline.run_id=pilot"],
        "stage1_relative.pairs_file: missing",
    ),
    // Unknown.
    (&["pipeline.sede=7"], "pipeline.sede: unknown key, did you mean seed?"),
    (&["stage2.mode=base"], "stage2: unknown key, the sections are pipeline, determinism"),
    (
        &["epochs=3"],
        "epochs: unknown key, did you mean stage1_relative.training.epochs or stage2_absolute.training.epochs?",
    ),
    (
        &["hardware.gpus=2"],
        "hardware.gpus: unknown key, the keys of hardware are cuda_device, devices, device",
    ),
    (&["stage1_relative.lora.reuse_relative_adapter=true"], "did you mean stage2_absolute.lora.reuse_rel"),
    (&["scale.stop=1"], "scale.stop: unknown key, did you mean step?"),
    // Contradictions of batching.
    (
        &["stage1_relative.training.document_grouped=true", "stage1_relative.training.length_grouped=true"],
        "stage1_relative.training.document_grouped: contradicts length_grouped, set one of them to false",
    ),
    (
        &["stage2_absolute.training.document_grouped=true"],
        "stage2_absolute.training.document_grouped: is for pairs, set it to false in stage 2",
    ),
    (&["pipeline.checkpoint_keep=1"], "pipeline.checkpoint_keep: 1 is not in 2 to 1000"),
    (&["data.columns.3=x"], "data.columns.3: unknown key"),
    // Of a wrong type.
    (&["pipeline.seed=abc"], "pipeline.seed: invalid type: string \"abc\", expected a whole number"),
    (&["pipeline.seed=-1"], "pipeline.seed: invalid type: integer `-1`, expected a whole number"),
    (&["pipeline.train_folds=A"], "pipeline.train_folds: invalid type: string \"A\", expected a list"),
    (&["pipeline.test_fold=1.5"], "pipeline.test_fold: invalid type: floating point `1.5`, expected a name"),
    (&["pipeline.train_folds=[[A]]"], "pipeline.train_folds[0]: invalid type: sequence, expected a name"),
    (&["paths=here"], "paths: invalid type: string \"here\", expected a section of keys"),
    (&["scale=5"], "scale: invalid type: integer `5`, expected a section of keys"),
    (&["metadata=[1]"], "metadata: invalid type: sequence, expected a section of keys"),
    (&["metadata.a={b: 1}"], "metadata.a: invalid type: map, expected text"),
    (
        &["stage1_relative.enabled=maybe"],
        "stage1_relative.enabled: invalid type: string \"maybe\", expected tr",
    ),
    (&["stage1_relative.training.lr=null"], "stage1_relative.training.lr: invalid type"),
    (&["model=!here {base_model: x}"], "model: a YAML tag"),
    // Out of range.
    (&["pipeline.val_ratio=1"], "pipeline.val_ratio: 1 is not above 0 and below 1"),
    (&["pipeline.val_ratio=.nan"], "pipeline.val_ratio: NaN is not"),
    (&["model.max_length=1"], "model.max_length: 1 is not in 2 to 131072"),
    (&["stage1_relative.lora.r=0"], "stage1_relative.lora.r: 0 is not in 1 to 4096"),
    (&["stage1_relative.lora.alpha=0"], "stage1_relative.lora.alpha: 0 is not above 0"),
    (&["stage2_absolute.lora.dropout=1"], "stage2_absolute.lora.dropout: 1 is not 0 or more and below 1"),
    (&["stage2_absolute.lora.target_modules=[]"], "target_modules: empty"),
    (&["stage2_absolute.lora.target_modules=[q_prj]"], "down_proj (did you mean q_proj?)"),
    (&["stage2_absolute.lora.target_modules=[q_proj, q_proj]"], "\"q_proj\" occurs twice"),
    (&["stage2_absolute.training.epochs=0"], "stage2_absolute.training.epochs: 0 is not in 1 to 100000"),
    (&["stage2_absolute.training.lr=2"], "stage2_absolute.training.lr: 2 is not above 0 and at most 1"),
    (&["stage2_absolute.training.lr=.inf"], "stage2_absolute.training.lr: inf is not above 0"),
    (&["stage2_absolute.training.weight_decay=-1"], "weight_decay: -1 is not 0 or more"),
    (&["stage2_absolute.training.max_grad_norm=0"], "max_grad_norm: 0 is not above 0 or null"),
    (&["stage2_absolute.training.gradient_accumulation=0"], "gradient_accumulation: 0 is not in 1 to 65536"),
    (&["stage2_absolute.huber_delta=0"], "stage2_absolute.huber_delta: 0 is not above 0"),
    (&["scale=automatic"], "scale: invalid type: string \"automatic\", expected a section of keys, or auto"),
    (&["scale={auto: true, step: 1}"], "scale.step: given, but scale.auto asks for a scale without grades"),
    (&["scale={min: 2, max: 1}"], "scale 2 to 1, continuous: min is not below max"),
    (
        &["scale=auto", "stage2_absolute.objective=ordinal"],
        "stage2_absolute.objective: ordinal needs grades, but the scale is continuous, use l1, mse or huber",
    ),
    (&["scale=auto", "stage2_absolute.qwk=floor"], "stage2_absolute.qwk: floor needs grades"),
    (&["scale.step=0.3"], "scale 1 to 5 by 0.3: max is not a whole number of steps above min, correct"),
    (&["hardware.devices=[]"], "hardware.devices: empty, name at least one card like [0]"),
    (&["hardware.devices=[0, 1, 0]"], "hardware.devices: card 0 occurs twice, remove one"),
    (
        &["hardware={devices: [0, 1], cuda_device: 1}"],
        "hardware.devices: begins with card 0, but cuda_device is 1, remove cuda_device",
    ),
    (
        &[
            "hardware.devices=[0, 1, 2]",
            "stage1_relative.training.gradient_accumulation=2",
            "stage2_absolute.training.gradient_accumulation=3",
        ],
        "stage1_relative.training.gradient_accumulation: 2, but a step gives each of the 3 cards of \
         hardware.devices a batch at least, set it to 3 or more",
    ),
    // Not among the choices.
    (&["model.quantization=int8"], "model.quantization: \"int8\" is not known, use one of none"),
    (&["hardware.device=gpu"], "hardware.device: \"gpu\" is not known, use one of cpu, cuda, wgpu"),
    (
        &["model.dtype=bf-16"],
        "model.dtype: \"bf-16\" is not known, use one of f32, f16, bf16, auto (did you mean bf16?)",
    ),
    (
        &["stage1_relative.training.monitor=val_qwk"],
        "\"val_qwk\" is not measured in this stage, use one of val_acc",
    ),
    (&["stage2_absolute.mode=warmstart"], "fusion (did you mean warm_start?)"),
    (&["stage2_absolute.objective=rank"], "use one of l1, mse, huber, ordinal, classification"),
    // Contradictory.
    (&["pipeline.test_fold=A"], "pipeline.test_fold: \"A\" is also a training fold"),
    (&["pipeline.train_folds=[A, A]"], "pipeline.train_folds: \"A\" occurs twice"),
    (&["data.columns.id=full_text"], "data.columns.text: \"full_text\" is also data.columns.id"),
    (&["data.columns.prompt=full_text"], "data.columns.prompt: \"full_text\" is also data.columns.text"),
    (
        &["stage2_absolute.training.monitor=val_mae", "stage2_absolute.training.monitor_mode=max"],
        "stage2_absolute.training.monitor_mode: max contradicts monitor val_mae, use min or auto",
    ),
    (
        &["stage2_absolute.mode=embedding_fusion", "stage2_absolute.embedding_fusion.enabled=false"],
        "embedding_fusion.enabled: false contradicts stage2_absolute.mode embedding_fusion",
    ),
    (
        &["stage2_absolute.embedding_fusion.enabled=true", "stage2_absolute.lora.stack_new_adapter=true"],
        "stack_new_adapter: true contradicts stage2_absolute.embedding_fusion.enabled true",
    ),
    (
        &["stage2_absolute.mode=fusion", "stage2_absolute.lora.stack_new_adapter=true"],
        "stack_new_adapter: true contradicts stage2_absolute.mode fusion",
    ),
    (
        &["stage1_relative.mode=head_only", "stage2_absolute.mode=warm_start"],
        "stage2_absolute.mode: warm_start needs the stage-1 adapter, but stage1_relative.mode is head_only, set that \
         to adapter or use base",
    ),
    (
        &["stage1_relative.mode=head_only", "stage1_relative.outputs.save_epochs=[1]"],
        "save_epochs: given, but stage1_relative.mode head_only has no epochs, remove it",
    ),
    (
        &["stage1_relative.enabled=false", "stage2_absolute.mode=head_only", "stage2_absolute.head=joint"],
        "stage2_absolute.head: joint, which learns from the pairs of stage 1, but stage1_relative.enabled is false",
    ),
    (&["stage2_absolute.head=joint"], "stage2_absolute.head: joint, but an adapter trains below it"),
    (
        &[
            "stage1_relative={from: earlier, pairs_file: null}",
            "stage2_absolute.head=joint",
            "stage2_absolute.lora.train_reused_adapter=false",
        ],
        "stage1_relative.pairs_file: missing, give the JSONL of pairs",
    ),
    (&["stage2_absolute.max_labels=1"], "stage2_absolute.max_labels: 1 is not in 2 to 1000000000"),
    (
        &["stage2_absolute.mode=head_only", "stage2_absolute.lora.reuse_relative_adapter=true"],
        "reuse_relative_adapter: true contradicts stage2_absolute.mode head_only",
    ),
    (
        &["stage2_absolute.mode=head_only", "stage2_absolute.embedding_fusion.enabled=true"],
        "embedding_fusion.enabled: true contradicts stage2_absolute.mode head_only",
    ),
    (
        &["stage2_absolute.mode=warm_start", "stage2_absolute.lora.reuse_relative_adapter=false"],
        "reuse_relative_adapter: false contradicts stage2_absolute.mode warm_start",
    ),
    (
        &["stage2_absolute.lora={stack_new_adapter: true, reuse_relative_adapter: false}"],
        "stack_new_adapter: true without stage2_absolute.lora.reuse_relative_adapter",
    ),
    (
        &["stage2_absolute.lora={stack_new_adapter: true, train_reused_adapter: true}"],
        "train_reused_adapter: true contradicts stage2_absolute.lora.stack_new_adapter true",
    ),
    (
        &["stage1_relative.enabled=false", "stage2_absolute.lora.reuse_relative_adapter=true"],
        "stage1_relative.enabled is false, set it to false or enable stage 1",
    ),
    (
        &["stage1_relative.enabled=false", "stage2_absolute.embedding_fusion.enabled=true"],
        "embedding_fusion.enabled: true needs the stage-1 adapter",
    ),
    (
        &["stage1_relative.enabled=false", "stage2_absolute.mode=stacked"],
        "stage2_absolute.mode: stacked needs the stage-1 adapter",
    ),
    (
        &["stage1_relative.outputs.save_adapter=false"],
        "stage1_relative.outputs.save_adapter: false, but stage 2 starts from that adapter",
    ),
    // Not a set.
    (&["pipeline.seed"], "--set \"pipeline.seed\": no \"=\", write KEY=VALUE"),
    (&["pipeline..seed=1"], "--set \"pipeline..seed=1\": an empty part"),
    (&["pipeline.seed.x=1"], "seed is a value, not a section"),
    (&["pipeline.seed=[1"], "the value is not valid YAML"),
];

#[test]
fn one_mistake_gives_one_message() {
    for (sets, expected) in BROKEN {
        let message = message(SMALLEST, sets);
        assert!(message.contains(expected), "{sets:?}\n{message}");
        assert!(!message.contains("; "), "more than one problem: {sets:?}\n{message}");
    }
}

#[test]
fn how_a_table_is_written_is_refused_as_on_the_command_line() {
    for (set, expected) in [
        ("data.prompt_template='{text}'", "the template \"{text}\" has {prompt} 0 times"),
        ("data.delimiter=;;", "\";;\" cannot separate or escape; give one character"),
        ("data.encoding=ebcdic", "unknown encoding \"ebcdic\"; give one of utf-8"),
    ] {
        let message = message(SMALLEST, &[set]);
        assert!(message.contains("data: ") && message.contains(expected), "{message}");
    }
}

#[test]
fn files_that_are_no_configuration_say_why() {
    for (text, expected) in [
        ("", "the file is empty"),
        ("# nothing\n", "the file is empty"),
        ("- a\n- b\n", "not a mapping of sections"),
        ("just text", "not a mapping of sections"),
        ("pipeline:\n  seed: 1\n  seed: 2\n", "pipeline: duplicate entry with key \"seed\" at line 2"),
        ("model: {}\nmodel: {}\n", "duplicate entry with key \"model\""),
        (
            "pipeline:\n\tseed: 1\n",
            "at line 2 column 1, while scanning for the next token, indent with spaces",
        ),
        ("pipeline: [\n", "not valid YAML: "),
        ("a: 1\n---\nb: 2\n", "more than one document"),
        ("pipeline: *nowhere\n", "unknown anchor"),
    ] {
        let message = message(text, &[]);
        assert!(message.contains(expected), "{text:?}\n{message}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let message = load(Path::new("no/such/file.yaml"), &[]).unwrap_err().to_string();
    assert!(message.starts_with("cannot read no/such/file.yaml; "), "{message}");
}

#[test]
fn a_wrong_type_has_its_line() {
    let text = SMALLEST.replace("test_fold: C", "test_fold: [C]");
    let message = message(&text, &[]);
    assert!(
        message.contains("pipeline.test_fold: ") && message.ends_with(" at line 2 column 78"),
        "{message}"
    );
}

#[test]
fn all_unknown_keys_and_wrong_types_come_together() {
    let message = message(
        SMALLEST,
        &[
            "pipeline.sede=1",
            "model.poling=mean",
            "pipeline.seed=x",
            "stage1_relative.training.epochs=y",
            "scale.min=z",
        ],
    );
    for key in
        ["pipeline.sede", "model.poling", "pipeline.seed: ", "stage1_relative.training.epochs", "scale.min"]
    {
        assert!(message.contains(key), "{key}\n{message}");
    }
    assert_eq!(message.matches("; ").count(), 4, "{message}");
}

#[test]
fn masses_of_mistakes_are_cut_short() {
    let notes: String = (0..1000).map(|n| format!("  n{n}: [x]\n")).collect();
    let message = message(&format!("{SMALLEST}metadata:\n{notes}"), &[]);
    assert!((1..100).contains(&message.matches("invalid type").count()), "{message}");
}

#[test]
fn a_set_of_any_depth_is_answered() {
    // Without a limit, what recurses over the sections overflows the stack.
    let message = message(SMALLEST, &[&format!("metadata{}=1", ".a".repeat(100_000))]);
    assert!(message.contains("a key of 100001 parts, none has more than 16"), "{}", &message[..100]);
}

#[test]
fn all_conflicts_come_together() {
    let message = message("pipeline: {val_ratio: 2}", &["stage2_absolute.training.batch_size=0"]);
    for key in [
        "pipeline.experiment_id",
        "pipeline.trait",
        "pipeline.train_folds",
        "pipeline.test_fold",
        "pipeline.seed",
        "pipeline.val_ratio",
        "paths.essays_csv",
        "paths.output_dir",
        "paths.checkpoint_dir",
        "model.base_model",
        "stage1_relative.pairs_file",
        "stage2_absolute.training.batch_size",
    ] {
        assert!(message.contains(&format!("{key}: ")), "{key}\n{message}");
    }
    assert_eq!(message.matches("; ").count(), 11, "{message}");
}

#[test]
fn a_disabled_stage_is_not_checked_for_ranges() {
    let sets = ["stage1_relative.enabled=false", "stage1_relative.training.epochs=0"];
    assert!(read(SMALLEST, &sets).is_ok());
}
