//! Heads that are solved for, and what is trained from them, against the crate that solves.

use super::*;

#[test]
fn a_solved_head_is_the_ridge_of_the_embeddings_and_scores_as_a_scorer() {
    let folder = folder();
    tell(&folder);
    let sets = ["stage2_absolute.head=ridge", "stage1_relative.outputs.save_embeddings=false"];
    go_on(&folder, Stages::Both, &sets).0.unwrap();

    // The ridge of all documents but the test's.
    let corpus = Corpus::of(&folder);
    let (train, test) = corpus.split();
    let y = ndarray::Array2::from_shape_fn((train.len(), 1), |(i, _)| corpus.label(train[i]));
    let head = &pair2score_heads::ridge(corpus.rows(&train).view(), y.view(), None).unwrap()[0];
    corpus.assert_scores(&folder, &test, &head.predict(corpus.rows(&test).view()));
    let info = String::from_utf8(bytes(&folder, "out/absolute_metrics_info.txt")).unwrap();
    // Every labelled document calibrates, not the validation documents alone.
    for line in [
        "head: ridge",
        &format!("penalty: {}", head.penalty),
        "calibration_documents: 12",
        "interval_documents: 12",
    ] {
        assert!(info.lines().any(|other| other == line), "{line} is not in\n{info}");
    }
    // There are no epochs to speak of.
    assert!(info.contains("\nleft_out_qwk: ") && !info.contains("epoch"), "{info}");
}

/// Gives the documents labels that their texts tell: how often a sentence is repeated.
fn tell(folder: &TempDir) {
    let essays = fs::read_to_string(folder.path().join("essays.csv")).unwrap();
    let label = |line: &str| 1 + 2 * (line.matches("bold").count() - 1);
    let mut told = "text_id,full_text,fold,grammar\n".to_owned();
    for line in essays.lines().skip(1) {
        let (rest, _) = line.rsplit_once(',').unwrap();
        told += &format!("{rest},{}\n", label(rest));
    }
    fs::write(folder.path().join("essays.csv"), told).unwrap();
}

/// The documents of a folder, and their embeddings by the scorer that was written there.
struct Corpus {
    /// Id, text, fold, label.
    rows: Vec<Vec<String>>,
    scorer: pair2score_scorer::Scorer<Flex>,
    embedded: Vec<f32>,
}

impl Corpus {
    fn of(folder: &TempDir) -> Self {
        let device = Default::default();
        let scorer = pair2score_scorer::Scorer::<Flex>::load(&folder.path().join("ckpt"), &device).unwrap();
        let essays = String::from_utf8(bytes(folder, "essays.csv")).unwrap();
        let rows: Vec<Vec<String>> =
            essays.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect();
        let texts: Vec<&str> = rows.iter().map(|row| row[1].as_str()).collect();
        let encoded = scorer.encode(&texts).unwrap();
        let ids: Vec<&[u32]> = encoded.iter().map(|document| document.ids.as_slice()).collect();
        let adapters: Vec<_> = scorer.stage2().map_or(Vec::new(), |stage2| stage2.adapters.iter().collect());
        let embedded = scorer.encoder.embed(&ids, &adapters, &device).into_data().into_vec().unwrap();
        Self { rows, scorer, embedded }
    }

    /// Documents outside the test fold, and in it.
    fn split(&self) -> (Vec<usize>, Vec<usize>) {
        (0..self.rows.len()).partition(|&i| self.rows[i][2] != "D")
    }

    fn label(&self, document: usize) -> f64 {
        self.rows[document][3].parse().unwrap()
    }

    /// Embeddings of documents.
    fn rows(&self, documents: &[usize]) -> ndarray::Array2<f32> {
        let d = self.embedded.len() / self.rows.len();
        ndarray::Array2::from_shape_fn((documents.len(), d), |(i, j)| self.embedded[documents[i] * d + j])
    }

