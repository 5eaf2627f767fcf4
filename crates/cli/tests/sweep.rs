//! Sweeps of tiny runs: what is shared is what separate runs give, and doing it again does what is missing.

mod common;

use std::collections::BTreeMap;
use std::process::Command;

use common::Folder;
use serde_json::Value;

/// Five settings on one fold; all stage 1 but the baseline's nothing is one training of three epochs.
const PLAN: &str = "
base: config.yaml
output_dir: sweep/out
checkpoint_dir: sweep/ckpt
traits: [grammar]
folds:
  - {test: E, seed: 36, train: [A, B, C, D]}
set:
  stage1_relative.pairs_file: null
  paths.pair_cache_dir: pairs
settings:
  baseline: {stage1_relative.enabled: false}
  warm_3: {stage1_relative.training.epochs: 3}
  warm_1: {stage1_relative.training.epochs: 1}
  fusion_2: {stage1_relative.training.epochs: 2, stage2_absolute.mode: fusion}
";

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("plan.yaml", PLAN);
    folder
}

/// The only folder below `sweep/ckpt/stage1`.
fn stage1(folder: &Folder) -> String {
    let files = folder.files("sweep/ckpt/stage1");
    let names: std::collections::BTreeSet<&str> = files.iter().filter_map(|f| f.split('/').next()).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    format!("sweep/ckpt/stage1/{}", names.into_iter().next().unwrap())
}

fn info(folder: &Folder, name: &str) -> BTreeMap<String, String> {
    let text = folder.text(name);
    let entries = text.lines().filter_map(|line| line.split_once(": "));
    let same = |key: &str| {
        !["timestamp", "seconds", "tokens_per_second", "experiment_id", "pairs_file"].contains(&key)
            && !key.starts_with("meta_")
    };
    entries.filter(|(key, _)| same(key)).map(|(key, value)| (key.into(), value.into())).collect()
}

#[test]
fn a_shared_stage_1_gives_the_bytes_of_separate_ones() {
    // With the first seed the last epoch is the best, with the second the first one stays it.
    for (seed, best) in [(40, 3), (36, 1)] {
        shared_and_separate(seed, best);
    }
}

fn shared_and_separate(seed: usize, best: usize) {
    let folder = folder();
    folder.edit("plan.yaml", "seed: 36", &format!("seed: {seed}"));
    folder.edit("plan.yaml", "set:\n", "set:\n  stage1_relative.training.monitor: val_loss\n");
    let table = folder.run("sweep plan.yaml --jobs 2").expect(0);
    assert_eq!(table.lines().filter(|line| line.contains("warm_3")).count(), 1, "{table}");
    let shared = stage1(&folder);
    for (setting, epochs, stage1, mode) in [
        ("warm_3", 3, "relative", "base"),
        ("warm_1", 1, "relative/epoch_1", "base"),
        ("fusion_2", 2, "relative/epoch_2", "fusion"),
    ] {
        let separate = format!("separate_{setting}");
        folder
            .run(&format!(
                "run config.yaml --set stage1_relative.training.epochs={epochs} --set stage2_absolute.mode={mode} \
                 --set pipeline.seed={seed} --set stage1_relative.training.monitor=val_loss \
                 --set paths.output_dir={separate}/out --set paths.checkpoint_dir={separate}/ckpt"
            ))
            .expect(0);
        let of_stage1 = [
            "adapter/adapter_model.safetensors",
            "adapter/adapter_config.json",
            "relative_head.safetensors",
            "train_embeddings.safetensors",
        ];
        let of_stage2 = [
            "head.safetensors",
            "adapter/adapter_model.safetensors",
            "relative/adapter/adapter_model.safetensors",
            "relative/relative_head.safetensors",
        ];
        let ours = format!("sweep/ckpt/{setting}/grammar/fold_E/absolute");
        let stage1_pairs = of_stage1
            .map(|file| (format!("{shared}/{stage1}/{file}"), format!("{separate}/ckpt/relative/{file}")));
        let stage2_pairs =
            of_stage2.map(|file| (format!("{ours}/{file}"), format!("{separate}/ckpt/absolute/{file}")));
        let predictions = (
            format!("sweep/out/{setting}/grammar/fold_E/test_predictions.csv"),
            format!("{separate}/out/test_predictions.csv"),
        );
        for (ours, theirs) in stage1_pairs.into_iter().chain(stage2_pairs).chain([predictions]) {
            assert!(folder.bytes(&ours) == folder.bytes(&theirs), "{ours} differs from {theirs}");
        }
        let name = "relative_run_info.txt";
        let [of_sweep, of_run] =
            [format!("{shared}/{stage1}/{name}"), format!("{separate}/ckpt/relative/{name}")]
                .map(|name| info(&folder, &name));
        assert_eq!(of_sweep, of_run);
        assert_eq!(of_sweep["epochs"], epochs.to_string());
        assert_eq!(of_sweep["best_epoch"], best.min(epochs).to_string());
    }
}

