//! Every transfer in every format: what an exported folder computes, and what is refused.

mod common;

use std::fs;
use std::path::Path;

use common::{B, Folder, Recipe, SCORING, Transfer, options, oracle};
use pair2score_export::{Difference, Format, Numbers, Options, Precision, Quantization, export, read_back};
use pair2score_model::{Pooling, ScoreLink, TokenBatch};
use pair2score_scorer::{
    Scorer, ScorerSettings, TensorFile, WeightDType, backbone_fingerprint, load_backbone,
};
use serde_json::Value;

/// Products in another order: a few steps of f32 at scores below 10.
const ROUNDING: f64 = 2e-5;

const CUMULATIVE: ScoreLink = ScoreLink::Cumulative { min: 1.0, step: 0.5, grades: 9 };
/// Two traits, whose heads differ.
const TWO: &[&str] = &["grammar", "syntax"];
const EXPECTED: ScoreLink = ScoreLink::Expected { min: 1.0, step: 0.5, grades: 9 };

fn largest(difference: Option<Difference>) -> f64 {
    difference.expect("both sides have these numbers").largest
}

fn numbers(folder: &Folder, name: &str) -> Numbers {
    Numbers::of(&Scorer::<B>::load(&folder.path(name), &Default::default()).unwrap()).unwrap()
}

/// How much the golden scores of the first trait vary: a difference far below it means something.
fn spread(rows: &[Vec<f64>]) -> f64 {
    let values = rows.iter().map(|row| row[0]);
    values.clone().fold(f64::MIN, f64::max) - values.fold(f64::MAX, f64::min)
}

