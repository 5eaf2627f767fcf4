//! What runs take over from earlier ones in their folders, and what they do not.

use super::*;

/// Stage 1 without anything that stage 2 takes over, so that it need not be written.
const ALONE: [&str; 2] = ["stage2_absolute.mode=head_only", "stage2_absolute.lora.train_reused_adapter=null"];

#[test]
fn a_stage_1_that_read_documents_otherwise_is_refused() {
    let folder = folder();
    go_on(&folder, Stages::Relative, &[]).0.unwrap();
    let stage1 = folder.path().join("ckpt/relative");
    let info = fs::read_to_string(stage1.join("relative_run_info.txt")).unwrap();
    assert!(info.lines().any(|line| line == "train_folds: [\"A\",\"B\",\"C\"]"), "{info}");
    let from = format!("stage1_relative.from={}", stage1.display());
    let elsewhere = format!("paths.checkpoint_dir={}/other", folder.path().display());
    let differing: [(&[&str], &str); 5] = [
        (&["model.max_length=23"], "model.max_length was 24 and is 23"),
        (&["model.pooling=last"], "model.pooling was mean and is last"),
        (
            &["model.layers=1"],
            "model.layers was 3 of 3 with the final norm and is 1 of 3 without the final norm",
        ),
        (&["pipeline.trait=style", "data.columns.label=grammar"], "pipeline.trait was grammar and is style"),
        (
            &["pipeline.train_folds=[B, C, D]", "pipeline.test_fold=A"],
            "it learned from fold \"A\", which tests now (pipeline.test_fold)",
        ),
    ];
    for (sets, difference) in differing {
        let sets = [sets, &[from.as_str(), &elsewhere]].concat();
        let problem = go_on(&folder, Stages::Absolute, &sets).0.unwrap_err().to_string();
        let begins = format!("{}: holds a stage 1 that stage 2 cannot start from: ", stage1.display());
        assert!(problem.starts_with(&begins) && problem.contains(difference), "{problem}");
        assert!(problem.ends_with("name another one (stage1_relative.from)"), "{problem}");
    }
    // Also where it is this run's own, and stage 2 has no use for its adapter.
    let sets = [&ALONE[..], &["model.max_length=23"]].concat();
    let problem = go_on(&folder, Stages::Absolute, &sets).0.unwrap_err().to_string();
    assert!(
        problem.ends_with("model.max_length was 24 and is 23; undo that, or train it again"),
        "{problem}"
    );
    // The same configuration goes on, here and elsewhere.
    go_on(&folder, Stages::Absolute, &[&from, &elsewhere]).0.unwrap();
    go_on(&folder, Stages::Absolute, &[]).0.unwrap();
}

#[test]
fn a_folder_that_is_named_and_has_no_stage_1_is_refused() {
    let folder = folder();
    let from = format!("stage1_relative.from={}/nowhere", folder.path().display());
    let sets = [&ALONE[..], &[&from]].concat();
    let problem = go_on(&folder, Stages::Both, &sets).0.unwrap_err().to_string();
    assert!(problem.contains("nowhere: has no stage 1: relative_head.safetensors is not there"), "{problem}");
}

#[test]
fn a_stage_1_that_is_not_to_be_written_does_not_leave_an_earlier_one() {
    let folder = folder();
    go_on(&folder, Stages::Relative, &[]).0.unwrap();
    let written = ["scorer.json", "relative_head.safetensors", "adapter/adapter_model.safetensors"];
    let is_there = |name: &str| folder.path().join("ckpt/relative").join(name).exists();
    assert!(written.iter().all(|name| is_there(name)));
    // Begun anew, as by --restart.
    fs::remove_dir_all(folder.path().join("ckpt/relative/training")).unwrap();
    let sets = [&ALONE[..], &["stage1_relative.outputs.save_adapter=false"]].concat();
    go_on(&folder, Stages::Relative, &sets).0.unwrap();
    assert!(!written.iter().any(|name| is_there(name)));
    assert!(is_there("relative_run_info.txt"));
}

#[test]
fn results_are_written_again_where_they_are_missing() {
    let folder = folder();
    // Both heads that are trained and heads that are solved for.
    let trained: &[&str] = &[];
    for sets in [trained, &SOLVED] {
        for name in ["ckpt", "out", "other"] {
            let _ = fs::remove_dir_all(folder.path().join(name));
        }
        go_on(&folder, Stages::Both, sets).0.unwrap();
        let head = bytes(&folder, "ckpt/absolute/head.safetensors");
        let other = format!("paths.output_dir={}/other", folder.path().display());
        let elsewhere = [sets, &[other.as_str()]].concat();
        let (report, messages) = go_on(&folder, Stages::Both, &elsewhere);
        report.unwrap();
        let said = "absolute_metrics_info.txt is not there: its results are written again";
        assert!(messages.iter().any(|message| message.ends_with(said)), "{messages:?}");
        assert_eq!(bytes(&folder, "other/test_predictions.csv"), bytes(&folder, "out/test_predictions.csv"));
        assert_eq!(bytes(&folder, "ckpt/absolute/head.safetensors"), head);
        // Now nothing is missing.
        let (_, messages) = go_on(&folder, Stages::Both, &elsewhere);
        let kept = "stage 2: is over, its results are kept";
        assert!(messages.iter().any(|message| message == kept), "{messages:?}");
    }
}