/// When each run last wrote its results.
fn written(folder: &Folder) -> BTreeMap<String, std::time::SystemTime> {
    let files = folder.files("sweep/ckpt").into_iter().filter(|name| name.ends_with("finished.json"));
    let time = |name: &String| {
        std::fs::metadata(folder.path(&format!("sweep/ckpt/{name}"))).unwrap().modified().unwrap()
    };
    files.map(|name| (name.clone(), time(&name))).collect()
}

fn changed(
    before: &BTreeMap<String, std::time::SystemTime>,
    after: &BTreeMap<String, std::time::SystemTime>,
) -> Vec<String> {
    let other = after.iter().filter(|(name, time)| before.get(*name) != Some(time));
    other.map(|(name, _)| name.split('/').next().unwrap().to_owned()).collect()
}

#[test]
fn a_second_sweep_does_what_is_missing_or_changed() {
    let folder = folder();
    folder.run("sweep plan.yaml").expect(0);
    let first = written(&folder);
    assert_eq!(first.len(), 5);

    let again = folder.run("sweep plan.yaml");
    assert!(!again.stderr.contains("to do"), "{}", again.stderr);
    again.expect(0);
    assert_eq!(changed(&first, &written(&folder)), Vec::<String>::new());

    folder.remove("sweep/ckpt/warm_1/grammar/fold_E/absolute/training/finished.json");
    folder.run("sweep plan.yaml").expect(0);
    let second = written(&folder);
    assert_eq!(changed(&first, &second), ["warm_1"]);

    // Stage 2 of one setting.
    folder.edit("plan.yaml", "stage2_absolute.mode: fusion", "stage2_absolute.training.lr: 0.003");
    folder.run("sweep plan.yaml").expect(0);
    let third = written(&folder);
    assert_eq!(changed(&second, &third), ["fusion_2"]);

    // An epoch that was not kept: stage 1 is trained again, to the same bytes, and what started from it stays.
    folder.edit("plan.yaml", "stage1_relative.training.epochs: 3", "stage1_relative.training.epochs: 4");
    folder.edit("plan.yaml", "warm_1:", "warm_3b: {stage1_relative.training.epochs: 3}\n  warm_1:");
    let outcome = folder.run("sweep plan.yaml --dry-run").expect(0);
    assert!(outcome.contains("\n5 of 6 tasks to do"), "{outcome}");
    folder.run("sweep plan.yaml").expect(0);
    let redone = changed(&third, &written(&folder));
    // The first epoch is the best of this seed, so that four epochs end as three did.
    assert_eq!(redone, ["stage1", "warm_3b"]);

    // A file that all runs read.
    folder.edit("essays.csv", "She walks to school.", "She walks to work.");
    let plan = folder.run("sweep plan.yaml --dry-run").expect(0);
    assert!(plan.contains("\n6 of 6 tasks to do"), "{plan}");
}