/// The largest difference of two lists of rows.
fn apart(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    assert_eq!(a.iter().map(Vec::len).collect::<Vec<_>>(), b.iter().map(Vec::len).collect::<Vec<_>>());
    a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn an_hf_folder_is_the_whole_scorer() {
    let mut recipes: Vec<Recipe> = SCORING.map(Recipe::from).to_vec();
    recipes.push(Transfer::RelativeOnly.into());
    recipes.extend([Transfer::WarmStart, Transfer::Fusion].map(|t| Recipe { traits: TWO, ..t.into() }));
    for recipe in recipes {
        let (folder, transfer) = (Folder::new(), recipe.transfer);
        folder.scorer(recipe);
        let report = folder.export(Format::HuggingFace, Precision::F32).unwrap();
        let (before, after) = (numbers(&folder, "scorer"), numbers(&folder, "out"));
        assert_eq!(report.weight_deviation, 0.0);
        for (before, after, reported) in [
            (before.scores, after.scores, report.scores),
            (before.utilities, after.utilities, report.utilities),
        ] {
            assert_eq!(before.is_some(), after.is_some(), "{transfer:?}");
            let Some((before, after)) = before.zip(after) else { continue };
            let apart = apart(&before, &after);
            assert!(spread(&before) > 0.05, "{transfer:?}: {}", spread(&before));
            assert!(apart <= ROUNDING, "{transfer:?}: {apart}");
            assert!(largest(reported) <= apart, "{transfer:?}");
        }
        // Exported once more, it is the same scorer still.
        fs::rename(folder.path("out"), folder.path("once")).unwrap();
        fs::remove_dir_all(folder.path("scorer")).unwrap();
        fs::rename(folder.path("once"), folder.path("scorer")).unwrap();
        folder.export(Format::HuggingFace, Precision::F32).unwrap();
        let (once, twice) = (numbers(&folder, "scorer"), numbers(&folder, "out"));
        assert_eq!(once.scores.is_some(), twice.scores.is_some());
        if let Some((once, twice)) = once.scores.zip(twice.scores) {
            assert!(apart(&once, &twice) <= ROUNDING, "{transfer:?}");
        }
    }
}

#[test]
fn stacking_leaves_stage_1_the_rank_it_needs() {
    let rank = |transfer| {
        let folder = Folder::new();
        folder.scorer(transfer);
        folder.export(Format::HuggingFace, Precision::F32).unwrap();
        let config = fs::read(folder.path("out/relative/adapter/adapter_config.json")).unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        // PEFT puts it on a `LlamaModel`, which has no other task and no `model.` in its names.
        assert_eq!(config["task_type"], "FEATURE_EXTRACTION");
        let factors =
            TensorFile::open(&folder.path("out/relative/adapter/adapter_model.safetensors")).unwrap();
        assert!(factors.names().all(|name| name.starts_with("base_model.model.layers.")));
        config["r"].as_u64().unwrap()
    };
    // Both adapters of the oracle have rank 4. What stage 1 and stage 2 share cancels.
    assert_eq!(rank(Transfer::Fusion), 8);
    assert_eq!(rank(Transfer::Stacked), 4);
}

#[test]
fn merged_weights_and_embeddings_are_those_of_transformers_and_peft() {
    let folder = Folder::new();
    folder.scorer(Transfer::Scratch);
    folder.export(Format::HuggingFace, Precision::F32).unwrap();
    let expected = TensorFile::open(&oracle("expected.safetensors")).unwrap();
    let written = TensorFile::open(&folder.path("out/model.safetensors")).unwrap();
    let close = |actual: &[f32], name: &str| {
        let expected = expected.stored(name).unwrap().values;
        assert_eq!(actual.len(), expected.len(), "{name}");
        for (a, e) in actual.iter().zip(&expected) {
            assert!((a - e).abs() <= 1e-4, "{name}: {a} {e}");
        }
    };
    close(&written.stored("layers.0.self_attn.q_proj.weight").unwrap().values, "merged.layers.0.q_proj");

    let text = fs::read(oracle("expected.json")).unwrap();
    let json: Value = serde_json::from_slice(&text).unwrap();
    let ids: Vec<Vec<u32>> = serde_json::from_value(json["tokenizer_ids"].clone()).unwrap();
    let limit = json["max_length"].as_u64().unwrap() as usize;
    let rows: Vec<&[u32]> = ids.iter().map(|ids| &ids[..ids.len().min(limit)]).collect();
    let (config, backbone) =
        load_backbone::<B>(&folder.path("out"), WeightDType::F32, &Default::default()).unwrap();
    let batch = TokenBatch::packed(&rows, &Default::default());
    let pooled = Pooling::Mean.pool(backbone.forward(&config, &batch, &[], None), &batch);
    close(&pooled.into_data().into_vec::<f32>().unwrap(), "pooled.merged");
}

#[test]
fn sentence_transformers_and_onnx_give_the_scores() {
    let mut recipes: Vec<Recipe> = SCORING.map(Recipe::from).to_vec();
    for link in [CUMULATIVE, EXPECTED] {
        recipes.push(Recipe { link, ..Transfer::WarmStart.into() });
    }
    recipes.push(Recipe { pooling: Pooling::Last, ..Transfer::WarmStart.into() });
    for link in [ScoreLink::Identity, CUMULATIVE] {
        recipes.push(Recipe { link, traits: TWO, ..Transfer::WarmStart.into() });
    }
    for recipe in recipes {
        let folder = Folder::new();
        folder.scorer(recipe);
        for format in [Format::SentenceTransformers, Format::Onnx] {
            if format == Format::SentenceTransformers && recipe.transfer == Transfer::Fusion {
                continue;
            }
            let report = folder.export(format, Precision::F32).unwrap();
            assert!(largest(report.scores) <= ROUNDING, "{format} {recipe:?}: {report:?}");
            assert_eq!(report.utilities, None);
        }
    }
}

#[test]
fn a_calibration_goes_where_the_scores_go() {
    let fused = Recipe::from(Transfer::Fusion);
    let linked = Recipe { link: CUMULATIVE, ..Transfer::WarmStart.into() };
    let several = Recipe { traits: TWO, ..Transfer::WarmStart.into() };
    for recipe in [Transfer::WarmStart.into(), linked, fused, several] {
        let folder = Folder::new();
        folder.scorer(recipe);
        let expected = numbers(&folder, "scorer").calibrated.unwrap();
        assert!(spread(&expected) > 0.05, "{recipe:?}: {expected:?}");
        let close = |found: &[Vec<f64>]| {
            // The steepest part of the map is 3 units for 1.
            assert!(apart(&expected, found) <= 3.0 * ROUNDING, "{recipe:?}: {}", apart(&expected, found));
        };
        let report = folder.export(Format::HuggingFace, Precision::F32).unwrap();
        assert!(largest(report.calibrated) <= 3.0 * ROUNDING);
        close(&numbers(&folder, "out").calibrated.unwrap());

        for format in [Format::SentenceTransformers, Format::Onnx] {
            if format == Format::SentenceTransformers && recipe.transfer == Transfer::Fusion {
                continue;
            }
            let report =
                folder.export_with(Options { calibrated: true, ..options(format, Precision::F32) }).unwrap();
            assert_eq!(report.scores, None, "{format} gives one kind of score");
            assert!(largest(report.calibrated) <= 3.0 * ROUNDING);
            // What a user's program gets is the calibrated score itself.
            close(&read_back::<B>(&folder.path("out"), format, &Default::default()).unwrap().scores.unwrap());
        }
    }
}

#[test]
fn intervals_go_where_raw_scores_go() {
    let folder = Folder::new();
    let scorer = folder.scorer(Transfer::WarmStart);
    let written =
        |file: &str| String::from_utf8_lossy(&fs::read(folder.path("out").join(file)).unwrap()).into_owned();
    let said = "- 90 % of labels lie within ± 0.7500 of the score, ± 1.2500 from a score of 3.0000 on (100 unseen documents).";
    for format in [Format::HuggingFace, Format::SentenceTransformers, Format::Onnx] {
        folder.export(format, Precision::F32).unwrap();
        assert!(written("README.md").contains(said), "{format}: {}", written("README.md"));
        if format == Format::Onnx {
            assert!(written("onnx/model.onnx").contains(r#""half_widths":[0.75,1.25]"#));
        }
    }
    folder.export(Format::HuggingFace, Precision::F32).unwrap();
    let read = |folder: &Path| ScorerSettings::read(&folder.join("scorer.json")).unwrap().traits;
    assert_eq!(read(&folder.path("out")), read(&scorer));

    // A model that calibrates gives no raw scores for them to lie around.
    folder.export_with(Options { calibrated: true, ..options(Format::Onnx, Precision::F32) }).unwrap();
    assert!(written("README.md").contains("export it without `--calibrated`"));
    assert!(!written("onnx/model.onnx").contains("half_widths"));
}

#[test]
fn calibration_is_built_in_only_where_there_is_one_and_no_place_beside_the_scores() {
    let folder = Folder::new();
    let scorer = folder.scorer(Transfer::Scratch).join("scorer.json");
    let refused = |format| {
        let options = Options { calibrated: true, ..options(format, Precision::F32) };
        folder.export_with(options).unwrap_err().to_string()
    };
    assert!(refused(Format::HuggingFace).contains("leave out --calibrated"));
    let mut json: Value = serde_json::from_slice(&fs::read(&scorer).unwrap()).unwrap();
    json.as_object_mut().unwrap().remove("calibration").unwrap();
    fs::write(scorer, json.to_string()).unwrap();
    assert!(refused(Format::Onnx).contains("holds no calibration of grammar"));
    assert_eq!(folder.export(Format::HuggingFace, Precision::F32).unwrap().calibrated, None);
}

/// Makes some weights in the last part of a file very large.
fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let place = (bytes.len() / 10 * 9).min(bytes.len() - 64);
    bytes[place..place + 64].fill(0x7d);
    fs::write(path, bytes).unwrap();
}

#[test]
fn reading_back_sees_what_is_in_the_files() {
    let cases = [
        (Format::HuggingFace, "out/head.safetensors"),
        (Format::SentenceTransformers, "out/2_Dense/model.safetensors"),
        (Format::SentenceTransformers, "out/3_Dense/model.safetensors"),
        (Format::Onnx, "out/onnx/model.onnx"),
    ];
    for (format, file) in cases {
        let folder = Folder::new();
        folder.scorer(Transfer::WarmStart);
        folder.export(format, Precision::F32).unwrap();
        let scores = || {
            let numbers = read_back::<B>(&folder.path("out"), format, &Default::default()).unwrap();
            numbers.scores.unwrap()
        };
        let before = scores();
        assert_eq!(scores(), before, "{format} repeats itself");
        damage(&folder.path(file));
        let after = scores();
        let same = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-3;
        assert!(!after.iter().flatten().zip(before.iter().flatten()).all(same), "{file}: {after:?}");
    }
}

#[test]
fn sixteen_bits_stay_within_their_tolerance_and_are_not_f32() {
    let formats = [
        (Format::HuggingFace, Precision::F16),
        (Format::HuggingFace, Precision::Bf16),
        (Format::SentenceTransformers, Precision::F16),
        (Format::SentenceTransformers, Precision::Bf16),
        (Format::Onnx, Precision::F16),
    ];
    for transfer in [Transfer::WarmStart, Transfer::Fusion] {
        for (format, precision) in formats {
            if format == Format::SentenceTransformers && transfer == Transfer::Fusion {
                continue;
            }
            let folder = Folder::new();
            folder.scorer(transfer);
            let report = folder.export(format, precision).unwrap();
            // Half a step of the format at weights below 2, which the norms' are: 2^-11 and 2^-8.
            let step = if precision == Precision::F16 { 2.0_f64.powi(-11) } else { 2.0_f64.powi(-8) };
            assert!((step / 16.0..=step).contains(&report.weight_deviation), "{format} {report:?}");
            assert!(largest(report.scores) > ROUNDING / 10.0, "{format} {precision} {report:?}");
        }
    }
}

#[test]
fn a_scorer_held_in_16_bits_exports_what_it_computes() {
    for dtype in [WeightDType::F16, WeightDType::Bf16] {
        let folder = Folder::new();
        folder.scorer(Recipe { dtype, ..Transfer::Fusion.into() });
        for format in [Format::HuggingFace, Format::Onnx] {
            folder.export(format, Precision::F32).unwrap();
        }
    }
}

#[test]
fn a_packed_site_is_small_and_exports_what_it_computes() {
    let folder = Folder::new();
    folder.scorer(Transfer::Fusion);
    let page = folder.path("page");
    fs::create_dir(&page).unwrap();
    for file in ["index.html", "annotate.html", "lead.html", "lead.html.br"] {
        fs::write(page.join(file), "").unwrap();
    }
    let export = |from: &str, to: &str, format, quantize| {
        let options = Options { quantize, page: page.clone(), ..options(format, Precision::F32) };
        export::<B>(folder.path(from).as_path(), &folder.path(to), options, &Default::default(), |_| ())
    };
    let size = |name: &str| {
        let files = fs::read_dir(folder.path(name).join("bundle")).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum::<u64>()
    };
    export("scorer", "plain", Format::Web, None).unwrap();
    let names = folder.names("plain");
    assert!(names.contains(&"annotate.html".to_owned()), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("lead")), "a server's page: {names:?}");
    let report = export("scorer", "packed", Format::Web, Some(Quantization::Q8)).unwrap();
    assert!(size("packed") < size("plain") * 9 / 10, "{} {}", size("packed"), size("plain"));
    assert!(report.weight_deviation > 0.0 && largest(report.scores) > 10.0 * ROUNDING, "{report:?}");
    assert!(largest(report.scores) < spread(&numbers(&folder, "plain").scores.unwrap()) / 4.0, "{report:?}");

    // What was rounded once is exact from then on.
    let report = export("packed", "hf", Format::HuggingFace, None).unwrap();
    assert_eq!(report.weight_deviation, 0.0);
    // Only the activations that met packed weights may have been rounded as well.
    assert!(largest(report.scores) < 0.05 && largest(report.utilities) < 0.05, "{report:?}");
    assert!(folder.path("hf/tokenizer.json").is_file());

    let error = export("scorer", "no", Format::Onnx, Some(Quantization::Q8)).unwrap_err().to_string();
    assert!(error.contains("can be packed in 8 bits for --format web alone"), "{error}");
}

#[test]
fn an_earlier_export_is_replaced_and_other_folders_are_not() {
    let folder = Folder::new();
    folder.scorer(Transfer::WarmStart);
    folder.export(Format::HuggingFace, Precision::F32).unwrap();
    folder.export(Format::Onnx, Precision::F32).unwrap();
    assert!(!folder.path("out/scorer.json").exists());
    assert_eq!(folder.names(""), ["out", "scorer"]);

    fs::remove_file(folder.path("out/pair2score_export.json")).unwrap();
    let before = folder.names("out");
    let error = folder.export(Format::Onnx, Precision::F32).unwrap_err().to_string();
    assert!(error.contains("other files in it"), "{error}");
    assert_eq!(folder.names("out"), before);
}

#[test]
fn what_a_format_cannot_say_is_refused_with_what_to_use() {
    let cases = [
        (Transfer::RelativeOnly, Format::SentenceTransformers, Precision::F32, "stage 1 only"),
        (Transfer::RelativeOnly, Format::Onnx, Precision::F32, "stage 1 only"),
        (Transfer::Fusion, Format::SentenceTransformers, Precision::F32, "use --format hf or onnx"),
        (Transfer::Scratch, Format::Onnx, Precision::Bf16, "use --dtype f16 or f32"),
    ];
    for (transfer, format, precision, expected) in cases {
        let folder = Folder::new();
        folder.scorer(transfer);
        let error = folder.export(format, precision).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(folder.names(""), ["scorer"]);
    }
}

#[test]
fn probabilities_of_several_traits_have_no_chain_of_modules() {
    let folder = Folder::new();
    folder.scorer(Recipe { link: EXPECTED, traits: TWO, ..Transfer::Scratch.into() });
    let error = folder.export(Format::SentenceTransformers, Precision::F32).unwrap_err().to_string();
    assert!(error.contains("several traits") && error.contains("use --format hf or onnx"), "{error}");
    assert!(largest(folder.export(Format::Onnx, Precision::F32).unwrap().scores) <= ROUNDING);
}

#[test]
fn the_card_of_several_traits_names_them() {
    let folder = Folder::new();
    folder.scorer(Recipe { traits: TWO, ..Transfer::WarmStart.into() });
    let info = "train_size: 10\ntest_qwk[grammar]: 0.61\ntest_size[grammar]: 3\ntest_qwk[syntax]: 0.55\n";
    fs::write(folder.path("scorer/absolute_run_info.txt"), info).unwrap();
    folder.export(Format::SentenceTransformers, Precision::F32).unwrap();
    let card = fs::read_to_string(folder.path("out/README.md")).unwrap();
    let parts = [
        "| Trait | grammar; syntax |",
        "| Scale | 1 to 5 in steps of 0.5 |",
        "| qwk[syntax] | 0.55 |",
        "scores, in the order grammar, syntax",
        "- syntax: Raw scores",
    ];
    for part in parts {
        assert!(card.contains(part), "no {part:?} in {card}");
    }
    assert!(!card.contains("size["), "{card}");
    folder.export(Format::HuggingFace, Precision::F32).unwrap();
    let card = fs::read_to_string(folder.path("out/README.md")).unwrap();
    assert!(card.contains("The heads are in `heads/` and `relative/`"), "{card}");
    assert!(folder.path("out/heads/syntax.safetensors").is_file());
}

#[test]
fn anchors_go_along_where_scorer_json_does() {
    for transfer in [Transfer::WarmStart, Transfer::Fusion] {
        let folder = Folder::new();
        folder.scorer(Recipe { traits: TWO, ..transfer.into() });
        folder.anchors();
        fs::create_dir(folder.path("page")).unwrap();
        fs::write(folder.path("page/index.html"), "a page").unwrap();
        let before = Scorer::<B>::load(&folder.path("scorer"), &Default::default()).unwrap();
        for format in [Format::HuggingFace, Format::Web] {
            let page = folder.path("page");
            folder.export_with(Options { page, ..options(format, Precision::F16) }).unwrap();
            let after = Scorer::<B>::load(&folder.path("out"), &Default::default()).unwrap();
            assert_eq!(after.anchors(), before.anchors(), "{format:?}");
            let documents = |of: &Scorer<B>| of.settings.anchors.clone().unwrap().documents;
            assert_eq!(documents(&after), documents(&before), "{format:?}");
            let card = fs::read_to_string(folder.path("out/README.md")).unwrap();
            assert!(
                card.contains("embeddings of 3 graded documents for this; with the texts of 1."),
                "{card}"
            );
        }
    }
    let folder = Folder::new();
    folder.scorer(Transfer::WarmStart);
    folder.anchors();
    folder.export(Format::Onnx, Precision::F32).unwrap();
    for name in folder.names("out").into_iter().filter(|name| folder.path("out").join(name).is_file()) {
        let bytes = fs::read(folder.path("out").join(&name)).unwrap();
        assert!(!bytes.windows(7).any(|part| part == b"secret " || part == b"essay 1"), "{name}");
    }
}

#[test]
fn an_export_is_not_held_to_the_backbone_of_the_scorer() {
    let folder = Folder::new();
    let path = folder.scorer(Transfer::WarmStart).join("scorer.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    json["backbone_fingerprint"] = backbone_fingerprint(&oracle("backbone")).unwrap().into();
    fs::write(&path, json.to_string()).unwrap();
    fs::create_dir(folder.path("page")).unwrap();
    fs::write(folder.path("page/index.html"), "a page").unwrap();
    for format in [Format::HuggingFace, Format::Web] {
        let page = folder.path("page");
        folder.export_with(Options { page, ..options(format, Precision::F16) }).unwrap();
        let exported = Scorer::<B>::load(&folder.path("out"), &Default::default()).unwrap();
        assert_eq!(exported.settings.backbone_fingerprint, None, "{format:?}");
    }
}

#[test]
fn the_card_says_what_is_known() {
    let folder = Folder::new();
    folder.scorer(Transfer::WarmStart);
    folder.export(Format::HuggingFace, Precision::F16).unwrap();
    let card = fs::read_to_string(folder.path("out/README.md")).unwrap();
    for part in ["license: \"unknown\"", "base_model: \"backbone\"", "| Trait | grammar |", "Not recorded."] {
        assert!(card.contains(part), "no {part:?} in {card}");
    }
    let info = "backbone: /secret/place/llama\ntransfer: warm start\ntrain_size: 10\ntest_size: 3\ntest_qwk: 0.61\n\
                meta_corpus: essays | letters\n";
    fs::write(folder.path("scorer/absolute_run_info.txt"), info).unwrap();
    folder.export(Format::HuggingFace, Precision::F16).unwrap();
    let card = fs::read_to_string(folder.path("out/README.md")).unwrap();
    let parts = [
        "base_model: \"llama\"",
        "10 documents for training",
        "| qwk | 0.61 |",
        "- corpus: essays | letters",
    ];
    for part in parts {
        assert!(card.contains(part), "no {part:?} in {card}");
    }
    for name in ["README.md", "absolute_run_info.txt", "scorer.json"] {
        let text = fs::read_to_string(folder.path("out").join(name)).unwrap();
        assert!(!text.contains("secret") && !text.contains(env!("CARGO_MANIFEST_DIR")), "{name}: {text}");
    }
}
