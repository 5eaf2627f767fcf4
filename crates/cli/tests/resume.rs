//! A run that is stopped, by whatever means, goes on to the very bytes of a run that was not.
#![cfg(unix)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tests say what they skipped and did")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Folder, Outcome};
use serde_json::Value;

/// One document a step and two epochs: 40 and 52 steps, each with a checkpoint, or few.
const RUN: &str = "run config.yaml --set stage1_relative.training.batch_size=1 --set \
                   stage1_relative.training.epochs=2 --set stage2_absolute.training.batch_size=1 --set \
                   stage2_absolute.training.epochs=2 --set pipeline.checkpoint_every=1";
const STEPS: [(&str, usize); 2] = [("relative", 40), ("absolute", 52)];

fn start(folder: &Folder, args: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_pair2score"))
        .args(args.split_whitespace())
        .current_dir(folder.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn finish(child: Child) -> Outcome {
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn names(folder: &Folder, stage: &str) -> Vec<String> {
    let listed = fs::read_dir(folder.path(&format!("ckpt/{stage}/training")));
    let entries = listed.into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

/// Step of the newest checkpoint, both stages counted together.
fn newest(folder: &Folder) -> usize {
    let step = |stage| {
        let names = names(folder, stage);
        let steps = names.iter().filter_map(|name| {
            name.strip_prefix("step_")?.strip_suffix(".safetensors")?.parse::<usize>().ok()
        });
        steps.max().unwrap_or(0)
    };
    step("relative") + step("absolute")
}

fn inside_a_save(folder: &Folder) -> bool {
    ["relative", "absolute"].iter().any(|stage| names(folder, stage).iter().any(|name| name.starts_with('.')))
}

/// Waits until `holds`, or the process ended; false in the latter case.
fn wait_until(child: &mut Child, holds: impl Fn() -> bool) -> bool {
    let started = Instant::now();
    while !holds() {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "nothing happens");
        sleep(Duration::from_micros(50));
    }
    true
}

/// Everything a run leaves behind but times, speeds and notes.
fn results(folder: &Folder) -> BTreeMap<String, Vec<u8>> {
    let mut results = BTreeMap::new();
    for below in ["ckpt", "out"] {
        for name in folder.files(below) {
            let path = format!("{below}/{name}");
            // Event files have times in their names and in every record.
            if name.starts_with("run_") || name.ends_with(".lock") || name.contains("/events.out.tfevents.") {
                continue;
            }
            let bytes = match Path::new(&name).extension().and_then(|e| e.to_str()) {
                Some("txt") => without_times(&folder.text(&path)).into_bytes(),
                Some("jsonl") => folder.text(&path).lines().map(timeless).collect::<String>().into_bytes(),
                Some("json") if name.ends_with("finished.json") => timeless(&folder.text(&path)).into_bytes(),
                // It names the backbone by its absolute path.
                Some("json") if name.ends_with("scorer.json") => {
                    let root = fs::canonicalize(folder.path("")).unwrap();
                    folder.text(&path).replace(root.to_str().unwrap(), "").into_bytes()
                }
                // The state in a checkpoint's header holds times; its weights are those of the adapter.
                _ if name.contains("/training/step_") => Vec::new(),
                _ => folder.bytes(&path),
            };
            results.insert(path, bytes);
        }
    }
    results
}

fn without_times(text: &str) -> String {
    let timed = ["timestamp:", "seconds:", "tokens_per_second:", "meta_"];
    let lines = text.lines().filter(|line| !timed.iter().any(|key| line.starts_with(key)));
    lines.map(|line| format!("{line}\n")).collect()
}

fn timeless(json: &str) -> String {
    fn strip(value: &mut Value) {
        if let Value::Object(map) = value {
            for key in ["seconds", "tokens_per_second", "documents_per_second", "run"] {
                map.remove(key);
            }
            map.values_mut().for_each(strip);
        }
    }
    let mut value = serde_json::from_str(json).unwrap();
    strip(&mut value);
    format!("{value}\n")
}

fn assert_same(folder: &Folder, reference: &BTreeMap<String, Vec<u8>>) {
    let results = results(folder);
    let names = |results: &BTreeMap<String, Vec<u8>>| results.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&results), names(reference));
    for (name, bytes) in reference {
        assert!(results[name] == *bytes, "{name} differs");
    }
}

fn uninterrupted() -> BTreeMap<String, Vec<u8>> {
    let folder = Folder::new();
    folder.run(RUN).expect(0);
    results(&folder)
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    // Batches of several documents, which are computed in parts; dropout and recomputing included.
    let run = |threads: usize| {
        let folder = Folder::new();
        let args = "run config.yaml --set stage1_relative.training.epochs=1 --set \
                    stage2_absolute.training.epochs=1 --set model.recompute=true --set \
                    stage1_relative.lora.dropout=0.1 --set stage2_absolute.lora.dropout=0.1";
        let output = folder.command(args).env("RAYON_NUM_THREADS", threads.to_string()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        results(&folder)
    };
    let one = run(1);
    for threads in [2, 3, 8] {
        let several = run(threads);
        assert!(one.keys().eq(several.keys()));
        for (name, bytes) in &one {
            assert!(several[name] == *bytes, "{name} differs with {threads} threads");
        }
    }
}

/// A run that was asked to stop after at least this many steps.
fn stopped(after: usize) -> (Folder, Outcome) {
    stopped_by("-TERM", after)
}

fn stopped_by(signal: &str, after: usize) -> (Folder, Outcome) {
    let folder = Folder::new();
    let mut child = start(&folder, RUN);
    assert!(wait_until(&mut child, || newest(&folder) >= after));
    let id = child.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    let outcome = finish(child);
    (folder, outcome)
}

#[test]
fn killed_twenty_times_it_ends_with_the_same_bytes() {
    let reference = uninterrupted();
    let folder = Folder::new();
    let (mut kills, mut in_saves) = (0, 0);
    let mut stages = BTreeSet::new();
    let mut random = 36_u64;
    while kills < 20 {
        // A linear congruential generator, Knuth's constants.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let draw = random >> 40;
        let before = newest(&folder);
        let mut child = start(&folder, &format!("{RUN} --resume"));
        let goal = before + (draw % 6) as usize;
        let reached = wait_until(&mut child, || newest(&folder) >= goal) && {
            if draw.is_multiple_of(3) {
                // A save that is over before it is seen leads to the next step.
                wait_until(&mut child, || inside_a_save(&folder) || newest(&folder) > goal)
            } else {
                sleep(Duration::from_micros(draw % 8000));
                true
            }
        };
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(reached, "the run ended after {kills} kills");
        kills += 1;
        in_saves += usize::from(inside_a_save(&folder));
        stages.insert(if newest(&folder) < STEPS[0].1 { "relative" } else { "absolute" });
    }
    assert_eq!(stages.len(), 2, "all kills were in {stages:?}");
    folder.run(&format!("{RUN} --resume")).expect(0);
    assert_same(&folder, &reference);
    // Whatever a kill left half-written is gone.
    assert!(!inside_a_save(&folder));
    println!("{kills} kills, {in_saves} of them inside a save");
}

#[test]
fn a_checkpoint_that_a_kill_has_left_is_cleared_away() {
    let folder = Folder::new();
    folder.run(RUN).expect(0);
    let reference = results(&folder);
    // What a kill leaves between the last checkpoint and the mark of the end: the mark is missing, and what the last
    // checkpoint replaces is still there.
    for (stage, last) in STEPS {
        let training = format!("ckpt/{stage}/training");
        fs::remove_file(folder.path(&format!("{training}/finished.json"))).unwrap();
        folder.write(&format!("{training}/step_{:08}.safetensors", last - 1), "replaced by the last");
    }
    folder.run(&format!("{RUN} --resume")).expect(0);
    assert_same(&folder, &reference);
}

#[test]
fn a_half_written_checkpoint_is_cleared_away() {
    let (folder, _) = stopped(3);
    folder.write("ckpt/relative/training/.step_00000099.safetensors.tmp-7", "half");
    folder.run(&format!("{RUN} --resume")).expect(0);
    assert!(!inside_a_save(&folder));
}

#[test]
fn a_termination_saves_and_names_the_command_to_go_on() {
    let reference = uninterrupted();
    for after in [7, STEPS[0].1 + 9] {
        let (folder, outcome) = stopped(after);
        assert_eq!(outcome.code, Some(2), "{outcome:#?}");
        let error = outcome.stderr.lines().last().unwrap();
        assert!(error.starts_with("error: ") && error.contains("which is saved; go on with `"), "{error}");
        let command = error.split('`').nth(1).unwrap();
        assert!(command.contains(" run config.yaml ") && command.ends_with(" --resume"), "{command}");
        let again = Command::new("sh").args(["-c", command]).current_dir(folder.path("")).output().unwrap();
        assert!(again.status.success(), "{again:?}");
        assert_same(&folder, &reference);
        // It is over: to go on changes nothing and says the same.
        let stdout = folder.run(&format!("{RUN} --resume")).expect(0);
        assert_eq!(stdout, String::from_utf8(again.stdout).unwrap());
        assert_same(&folder, &reference);
    }
}

#[test]
fn a_batch_system_stops_a_run_by_other_signals() {
    for signal in ["-USR1", "-HUP", "-INT"] {
        let (_, outcome) = stopped_by(signal, 3);
        assert_eq!(outcome.code, Some(2), "{signal}: {outcome:#?}");
        assert!(outcome.stderr.contains("which is saved; go on with `"), "{signal}: {outcome:#?}");
    }
}

#[test]
fn a_stopped_run_is_not_overwritten_by_mistake() {
    // Stopped in stage 1, and in stage 2, for which stage 1 would be lost.
    for (at, stage) in [(3, "relative"), (STEPS[0].1 + 5, "absolute")] {
        let (folder, _) = stopped(at);
        let before = folder.files("ckpt");
        let outcome = folder.run(RUN);
        assert_eq!(outcome.code, Some(2));
        let expected = format!("error: ckpt/{stage}/training: holds a run that was stopped after step ");
        assert!(outcome.stderr.starts_with(&expected), "{outcome:#?}");
        assert_eq!(folder.files("ckpt"), before);
        // What is wrong with an input is found before anything is thrown away.
        let wrong = format!("{RUN} --restart --set data.columns.label=nothing");
        assert_eq!(folder.run(&wrong).code, Some(2));
        assert_eq!(folder.files("ckpt"), before);
        folder.run(&format!("{RUN} --restart")).expect(0);
        // What is over may be run again.
        folder.run(RUN).expect(0);
    }
}

#[test]
fn a_run_that_was_stopped_between_its_stages_keeps_the_first() {
    let (folder, _) = stopped(STEPS[0].1 + 5);
    // As it was while stage 2 read its documents, before its first step.
    for name in names(&folder, "absolute") {
        fs::remove_file(folder.path(&format!("ckpt/absolute/training/{name}"))).unwrap();
    }
    let before = folder.files("ckpt");
    let outcome = folder.run(RUN);
    let expected = "error: ckpt/absolute/training: holds a run that was stopped before its first checkpoint; add --resume";
    assert!(outcome.stderr.starts_with(expected), "{outcome:#?}");
    assert_eq!(folder.files("ckpt"), before);
    let outcome = folder.run(&format!("{RUN} --resume"));
    assert!(outcome.stderr.contains("stage 1: is over, its results are kept"), "{outcome:#?}");
    outcome.expect(0);
    // Stage 2 alone throws nothing away.
    fs::remove_file(folder.path("ckpt/absolute/training/finished.json")).unwrap();
    for name in names(&folder, "absolute") {
        fs::remove_file(folder.path(&format!("ckpt/absolute/training/{name}"))).unwrap();
    }
    folder.run(&RUN.replacen("run", "absolute", 1)).expect(0);
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_it_used() {
    let reference = uninterrupted();
    let (folder, _) = stopped(5);
    let mut steps = names(&folder, "relative");
    steps.sort();
    assert_eq!(steps.len(), 2);
    let path = |name: &str| format!("ckpt/relative/training/{name}");
    let whole: Vec<Vec<u8>> = steps.iter().map(|name| folder.bytes(&path(name))).collect();

    // One bit of a weight.
    let mut damaged = whole[1].clone();
    let last = damaged.len() - 2;
    damaged[last] ^= 1;
    folder.write(&path(&steps[1]), &damaged);
    folder.write(&path(&steps[0]), &whole[0][..whole[0].len() / 2]);
    let outcome = folder.run(&format!("{RUN} --resume"));
    assert_eq!(outcome.code, Some(2));
    for part in [
        "is damaged (its hash is wrong)",
        &steps[0],
        &steps[1],
        "has no checkpoint that is whole; start over",
    ] {
        assert!(outcome.stderr.contains(part), "{part}\n{outcome:#?}");
    }

    folder.write(&path(&steps[0]), &whole[0]);
    let outcome = folder.run(&format!("{RUN} --resume"));
    let named = format!("{}: is damaged (its hash is wrong); using the one before", path(&steps[1]));
    assert!(outcome.stderr.contains(&named), "{outcome:#?}");
    outcome.expect(0);
    assert_same(&folder, &reference);
}

#[test]
fn changed_inputs_are_named_and_nothing_is_lost() {
    let reference = uninterrupted();
    let (folder, _) = stopped(STEPS[0].1 + 5);
    let before = folder.files("ckpt");
    let refused = |args: &str, expected: &str| {
        let outcome = folder.run(&format!("{RUN} --resume {args}"));
        assert_eq!(outcome.code, Some(2), "{outcome:#?}");
        assert!(outcome.stderr.contains("holds a run with other inputs: "), "{outcome:#?}");
        assert!(outcome.stderr.contains(expected), "{expected}\n{outcome:#?}");
        assert_eq!(folder.files("ckpt"), before);
    };
    refused(
        "--set stage1_relative.training.lr=0.5",
        "relative/training: holds a run with other inputs: stage1_relative.training.lr was 0.002 and is 0.5; undo",
    );
    // Stage 1 is over and does not depend on stage 2.
    refused(
        "--set stage2_absolute.training.lr=0.5",
        "absolute/training: holds a run with other inputs: stage2_absolute.training.lr was 0.002 and is 0.5; undo",
    );
    for (file, from, to, expected) in [
        (
            "pairs/run1_grammar.jsonl",
            "\"index\": 1,",
            "\"index\": 1, \"weight\": 2,",
            "stage1_relative.pairs_file",
        ),
        ("essays.csv", "school.", "work.", "paths.essays_csv"),
        ("backbone/config.json", "{", "{\"note\": 1,", "model.base_model/config.json"),
    ] {
        let whole = folder.bytes(file);
        folder.edit(file, from, to);
        refused("", &format!("the file of {expected} has changed"));
        folder.write(file, whole);
    }
    // Neither notes nor logging nor checkpoints change what is computed.
    let free =
        "--set stage2_absolute.training.log_every=2 --set pipeline.checkpoint_every=null --set metadata.x=y";
    folder.run(&format!("{RUN} --resume {free}")).expect(0);
    assert_same(&folder, &reference);
}

#[test]
fn two_runs_do_not_share_a_folder() {
    let folder = Folder::new();
    let mut first = start(&folder, RUN);
    assert!(wait_until(&mut first, || newest(&folder) >= 1));
    let outcome = folder.run(RUN);
    let expected = format!("error: ckpt: another run is at work here (process {}); wait for it", first.id());
    assert!(outcome.code == Some(2) && outcome.stderr.starts_with(&expected), "{outcome:#?}");
    assert_eq!(finish(first).code, Some(0));
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    // Root may write everywhere but to /proc.
    let folder = Folder::new();
    let outcome = folder.run("run config.yaml --set paths.checkpoint_dir=/proc/pair2score");
    let expected =
        "error: cannot create /proc/pair2score/.lock; choose another folder or allow writing there";
    assert!(outcome.code == Some(2) && outcome.stderr.starts_with(expected), "{outcome:#?}");
}

/// A small file system; `None` where this user may not mount one.
struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    fn mount(place: &'a Path) -> Option<Self> {
        fs::create_dir_all(place).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(place).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(place))
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_stops_the_run_and_loses_nothing() {
    let reference = uninterrupted();
    let folder = Folder::new();
    let place = folder.path("ckpt");
    let Some(_tmpfs) = Tmpfs::mount(&place) else {
        eprintln!("skipped: this user may not mount a small file system");
        return;
    };
    let mut child = start(&folder, RUN);
    assert!(wait_until(&mut child, || newest(&folder) >= 5));
    // The file that fills the disk; writing it fails at the end.
    let _ = fs::write(place.join("filler"), vec![0; 8 << 20]);
    let outcome = finish(child);
    assert_eq!(outcome.code, Some(2), "{outcome:#?}");
    let error = outcome.stderr.lines().last().unwrap();
    for part in ["error: cannot write ckpt/", "check the free space", "No space left on device"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(newest(&folder) >= 5, "the checkpoints before are gone");
    fs::remove_file(place.join("filler")).unwrap();
    folder.run(&format!("{RUN} --resume")).expect(0);
    assert_same(&folder, &reference);
}