#[test]
fn an_estimate_reads_what_is_kept_once() {
    let folder = folder();
    let tokens = |settings: &str| {
        let start = PLAN.split("settings:").next().unwrap();
        folder.write("plan.yaml", format!("{start}settings:\n{settings}"));
        let plan = folder.run("sweep plan.yaml --dry-run").expect(0);
        let line = plan.lines().find(|line| line.contains("tokens to read")).unwrap().to_owned();
        line.split_whitespace().nth(2).unwrap().parse::<f64>().unwrap()
    };
    let bare = "stage1_relative.enabled: false, stage2_absolute.mode: head_only, stage2_absolute.head";
    let one = tokens(&format!("  ridge: {{{bare}: ridge}}\n"));
    assert_eq!(tokens(&format!("  ridge: {{{bare}: ridge}}\n  mlp: {{{bare}: mlp}}\n")), one);
    // Read at another depth, and with an adapter, they are others.
    let deeper = format!("  ridge: {{{bare}: ridge}}\n  part: {{model.layers: 1, {bare}: ridge}}\n");
    assert_eq!(tokens(&deeper), 2.0 * one);
    assert!(tokens("  baseline: {stage1_relative.enabled: false}\n") > one);
}

#[test]
fn a_task_that_fails_stops_only_what_waits_for_it() {
    let folder = folder();
    folder.remove("pairs/run1_grammar.jsonl");
    let outcome = folder.run("sweep plan.yaml");
    assert!(
        outcome.stderr.contains("1 tasks failed, 3 were not started for want of them, 1 are done"),
        "{outcome:?}"
    );
    assert!(outcome.stderr.contains("run1_grammar.jsonl: is not there"), "{outcome:?}");
    let table = outcome.expect(2);
    assert!(table.contains("| warm_1 | – |"), "{table}");
    // The plan may say how pairs are made.
    folder.edit("plan.yaml", "settings:", "pairs: {pairs: {target_usage: 2}}\nsettings:");
    let table = folder.run("sweep plan.yaml").expect(0);
    assert!(!table.contains('–'), "{table}");
    assert!(folder.files("pairs").contains("run1_grammar.jsonl"));
    // Pairs that are there are not taken for others.
    folder.edit("plan.yaml", "target_usage: 2", "target_usage: 3");
    let outcome = folder.run("sweep plan.yaml --dry-run");
    assert!(outcome.stderr.contains("was made with target_usage 2 instead of 3"), "{outcome:?}");
    outcome.expect(2);
    folder.edit("plan.yaml", "target_usage: 3", "split_fraction: 0");
    let outcome = folder.run("sweep plan.yaml --dry-run");
    assert!(outcome.stderr.contains("split fraction 0 is not above 0"), "{outcome:?}");
}

#[test]
fn what_a_sweep_sets_cannot_be_set() {
    let folder = folder();
    let outcome = folder.run("sweep plan.yaml --dry-run --set pipeline.seed=7");
    assert!(
        outcome.stderr.contains("pipeline.seed: is set by the sweep for each of its runs"),
        "{outcome:?}"
    );
    outcome.expect(2);
}

#[test]
fn the_table_is_that_of_the_runs() {
    let folder = folder();
    folder.edit("plan.yaml", "folds:", "folds:\n  - {test: A, seed: 42, train: [B, C, D, E]}");
    folder.edit("plan.yaml", "paths.pair_cache_dir: pairs", "paths.pair_cache_dir: made");
    folder.edit("plan.yaml", "settings:", "pairs: {made: {}}\nsettings:");
    let shown = folder.run("sweep plan.yaml --jobs 2").expect(0);
    let mae = |fold: &str| -> f64 {
        info(&folder, &format!("sweep/out/baseline/grammar/fold_{fold}/absolute_metrics_info.txt"))["test_mae"].parse().unwrap()
    };
    let (a, e) = (mae("A"), mae("E"));
    let mut reader = csv::Reader::from_path(folder.path("sweep/out/table.csv")).unwrap();
    let header = reader.headers().unwrap().clone();
    let row = reader.records().map(Result::unwrap).find(|row| &row[0] == "baseline").unwrap();
    let value =
        |name: &str| row[header.iter().position(|column| column == name).unwrap()].parse::<f64>().unwrap();
    assert_eq!(value("mae_folds"), 2.0);
    // Both are rounded to six places.
    assert!((value("mae_mean") - (a + e) / 2.0).abs() < 2e-6);
    assert!((value("mae_sd") - (a - e).abs() / 2f64.sqrt()).abs() < 2e-6);
    let runs = csv::Reader::from_path(folder.path("sweep/out/runs.csv")).unwrap().into_records().count();
    assert_eq!(runs, 8);
    assert_eq!(shown.lines().filter(|line| line.starts_with("| ")).count(), 5, "{shown}");
}

