//! What the planner makes of plans; nothing runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::*;
use crate::config::{self, Transfer};
use crate::run::Stages;

fn configs() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs"))
}

const BASE: &str = "
paths: {essays_csv: essays.csv, pair_cache_dir: pairs}
model: {base_model: backbone}
";

/// One trait, two folds and these settings.
fn plan(settings: &str) -> SweepPlan {
    let text = format!(
        "{{base: base.yaml, output_dir: out, checkpoint_dir: ckpt, traits: [grammar], folds: [{{test: A, seed: 1}}, \
         {{test: B, seed: 2}}], settings: {settings}}}"
    );
    SweepPlan::parse(&text, Path::new("plan.yaml")).unwrap()
}

fn graph(settings: &str) -> Graph {
    plan(settings).graph(BASE, &[]).unwrap()
}

/// Stage-1 trainings of a graph.
fn trainings(graph: &Graph) -> Vec<&Task> {
    graph.tasks.iter().filter(|task| task.stages() == Stages::Relative).collect()
}

fn published() -> Graph {
    let path = configs().join("sweeps/published.yaml");
    let base = std::fs::read_to_string(configs().join("sweeps/published_base.yaml")).unwrap();
    SweepPlan::load(&path).unwrap().graph(&base, &[]).unwrap()
}

#[test]
fn thirty_trainings_serve_the_hundred_and_twenty_runs_of_the_published_grid() {
    let graph = published();
    let stage1 = trainings(&graph).len();
    assert_eq!((graph.tasks.len() - stage1, stage1, graph.unshared), (135, 30, 120));
    let mut runs_of = BTreeMap::<usize, usize>::new();
    for training in graph.tasks.iter().filter_map(|task| task.after) {
        *runs_of.entry(training).or_default() += 1;
    }
    assert_eq!(runs_of.into_values().collect::<Vec<_>>(), [4; 30]);
    let ids: BTreeSet<&str> = graph.tasks.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(ids.len(), graph.tasks.len());
    let folders: BTreeSet<&Path> =
        graph.tasks.iter().map(|task| task.settings.paths.checkpoint_dir.as_path()).collect();
    assert_eq!(folders.len(), graph.tasks.len());
}

#[test]
fn a_run_starts_from_the_stage_1_of_its_own_trait_fold_seed_and_pairs() {
    let graph = published();
    for task in &graph.tasks {
        let Some(cell) = &task.cell else { continue };
        let Some(after) = task.after else {
            assert_eq!(
                (cell.setting.as_str(), task.settings.absolute.transfer()),
                ("baseline", Transfer::Scratch)
            );
            continue;
        };
        let (ours, stage1) = (&task.settings, &graph.tasks[after].settings);
        let of = |s: &config::Settings| {
            (
                s.pipeline.target.clone(),
                s.pipeline.test_fold.clone(),
                s.pipeline.train_folds.clone(),
                s.pipeline.seed.clone(),
            )
        };
        assert_eq!(of(ours), of(stage1));
        let relative = stage1.stage1().unwrap();
        let size = if cell.setting.contains("_small_") { "data/pairs_small" } else { "data/pairs_large" };
        assert!(relative.pairs_file.starts_with(size), "{}", task.id);
        assert_eq!((relative.training.epochs, &relative.outputs.save_epochs), (10, &vec![1]));
        let whole = stage1.paths.checkpoint_dir.join("relative");
        let expected = if cell.setting.ends_with("_10") { whole } else { whole.join("epoch_1") };
        assert_eq!(ours.relative.from, Some(expected), "{}", task.id);
        let epochs = if cell.setting.ends_with("_10") { "10" } else { "1" };
        assert_eq!(ours.metadata[STAGE1_EPOCHS], epochs);
        assert_eq!(ours.metadata[STAGE1_PAIRS], relative.pairs_file.display().to_string());
    }
}