    /// The judgements of `pairs.jsonl` that train, with the rows of these documents.
    fn judgements(&self, folder: &TempDir, documents: &[usize]) -> Vec<pair2score_heads::Judgement> {
        let pairs = String::from_utf8(bytes(folder, "pairs.jsonl")).unwrap();
        let pairs = pairs.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let row = |id: &serde_json::Value| documents.iter().position(|&i| self.rows[i][0] == *id).unwrap();
        pairs
            .filter(|pair| pair["split"] == "train")
            .map(|pair| pair2score_heads::Judgement {
                a: row(&pair["a"]),
                b: row(&pair["b"]),
                y: pair["y"].as_f64().unwrap(),
                weight: 1.0,
            })
            .collect()
    }

    /// Both the predictions that were written and the scorer give these scores.
    fn assert_scores(&self, folder: &TempDir, documents: &[usize], expected: &[f64]) {
        let predictions = String::from_utf8(bytes(folder, "out/test_predictions.csv")).unwrap();
        let texts: Vec<&str> = documents.iter().map(|&document| self.rows[document][1].as_str()).collect();
        let scores = self.scorer.score(&self.scorer.encode(&texts).unwrap(), |_| ()).unwrap().unwrap();
        for ((&document, expected), score) in documents.iter().zip(expected).zip(scores) {
            let id = format!("{},", self.rows[document][0]);
            let line = predictions.lines().find(|line| line.starts_with(&id)).unwrap();
            let predicted: f64 = line.split(',').nth(2).unwrap().parse().unwrap();
            assert!((predicted - expected).abs() < 1e-3, "{predicted} is not {expected}");
            assert!((score[0].score - expected).abs() < 1e-3);
        }
    }
}

#[test]
fn a_head_that_begins_from_data_learns_the_same_on_every_scale() {
    let sets = [
        "stage1_relative.enabled=false",
        "stage2_absolute.mode=head_only",
        "stage2_absolute.lora.train_reused_adapter=null",
        "stage2_absolute.training={epochs: 30, lr: 0.01, batch_size: 4, early_stop_patience: 0}",
        "pipeline.val_ratio=0.3",
    ];
    // 1 to 5 by 0.5, and the same mapped linearly; the labels are 1, 3 and 5.
    let mut runs = Vec::new();
    for (low, high) in [(1.0, 5.0), (0.0, 1.0), (0.0, 60.0), (200.0, 800.0)] {
        let folder = folder();
        tell(&folder);
        let mapped = |label: f64| low + (label - 1.0) / 4.0 * (high - low);
        let essays = String::from_utf8(bytes(&folder, "essays.csv")).unwrap();
        let mut lines: Vec<String> = essays.lines().map(str::to_owned).collect();
        for line in &mut lines[1..] {
            let (rest, label) = line.rsplit_once(',').unwrap();
            *line = format!("{rest},{}", mapped(label.parse().unwrap()));
        }
        fs::write(folder.path().join("essays.csv"), lines.join("\n")).unwrap();
        let scale = format!("scale={{min: {low}, max: {high}, step: {}}}", (high - low) / 8.0);
        let sets = [&sets[..], &[&scale, "stage2_absolute.head_init=data"]].concat();
        let report = go_on(&folder, Stages::Absolute, &sets).0.unwrap().absolute.unwrap();
        let predictions = String::from_utf8(bytes(&folder, "out/test_predictions.csv")).unwrap();
        let scores: Vec<f64> = predictions
            .lines()
            .skip(1)
            .map(|line| line.split(',').nth(2).unwrap().parse().unwrap())
            .map(|score: f64| 1.0 + (score - low) / (high - low) * 4.0)
            .collect();
        // The files are those of any head: the scorer gives what the run measured.
        let corpus = Corpus::of(&folder);
        let (_, test) = corpus.split();
        let unmapped: Vec<f64> = scores.iter().map(|score| mapped(*score)).collect();
        if high < 100.0 {
            corpus.assert_scores(&folder, &test, &unmapped);
        }
        runs.push((report.traits().next().unwrap().test.qwk_nearest.unwrap(), scores));
    }
    let (kappa, scores) = &runs[0];
    assert!(*kappa > 0.5, "{kappa}");
    for (other, others) in &runs[1..] {
        assert!((kappa - other).abs() < 0.03, "{kappa} {other}");
        for (one, other) in scores.iter().zip(others) {
            assert!((one - other).abs() < 0.02, "{one} {other}");
        }
    }
}

/// Steps that change nothing that can be seen.
const STANDING_STILL: &str = "training={epochs: 1, lr: 1.0e-12, early_stop_patience: 0}";