#[cfg(unix)]
#[test]
fn a_sweep_that_is_stopped_goes_on() {
    use std::process::Stdio;
    let folder = folder();
    let mut child = Command::new(env!("CARGO_BIN_EXE_pair2score"))
        .args(["sweep", "plan.yaml", "--set", "stage1_relative.training.batch_size=1"])
        .args(["--set", "pipeline.checkpoint_every=1"])
        .current_dir(folder.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun =
        |folder: &Folder| folder.files("sweep/ckpt").iter().any(|name| name.contains("/training/step_"));
    while !begun(&folder) {
        assert!(child.try_wait().unwrap().is_none(), "ended before it was stopped");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("stopped with 0 of 5 tasks done; the same command goes on"), "{errors}");
    let log = folder.files("sweep/out/tasks").into_iter().next().unwrap();
    let log = folder.text(&format!("sweep/out/tasks/{log}"));
    assert!(log.contains("stopped after step") && log.contains("which is saved"), "{log}");
    let sets = "--set stage1_relative.training.batch_size=1 --set pipeline.checkpoint_every=1";
    folder.run(&format!("sweep plan.yaml {sets}")).expect(0);
    let log = folder.files("sweep/out/stage1").into_iter().rfind(|name| name.ends_with(".log")).unwrap();
    let log = folder.text(&format!("sweep/out/stage1/{log}"));
    assert!(log.contains("relative: going on after step"), "{log}");
}

/// Puts programs in the place of Slurm's: `sbatch` takes note of its arguments and gives job 7, 8, ….
#[cfg(unix)]
fn fake_slurm(folder: &Folder, max_array_size: usize) -> String {
    use std::os::unix::fs::PermissionsExt;
    let log = folder.path("sbatch.log").display().to_string();
    let sbatch = format!("#!/bin/sh\necho \"$@\" >>{log}\necho $((6 + $(wc -l <{log})))\n");
    let scontrol = format!("#!/bin/sh\necho 'MaxArraySize            = {max_array_size}'\n");
    for (name, text) in [("sbatch", sbatch), ("scontrol", scontrol), ("squeue", "#!/bin/sh\n".into())] {
        folder.write(&format!("bin/{name}"), text);
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(&format!("bin/{name}")), mode).unwrap();
    }
    format!("{}:{}", folder.path("bin").display(), std::env::var("PATH").unwrap())
}