/// The examples were written before there were sweeps; the seeds are those of the paper.
#[test]
fn folds_and_seeds_rotate_as_published() {
    let graph = published();
    for (example, run) in [
        ("exp02_example_grammar_small_warmstart", 3),
        ("exp05_example_vocabulary_large_warmstart", 3),
        ("exp06_example_syntax_large_fusion", 4),
    ] {
        let example = config::load(&configs().join(format!("examples/{example}.yaml")), &[]).unwrap();
        let same = |task: &&Task| {
            task.cell.is_some() && task.settings.pipeline.test_fold == example.pipeline.test_fold
        };
        let task = graph.tasks.iter().find(same).unwrap();
        assert_eq!((&task.settings.pipeline.train_folds, task.run), (&example.pipeline.train_folds, run));
    }
    let runs: BTreeSet<_> = graph
        .tasks
        .iter()
        .map(|task| (task.run, task.settings.pipeline.test_fold.as_str(), *task.settings.pipeline.seed))
        .collect();
    let expected = [(1, "E", 36), (2, "A", 42), (3, "B", 48), (4, "C", 54), (5, "D", 60)];
    assert_eq!(runs.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn only_what_stage_1_reads_tells_trainings_apart() {
    let same = [
        "stage2_absolute.training.lr: 0.001",
        "stage2_absolute.mode: stacked",
        "stage1_relative.training.log_every: 7",
        "metadata.notes: another",
        "stage1_relative.outputs.save_embeddings: false",
        "stage1_relative.training.epochs: 3",
    ];
    for key in same {
        assert_eq!(trainings(&graph(&format!("{{a: {{}}, b: {{{key}}}}}"))).len(), 2, "{key}");
    }
    let other = [
        "stage1_relative.training.lr: 0.001",
        "stage1_relative.training.early_stop_patience: 1",
        "stage1_relative.lora.r: 8",
        "pipeline.val_ratio: 0.2",
        "model.max_length: 128",
        "paths.pair_cache_dir: more_pairs",
        "model.base_model: other_backbone",
        "paths.essays_csv: other.csv",
        "stage1_relative.pairs_file: other.jsonl",
    ];
    for key in other {
        assert_eq!(trainings(&graph(&format!("{{a: {{}}, b: {{{key}}}}}"))).len(), 4, "{key}");
    }
}

#[test]
fn a_shorter_training_is_the_beginning_of_a_longer_one_only_at_a_constant_rate() {
    let settings = |schedule| {
        let stage1 =
            |epochs| format!("{{stage1_relative.training: {{schedule: {schedule}, epochs: {epochs}}}}}");
        format!("{{a: {}, b: {}, c: {}}}", stage1(2), stage1(5), stage1(1))
    };
    let constant = graph(&settings("constant"));
    let kept: Vec<_> = trainings(&constant)
        .iter()
        .map(|task| task.settings.stage1().map(|r| (r.training.epochs, r.outputs.save_epochs.clone())))
        .collect();
    assert_eq!(kept, vec![Some((5, vec![1, 2])); 2]);
    assert_eq!(trainings(&graph(&settings("linear"))).len(), 6);
}

#[test]
fn nested_and_dotted_overrides_mean_the_same() {
    let [dotted, nested] = [
        "{a: {stage1_relative.training.epochs: 2, stage1_relative.lora.target_modules: [q_proj]}}",
        "{a: {stage1_relative: {training: {epochs: 2}, lora: {target_modules: [q_proj]}}}}",
    ]
    .map(graph);
    assert_eq!(dotted, nested);
}

#[test]
fn a_whole_number_names_a_setting_as_it_is_written() {
    let plan = plan("{1: {}, \"2\": {model.max_length: 64}}");
    let names: Vec<&str> = plan.settings.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["1", "2"]);
}

#[test]
fn later_overrides_win() {
    let plan = SweepPlan::parse(
        "{base: b, output_dir: o, checkpoint_dir: c, traits: [grammar], folds: [{test: A, train: [B], seed: 1}], set: \
         {pipeline.val_ratio: 0.2, model.max_length: 64}, settings: {a: {model.max_length: 96}}}",
        Path::new("plan.yaml"),
    );
    let graph = plan.unwrap().graph(BASE, &["model.recompute=true".into()]).unwrap();
    let settings = &graph.tasks[0].settings;
    assert_eq!(
        (settings.pipeline.val_ratio, settings.model.max_length, settings.model.recompute),
        (0.2, 96, true)
    );
}

#[test]
fn the_settings_of_a_task_survive_the_file() {
    for task in graph("{a: {stage1_relative.training.epochs: 1}, b: {stage2_absolute.mode: fusion}}").tasks {
        let again = config::parse(&task.settings.to_yaml(), Path::new("c.yaml"), &[]).unwrap();
        // They are resolved already, so the number of the run has no use any more.
        assert_eq!(again, task.settings, "{}", task.id);
    }
}

#[test]
fn settings_may_share_what_they_set() {
    let graph = graph(
        "{one: {stage1_relative.enabled: false, stage2_absolute: &stage {objective: mse, max_labels: 7}}, \
         two: {stage1_relative.enabled: false, stage2_absolute: {<<: *stage, objective: huber}}}",
    );
    let of = |task: &Task| (task.settings.absolute.objective, task.settings.absolute.max_labels);
    let got: BTreeSet<String> = graph.tasks.iter().map(|task| format!("{:?}", of(task))).collect();
    assert_eq!(got, ["(Huber, Some(7))", "(Mse, Some(7))"].map(str::to_owned).into());
}

#[test]
fn what_is_wrong_is_named() {
    let message = |settings: &str| plan(settings).graph(BASE, &[]).unwrap_err().to_string();
    let unknown = message("{good: {}, slow: {stage1_relative.training.epoch: 3}}");
    assert!(unknown.contains("setting slow of plan.yaml") && unknown.contains("epochs"), "{unknown}");

    let traits = "traits: [score, log_score], folds: [{test: A, seed: 1}, {test: B, seed: 2}]";
    let twice = format!(
        "{{base: b, output_dir: o, checkpoint_dir: c, {traits}, settings: {{joint: {{}}, joint_log: {{}}}}}}"
    );
    let twice = SweepPlan::parse(&twice, Path::new("plan.yaml")).unwrap().graph(BASE, &[]).unwrap_err();
    let expected = "plan.yaml: the tasks of c/joint_log/score/fold_A and c/joint/log_score/fold_A would both be called \
                    joint_log_score_A; rename a setting or a trait";
    assert_eq!(twice.to_string(), expected);

    let base = "base: b, output_dir: o, checkpoint_dir: c";
    let folds = "folds: [{test: A, seed: 1}, {test: B, seed: 2}]";
    let cases = BTreeMap::from([
        (format!("{{{base}, traits: [], {folds}, settings: {{a: {{}}}}}}"), "traits: empty"),
        (format!("{{{base}, traits: [x, x], {folds}, settings: {{a: {{}}}}}}"), "\"x\" occurs twice"),
        (format!("{{{base}, traits: [x], {folds}, settings: {{}}}}"), "settings: empty"),
        (
            format!("{{{base}, traits: [x], {folds}, settings: {{../a: {{}}}}}}"),
            "\"../a\" cannot be the name",
        ),
        (format!("{{{base}, traits: [x], {folds}, settings: {{stage1: {{}}}}}}"), "\"stage1\" cannot be"),
        (format!("{{{base}, traits: [x], {folds}, settings: {{a: [b]}}}}"), "settings.a: not a mapping"),
        (
            format!("{{{base}, traits: [x], {folds}, settings: {{1.5: {{}}}}}}"),
            "settings: 1.5 is no name to YAML, write \"1.5\" in quotes",
        ),
        (
            format!("{{{base}, traits: [x], {folds}, settings: {{true: {{}}}}}}"),
            "settings: true is no name to YAML",
        ),
        (
            format!("{{{base}, traits: [x], {folds}, settings: {{1: {{}}, \"1\": {{}}}}}}"),
            "settings: \"1\" occurs twice",
        ),
        (
            format!("{{{base}, traits: [x], folds: [{{test: A, seed: 1}}], settings: {{a: {{}}}}}}"),
            "nothing to train on",
        ),
        (
            format!("{{{base}, trait: x, traits: [x], {folds}, settings: {{a: {{}}}}}}"),
            "unknown field `trait`",
        ),
        (format!("{{{base}, traits: [x y], {folds}, settings: {{a: {{}}}}}}"), "\"x y\" is not a name"),
    ]);
    for (text, expected) in cases {
        let message = SweepPlan::parse(&text, Path::new("plan.yaml")).unwrap_err().to_string();
        assert!(message.contains(expected) && message.starts_with("plan.yaml: "), "{message}");
    }
}