#[test]
fn training_begins_at_the_ridge_of_the_training_documents() {
    let folder = folder();
    let still = format!("stage2_absolute.{STANDING_STILL}");
    let fresh = [
        "stage1_relative.enabled=false",
        "stage2_absolute.mode=baseline",
        "stage2_absolute.lora={new_adapter_rank: 2, target_modules: [q_proj], train_reused_adapter: null}",
        "stage2_absolute.head_init=ridge",
        "pipeline.val_ratio=0.3",
        &still,
    ];
    let (report, messages) = go_on(&folder, Stages::Absolute, &fresh);
    // The start counts: no epoch improves on it.
    assert_eq!(report.unwrap().absolute.unwrap().fit.epochs.unwrap().best_epoch, 0);
    assert!(messages.iter().any(|message| message.ends_with("before the first step")), "{messages:?}");
    let corpus = Corpus::of(&folder);
    let splits: serde_json::Value = serde_json::from_slice(&bytes(&folder, "out/splits.json")).unwrap();
    let train: Vec<usize> = splits["train"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| corpus.rows.iter().position(|row| *id == row[0]).unwrap())
        .collect();
    let (known, test) = corpus.split();
    assert!(train.len() < known.len(), "validation documents take no part");
    let labels = ndarray::Array2::from_shape_fn((train.len(), 1), |(row, _)| corpus.label(train[row]));
    let ridge = pair2score_heads::ridge(corpus.rows(&train).view(), labels.view(), None).unwrap().remove(0);
    corpus.assert_scores(&folder, &test, &ridge.predict(corpus.rows(&test).view()));
    let refusal = [&fresh[..], &["stage2_absolute.objective=ordinal"]].concat();
    let refusal: Vec<String> = refusal.iter().map(|&set| set.to_owned()).collect();
    let problem = parse(CONFIG, Path::new("tiny.yaml"), &refusal).unwrap_err().to_string();
    assert!(problem.contains("stage2_absolute.head_init: ridge, whose one output is the score"), "{problem}");
}

#[test]
fn an_adapter_of_stage_1_begins_at_the_head_of_its_pairs() {
    let (solved, trained) = (folder(), folder());
    go_on(&solved, Stages::Relative, &SOLVED).0.unwrap();
    let still = format!("stage1_relative.{STANDING_STILL}");
    let begun = ["stage1_relative.head_init=head_only", "stage1_relative.outputs.save_epochs=[1]", &still];
    go_on(&trained, Stages::Relative, &begun).0.unwrap();
    let weights = |folder: &TempDir, place: &str| {
        let path = folder.path().join("ckpt/relative").join(place).join("relative_head.safetensors");
        TensorFile::open(&path).unwrap().stored("weight").unwrap().values
    };
    let expected = weights(&solved, "");
    let largest = expected.iter().fold(0.0, |largest: f32, weight| largest.max(weight.abs()));
    for place in ["", "epoch_1"] {
        for (written, expected) in weights(&trained, place).iter().zip(&expected) {
            assert!((written - expected).abs() < 1e-4 * largest, "{written} is not {expected}");
        }
    }
}