#[cfg(unix)]
#[test]
fn slurm_gets_arrays_of_the_size_that_it_takes() {
    let folder = folder();
    // Another stage 1, so that there are two numbers in a wave: baseline, two stages 1, five runs after them.
    folder.edit("plan.yaml", "  warm_1:", "  other: {stage1_relative.training.lr: 0.001}\n  warm_1:");
    let path = fake_slurm(&folder, 2);
    let output =
        folder.command("sweep plan.yaml --engine slurm --throttle 5").env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let calls = folder.text("sbatch.log");
    let options = |call: &str| {
        let words: Vec<&str> = call.split(' ').filter(|word| !word.starts_with("--parsable")).collect();
        let script = words.iter().position(|word| word.ends_with(".sbatch")).unwrap();
        let name = words[script].rsplit('/').next().unwrap();
        format!("{name} {} from {}", words[..script].join(" "), words[script + 1])
    };
    let after = |job| format!("--dependency=aftercorr:{job} --kill-on-invalid-dep=yes");
    let calls: Vec<String> = calls.lines().map(options).collect();
    // Numbers 0 and 1, and number 2 as the first of the second array.
    let ready: Vec<&String> = calls.iter().filter(|call| call.starts_with("ready")).collect();
    assert_eq!(ready, ["ready.sbatch --array=0,1%5 from 0", "ready.sbatch --array=0%5 from 2"]);
    let second = calls.iter().position(|call| call.ends_with("--array=0%5 from 2")).unwrap();
    let (first, rest) = calls.split_at(second);
    assert!(first[1..].iter().all(|call| call.contains(&after(7)) && call.ends_with("from 0")), "{calls:?}");
    let job = 7 + second;
    assert!(rest[1..].iter().all(|call| call.contains(&after(job)) && call.ends_with("from 2")), "{calls:?}");
    // An element's number counts from the beginning of its array.
    let script = folder.path("sweep/out/tasks/slurm/ready.sbatch");
    let logs = |number: &str, first: &str| {
        let mut shell = Command::new("sh");
        shell.arg(&script).arg(first).env("SLURM_ARRAY_TASK_ID", number).env("PAIR2SCORE", "echo");
        assert!(shell.status().unwrap().success());
        folder.files("sweep/out/tasks").into_iter().filter(|name| name.ends_with(".log")).count()
    };
    assert_eq!((logs("0", "0"), logs("1", "0"), logs("0", "1"), logs("0", "2")), (1, 2, 2, 3));
}

