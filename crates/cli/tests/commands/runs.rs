//! Training: files, seeds, transfers, objectives, options.

use super::*;

#[test]
fn run_writes_the_files_of_the_contract() {
    let folder = Folder::new();
    let stdout = folder.run("run config.yaml").expect(0);
    for line in ["stage 1: ", "stage 2: ", "scorer: ckpt/absolute", "outputs: out"] {
        assert!(stdout.contains(line), "{stdout}");
    }
    checkpoint_of_the_contract(&folder);
    outputs_of_the_contract(&folder);
}

fn checkpoint_of_the_contract(folder: &Folder) {
    let checkpoint = [
        ".lock",
        "absolute/absolute_run_info.txt",
        "absolute/adapter/adapter_config.json",
        "absolute/adapter/adapter_model.safetensors",
        "absolute/anchors.safetensors",
        "absolute/head.safetensors",
        "absolute/relative/adapter/adapter_config.json",
        "absolute/relative/adapter/adapter_model.safetensors",
        "absolute/relative/relative_head.safetensors",
        "absolute/scorer.json",
        "absolute/training/finished.json",
        "absolute/training/step_00000007.safetensors",
        "relative/adapter/adapter_config.json",
        "relative/adapter/adapter_model.safetensors",
        "relative/relative_head.safetensors",
        "relative/relative_run_info.txt",
        "relative/scorer.json",
        "relative/train_embeddings.safetensors",
        "relative/training/finished.json",
        "relative/training/step_00000005.safetensors",
    ];
    // Embeddings are kept under the hash of what decides them.
    let (kept, files): (BTreeSet<String>, BTreeSet<String>) =
        folder.files("ckpt").into_iter().partition(|name| name.starts_with("embeddings/"));
    assert_eq!(files, checkpoint.map(String::from).into());
    assert_eq!(kept.len(), 1, "{kept:?}");

    let tensors = |name: &str| TensorFile::open(&folder.path(name)).unwrap();
    let head = tensors("ckpt/relative/relative_head.safetensors");
    assert_eq!(head.names().collect::<Vec<_>>(), ["weight"]);
    assert_eq!(head.shape("weight"), Some(&[1, D_MODEL][..]));
    let embeddings = tensors("ckpt/relative/train_embeddings.safetensors");
    let ids: Vec<String> = serde_json::from_str(embeddings.metadata("ids").unwrap()).unwrap();
    // 32 documents in the training folds, a fifth of which validates.
    assert_eq!(ids.len(), 26);
    assert_eq!(embeddings.shape("embeddings"), Some(&[26, D_MODEL][..]));
    assert_eq!(folder.json("ckpt/relative/adapter/adapter_config.json")["peft_type"], "LORA");

    let stage1 = info(folder, "ckpt/relative/relative_run_info.txt");
    for key in
        ["train_pairs", "val_pairs", "test_pairs", "withheld_pairs", "best_epoch", "test_acc", "test_loss"]
    {
        assert!(stage1.contains_key(key), "{key}");
    }
}