#[test]
fn a_stage_1_without_an_adapter_is_the_head_of_its_pairs() {
    let folder = folder();
    // What an adapter leaves behind is not taken for a part of it.
    go_on(&folder, Stages::Relative, &[]).0.unwrap();
    fs::remove_dir_all(folder.path().join("ckpt/relative/training")).unwrap();
    let report = go_on(&folder, Stages::Relative, &SOLVED).0.unwrap().relative.unwrap();
    assert_eq!(report.fit.epochs, None);
    assert!(report.fit.best["val_acc"].is_some(), "{:?}", report.fit.best);
    assert!(!folder.path().join("ckpt/relative/adapter/adapter_model.safetensors").exists());

    let corpus = Corpus::of(&folder);
    let (documents, _) = corpus.split();
    let judgements = corpus.judgements(&folder, &documents);
    let judged: Vec<usize> =
        (0..documents.len()).filter(|&i| judgements.iter().any(|j| [j.a, j.b].contains(&i))).collect();
    let place = |row: usize| judged.iter().position(|&i| i == row).unwrap();
    let judgements: Vec<_> = judgements
        .iter()
        .map(|j| pair2score_heads::Judgement { a: place(j.a), b: place(j.b), ..*j })
        .collect();
    let judged: Vec<usize> = judged.iter().map(|&i| documents[i]).collect();
    let none = vec![None; judged.len()];
    let head = pair2score_heads::joint(corpus.rows(&judged).view(), &none, &judgements).unwrap();
    let file = TensorFile::open(&folder.path().join("ckpt/relative/relative_head.safetensors")).unwrap();
    let weights = file.stored("weight").unwrap();
    assert_eq!(weights.shape, [1, head.weights.len()]);
    let largest = head.weights.iter().fold(0.0, |largest: f64, weight| largest.max(weight.abs()));
    for (written, expected) in weights.values.iter().zip(&head.weights) {
        assert!((f64::from(*written) - expected).abs() < 1e-3 * largest, "{written} is not {expected}");
    }
    // Nothing is left to do, and stage 2 takes it over.
    let (_, messages) = go_on(&folder, Stages::Relative, &SOLVED);
    assert!(messages.iter().any(|message| message == "stage 1: is over, its results are kept"));
    go_on(&folder, Stages::Absolute, &SOLVED).0.unwrap();
    let settings = String::from_utf8(bytes(&folder, "ckpt/absolute/scorer.json")).unwrap();
    let settings: serde_json::Value = serde_json::from_str(&settings).unwrap();
    assert_eq!(settings["relative"]["adapter"], serde_json::Value::Null);
    let texts = Corpus::of(&folder);
    assert!(texts.scorer.can_rank() && texts.scorer.can_score());
}

#[test]
fn a_joint_head_is_that_of_labels_and_judgements() {
    let folder = folder();
    tell(&folder);
    go_on(&folder, Stages::Both, &SOLVED).0.unwrap();
    let corpus = Corpus::of(&folder);
    let (documents, test) = corpus.split();
    let labels: Vec<_> = documents.iter().map(|&document| Some(corpus.label(document))).collect();
    let judgements = corpus.judgements(&folder, &documents);
    let head = pair2score_heads::joint(corpus.rows(&documents).view(), &labels, &judgements).unwrap();
    let x = corpus.rows(&test).mapv(f64::from);
    let expected = (x.dot(&head.weights) + head.intercept).to_vec();
    corpus.assert_scores(&folder, &test, &expected);
    let info = String::from_utf8(bytes(&folder, "out/absolute_metrics_info.txt")).unwrap();
    for line in ["head: joint", "judgements: 4", "calibration_documents: 12", "interval_documents: 12"] {
        assert!(info.lines().any(|other| other == line), "{line} is not in\n{info}");
    }
    // Stage 2 depends on its pairs even where stage 1 is an earlier one.
    let earlier = format!("stage1_relative.from={}/ckpt/relative", folder.path().display());
    let sets = [&SOLVED[1..], &[&earlier, "paths.checkpoint_dir=DIR/other"]].concat();
    let sets: Vec<String> =
        sets.iter().map(|set| set.replace("DIR", folder.path().to_str().unwrap())).collect();
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    go_on(&folder, Stages::Absolute, &sets).0.unwrap();
    assert_eq!(
        bytes(&folder, "other/absolute/head.safetensors"),
        bytes(&folder, "ckpt/absolute/head.safetensors")
    );
    let pairs = String::from_utf8(bytes(&folder, "pairs.jsonl")).unwrap();
    fs::write(folder.path().join("pairs.jsonl"), pairs.replace("\"y\": 1", "\"y\": 0.5")).unwrap();
    let problem = go_on(&folder, Stages::Absolute, &sets).0.unwrap_err().to_string();
    assert!(problem.contains("the file of stage1_relative.pairs_file has changed"), "{problem}");
}

#[test]
fn a_warm_start_needs_an_adapter() {
    let folder = folder();
    go_on(&folder, Stages::Relative, &SOLVED).0.unwrap();
    let from = format!("stage1_relative.from={}/ckpt/relative", folder.path().display());
    let problem = go_on(&folder, Stages::Absolute, &[&from]).0.unwrap_err().to_string();
    assert!(problem.contains("relative: has a stage 1 without an adapter to start from"), "{problem}");
}