/// A sweep of long trainings that has begun; its process is killed at the end of the test.
#[cfg(unix)]
fn begun(folder: &Folder, args: &str) -> std::process::Child {
    use std::process::Stdio;
    let mut child = folder
        .command(&format!("sweep plan.yaml --set stage1_relative.training.batch_size=1 {args}"))
        .args(["--set", "pipeline.checkpoint_every=1", "--set", "stage1_relative.training.epochs=500"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !folder.files("sweep/ckpt").iter().any(|name| name.contains("/training/step_")) {
        assert!(child.try_wait().unwrap().is_none(), "ended before it was stopped");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child
}

/// The end of the only log of a task.
#[cfg(unix)]
fn task_log(folder: &Folder) -> String {
    let logs = folder.files("sweep/out/tasks");
    let log = logs.iter().find(|name| name.starts_with("stage1_")).unwrap();
    folder.text(&format!("sweep/out/tasks/{log}"))
}

#[cfg(unix)]
#[test]
fn no_task_outlives_a_sweep_that_is_killed() {
    let folder = folder();
    let mut child = begun(&folder, "");
    child.kill().unwrap();
    child.wait().unwrap();
    let started = std::time::Instant::now();
    while !task_log(&folder).contains("stopped after step") {
        assert!(started.elapsed().as_secs() < 20, "{}", task_log(&folder));
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let log = task_log(&folder);
    let end = log.lines().last().unwrap();
    assert!(end.ends_with("which is saved; the same command goes on") && !end.contains("--resume"), "{log}");
}

#[cfg(unix)]
#[test]
fn no_task_outlives_a_sweep_that_fails() {
    let folder = folder();
    // The log of the second task cannot be written.
    std::fs::create_dir_all(folder.path("sweep/out/tasks/baseline_grammar_E.log")).unwrap();
    let long = "--set stage1_relative.training.epochs=500 --set stage1_relative.training.batch_size=1";
    let outcome = folder.run(&format!("sweep plan.yaml --jobs 2 {long}"));
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("cannot write sweep/out/tasks/baseline_grammar_E.log"), "{outcome:?}");
    // Its end was waited for.
    assert!(task_log(&folder).contains("error: "), "{}", task_log(&folder));
}

#[test]
fn emitted_scripts_are_valid_and_say_what_waits_for_what() {
    let folder = folder();
    folder.run("sweep plan.yaml --emit scripts --jobs 3").expect(0);
    let names: Vec<String> = folder.files("scripts").into_iter().collect();
    let expected = [
        "hyperqueue/submit.sh",
        "hyperqueue/tasks.toml",
        "kubernetes/first.yaml",
        "kubernetes/second.yaml",
        "kubernetes/submit.sh",
        "slurm/ready.sbatch",
        "slurm/submit.sh",
        "slurm/wave_1.sbatch",
        "slurm/wave_2.sbatch",
        "slurm/wave_3.sbatch",
    ];
    assert_eq!(names, expected);
    assert!(!folder.path("sweep").exists(), "nothing ran");
    for name in names.iter().filter(|name| name.ends_with(".sh") || name.ends_with(".sbatch")) {
        let status =
            Command::new("bash").arg("-n").arg(folder.path(&format!("scripts/{name}"))).status().unwrap();
        assert!(status.success(), "{name}");
    }
    // Stage 1 and the baseline wait for nothing; the others have the number of their stage 1.
    let ready = folder.text("scripts/slurm/ready.sbatch");
    assert!(ready.contains("    0) task=stage1_grammar_E_"), "{ready}");
    let wave = folder.text("scripts/slurm/wave_3.sbatch");
    assert!(wave.contains("    0) task=fusion_2_grammar_E ;;"), "{wave}");

    let graph: toml::Value = toml::from_str(&folder.text("scripts/hyperqueue/tasks.toml")).unwrap();
    let tasks = graph["task"].as_array().unwrap();
    let name =
        |task: &toml::Value| task["command"].as_array().unwrap().last().unwrap().as_str().unwrap().to_owned();
    for task in tasks {
        let after: Vec<String> = task["deps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| name(&tasks[id.as_integer().unwrap() as usize]))
            .collect();
        let waits = !name(task).starts_with("stage1") && !name(task).starts_with("baseline");
        assert_eq!(
            after.iter().filter(|after| after.starts_with("stage1_grammar_E")).count(),
            usize::from(waits)
        );
        assert_eq!(after.len(), usize::from(waits));
    }

    let job: Value = serde_yaml::from_str(&folder.text("scripts/kubernetes/second.yaml")).unwrap();
    assert_eq!((&job["kind"], &job["spec"]["completionMode"]), (&"Job".into(), &"Indexed".into()));
    assert_eq!((&job["spec"]["completions"], &job["spec"]["parallelism"]), (&3.into(), &3.into()));
    let script = job["spec"]["template"]["spec"]["containers"][0]["command"][2].as_str().unwrap();
    // A shell finds the task of a number, with a program in place of ours that prints what it is given.
    let output = Command::new("sh")
        .args(["-c", script])
        .env("JOB_COMPLETION_INDEX", "1")
        .env("PAIR2SCORE", "echo")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        folder.text("sweep/out/tasks/warm_1_grammar_E.log"),
        "sweep plan.yaml --task warm_1_grammar_E\n"
    );
}

/// A Job whose tasks failed does not keep the other from its turn, and is told at the end.
#[test]
fn a_failed_job_of_kubernetes_ends_the_waiting_and_not_the_others() {
    let folder = folder();
    folder.run("sweep plan.yaml --emit scripts --engine kubernetes").expect(0);
    let stub = "#!/bin/sh\necho \"$@\" >>calls\n[ \"$1\" = get ] || exit 0\n\
                case \"$3\" in *-first) echo FailureTarget Failed ;; *) echo SuccessCriteriaMet Complete ;; esac\n";
    std::fs::create_dir(folder.path("bin")).unwrap();
    std::fs::write(folder.path("bin/kubectl"), stub).unwrap();
    let path = format!("{}:{}", folder.path("bin").display(), std::env::var("PATH").unwrap());
    let script = "chmod +x bin/kubectl && bash scripts/submit.sh";
    let output = Command::new("bash")
        .args(["-c", script])
        .current_dir(folder.path(""))
        .env("PATH", path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("-first") && !said.contains("-second"), "{said}");
    let calls = folder.text("calls");
    let asked: Vec<&str> = calls.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(asked, ["delete", "apply", "get", "delete", "apply", "get"], "{calls}");
    let job: Value = serde_yaml::from_str(&folder.text("scripts/first.yaml")).unwrap();
    assert_eq!(job["spec"]["backoffLimitPerIndex"], Value::from(1));
}