fn outputs_of_the_contract(folder: &Folder) {
    let outputs = folder.files("out");
    let (stamped, plain): (BTreeSet<String>, BTreeSet<String>) =
        outputs.into_iter().partition(|name| name.starts_with("run_"));
    // An event file per stage, whose names have times.
    let (events, plain): (BTreeSet<String>, BTreeSet<String>) =
        plain.into_iter().partition(|name| name.starts_with("tensorboard/"));
    let stages: Vec<&str> = events.iter().filter_map(|name| name.split('/').nth(1)).collect();
    assert_eq!(stages, ["absolute", "relative"], "{events:?}");
    assert_eq!(
        plain,
        [".lock", "absolute_metrics_info.txt", "metrics.jsonl", "splits.json", "test_predictions.csv"]
            .map(String::from)
            .into()
    );
    assert_eq!(stamped.len(), 2, "{stamped:?}");

    let splits = folder.json("out/splits.json");
    let sizes = ["train", "val", "test"].map(|split| splits[split].as_array().unwrap().len());
    assert_eq!(sizes, [26, 6, 8]);
    let stage2 = info(folder, "out/absolute_metrics_info.txt");
    for key in ["test_qwk", "test_qwk_floor", "test_mae", "test_rmse", "best_epoch", "test_pair_accuracy"] {
        assert!(stage2[key].parse::<f64>().is_ok_and(f64::is_finite), "{key}: {}", stage2[key]);
    }
    assert_eq!((stage2["transfer"].as_str(), stage2["test_size"].as_str()), ("warm start", "8"));
    assert_eq!(
        folder.text("out/absolute_metrics_info.txt"),
        folder.text("ckpt/absolute/absolute_run_info.txt")
    );

    let metrics: Vec<Value> =
        folder.text("out/metrics.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(metrics[0]["experiment"], "small");
    for (stage, metric) in [("relative", "val_acc"), ("absolute", "val_qwk")] {
        let of_stage = || metrics.iter().filter(|line| line["stage"] == stage);
        assert!(of_stage().any(|line| line["loss"].is_number()), "{stage}");
        assert!(of_stage().any(|line| line.get(metric).is_some()), "{stage}");
    }
    let resolved = stamped.iter().find(|name| name.ends_with("_config.yaml")).unwrap();
    let load = |name: &str| config::load(&folder.path(name), &[]).unwrap();
    assert_eq!(load(&format!("out/{resolved}")), load("config.yaml"));
    assert!(
        stamped
            .iter()
            .any(|name| name.ends_with(".log") && folder.text(&format!("out/{name}")).contains("loss"))
    );
}

#[test]
fn the_same_seed_gives_the_same_bytes_in_one_command_or_two() {
    const FILES: [&str; 4] = [
        "relative/relative_head.safetensors",
        "relative/adapter/adapter_model.safetensors",
        "absolute/adapter/adapter_model.safetensors",
        "absolute/head.safetensors",
    ];
    let folder = Folder::new();
    let sets = |name: &str| format!("--set paths.checkpoint_dir={name} --set paths.output_dir=out_{name}");
    folder.run(&format!("run config.yaml {}", sets("once"))).expect(0);
    folder.run(&format!("run config.yaml {}", sets("again"))).expect(0);
    folder.run(&format!("run config.yaml {} --set pipeline.seed=37", sets("other"))).expect(0);
    folder.run(&format!("relative config.yaml {}", sets("apart"))).expect(0);
    assert!(!folder.path("apart/absolute").exists());
    let scores = folder.run("evaluate --scorer apart --input essays.csv").expect(0);
    assert!(scores.contains("pair accuracy (u)") && !scores.contains("QWK"), "{scores}");
    folder.run(&format!("absolute config.yaml {}", sets("apart"))).expect(0);
    for file in FILES {
        let of = |name: &str| folder.bytes(&format!("{name}/{file}"));
        assert!(of("again") == of("once"), "a second run differs in {file}");
        assert!(of("apart") == of("once"), "relative and absolute differ from run in {file}");
        assert!(of("other") != of("once"), "the seed does not matter for {file}");
    }
}

#[test]
fn every_transfer_gives_a_scorer_that_loads() {
    const STAGE2: &str = "--set stage2_absolute.";
    for (name, sets) in [
        ("scratch", vec!["mode=scratch"]),
        ("head only", vec!["mode=head_only"]),
        ("warm start, frozen adapter", vec!["mode=warm_start", "lora.train_reused_adapter=false"]),
        ("stacked", vec!["mode=stacked"]),
        ("fusion", vec!["mode=fusion"]),
        ("fusion, frozen adapter", vec!["mode=fusion", "lora.train_reused_adapter=false"]),
        ("fusion, fresh adapter", vec!["mode=fusion", "lora.reuse_relative_adapter=false"]),
    ] {
        let folder = Folder::new();
        let sets: Vec<String> = sets.iter().map(|set| format!("{STAGE2}{set}")).collect();
        folder.run(&format!("run config.yaml {}", sets.join(" "))).expect(0);
        assert_eq!(info(&folder, "out/absolute_metrics_info.txt")["transfer"], name);
        assert_scorer_reproduces_the_run(&folder);
    }
}

#[test]
fn every_objective_scores_and_those_with_grades_stay_on_the_scale() {
    let folder = Folder::new();
    for objective in ["l1", "mse", "huber", "ordinal", "classification"] {
        let args = format!(
            "run config.yaml --set stage1_relative.enabled=false --set stage2_absolute.mode=head_only \
             --set stage2_absolute.objective={objective}"
        );
        folder.run(&args).expect(0);
        assert_eq!(info(&folder, "out/absolute_metrics_info.txt")["objective"], objective);
        assert_scorer_reproduces_the_run(&folder);
        let graded = ["ordinal", "classification"].contains(&objective);
        for (id, score) in scores(&folder, "scores.csv") {
            assert!(
                score.is_finite() && (!graded || (1.0..=5.0).contains(&score)),
                "{objective} {id}: {score}"
            );
        }
    }
}

#[test]
fn every_option_of_the_loop_runs() {
    let folder = Folder::new();
    let mut args = "run config.yaml --set model.pooling=last --set stage2_absolute.qwk=floor".to_owned();
    for stage in ["stage1_relative", "stage2_absolute"] {
        for set in [
            "epochs=2",
            "length_grouped=true",
            "gradient_accumulation=2",
            "max_grad_norm=0.5",
            "schedule=cosine",
            "warmup_steps=3",
            "max_batch_tokens=150",
        ] {
            args += &format!(" --set {stage}.training.{set}");
        }
    }
    folder.run(&args).expect(0);
    assert_eq!(folder.json("ckpt/absolute/scorer.json")["pooling"], "last");
    assert_scorer_reproduces_the_run(&folder);
    let metrics = folder.text("out/metrics.jsonl");
    let rates: Vec<f64> = metrics
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["stage"] == "absolute")
        .filter_map(|line| line["lr"].as_f64())
        .collect();
    // 26 documents, 8 a step: 4 steps an epoch, logged every second.
    assert_eq!(rates.len(), 4, "{rates:?}");
    assert!(rates[0] < rates[1] && rates[3] < rates[2], "warm-up, then decay: {rates:?}");
}

#[test]
fn a_dry_run_counts_and_writes_nothing() {
    let folder = Folder::new();
    let before = folder.files("");
    let stdout = folder.run("run config.yaml --dry-run").expect(0);
    assert_eq!(folder.files(""), before);
    for line in
        ["train 26, val 6, test 8\n", " withheld from training\n", "(warm start)\n", " MiB (estimate)\n"]
    {
        assert!(stdout.contains(line), "{line}\n{stdout}");
    }
    let resolved =
        stdout.strip_prefix("# resolved configuration\n").unwrap().split("\n\n# documents").next().unwrap();
    folder.write("resolved.yaml", resolved);
    let load = |name: &str| config::load(&folder.path(name), &[]).unwrap();
    assert_eq!(load("resolved.yaml"), load("config.yaml"));
}

/// An adapter that lies on the first layers alone is one of these layers for PEFT, too.
#[test]
fn adapters_on_the_first_layers_are_trained_scored_and_exported() {
    for mode in ["warm_start", "stacked", "fusion"] {
        let folder = Folder::new();
        let sets = format!("--set model.layers=1 --set stage2_absolute.mode={mode}");
        folder.run(&format!("relative config.yaml {sets}")).expect(0);
        folder.run(&format!("absolute config.yaml {sets}")).expect(0);
        assert_scorer_reproduces_the_run(&folder);
        let layers = &folder.json("ckpt/relative/adapter/adapter_config.json")["layers_to_transform"];
        assert_eq!(*layers, serde_json::json!([0]));
        // It scores with what it wrote, and compares.
        folder.run("export --scorer ckpt --format onnx --output exported").expect(0);
    }
}

const RIDGE: &str = "--set stage1_relative.enabled=false --set stage2_absolute.mode=head_only \
                     --set stage2_absolute.head=ridge";

/// `layers: auto` takes the depth whose ridge errs least on documents that it has not seen, as the log says; with the
/// same cache a second run computes nothing and comes to the same bytes.
#[test]
fn layers_are_chosen_by_their_errors_and_embeddings_are_kept() {
    let folder = Folder::new();
    let run = |name: &str| {
        let sets = format!("--set paths.checkpoint_dir={name} --set paths.output_dir=out_{name}");
        let args = format!("run config.yaml {RIDGE} --set model.layers=auto --cache kept {sets}");
        let outcome = folder.run(&args);
        assert_eq!(outcome.code, Some(0), "{outcome:#?}");
        outcome.stderr
    };
    let said = run("once");
    let line = said.lines().find(|line| line.contains("model.layers: auto reads")).unwrap();
    let (chosen, errors) = line.split_once("; leave-one-out RMSE by layers: ").unwrap();
    let errors: Vec<(usize, f64)> = errors
        .split(", ")
        .map(|one| one.split_once(' ').unwrap())
        .map(|(layers, error)| (layers.parse().unwrap(), error.parse().unwrap()))
        .collect();
    let layers: Vec<usize> = errors.iter().map(|(layers, _)| *layers).collect();
    assert_eq!(layers, (1..=layers.len()).collect::<Vec<_>>());
    let best = errors.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0;
    assert!(chosen.contains(&format!("auto reads {best} of {} layers", layers.len())), "{chosen}");
    let read = folder.json("once/absolute/scorer.json")["layers"].as_u64();
    assert_eq!(read, (best < layers.len()).then_some(best as u64));

    let kept = |folder: &Folder| -> BTreeMap<String, Vec<u8>> {
        folder
            .files("kept")
            .into_iter()
            .map(|name| (name.clone(), folder.bytes(&format!("kept/{name}"))))
            .collect()
    };
    let before = kept(&folder);
    assert_eq!(before.len(), layers.len());
    run("again");
    assert_eq!(kept(&folder), before);
    for file in ["absolute/head.safetensors", "absolute/scorer.json"] {
        assert!(folder.bytes(&format!("once/{file}")) == folder.bytes(&format!("again/{file}")), "{file}");
    }

    // A fixed number of layers finds them too, and so does a scorer.
    folder.run(&format!("run config.yaml {RIDGE} --set model.layers={best} --cache kept")).expect(0);
    assert_eq!(kept(&folder), before);
    assert_scorer_reproduces_the_run(&folder);
    folder.run("score --scorer ckpt --input test.csv --output cached.csv --cache kept").expect(0);
    assert_same_scores(&scores(&folder, "cached.csv"), &scores(&folder, "scores.csv"), 1e-5);
    assert_eq!(kept(&folder), before);
    let evaluate =
        |args: &str| folder.run(&format!("evaluate --scorer ckpt --input essays.csv {args}")).expect(0);
    // Correlations of ranks depend on the last digits of scores that are nearly equal.
    let agreement = |said: &str| said.lines().take(5).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(agreement(&evaluate("--cache kept")), agreement(&evaluate("")));
}
