//! A bundle scores as the scorer it was made from, and a damaged one is refused with the reason.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::{Param, ParamId};
use burn::tensor::{Tensor, TensorData};
use common::bundles::{F32, calibration, fusion, intervals, loader, numbers, scorer, settings};
use common::{B, Oracle, device};
use pair2score_model::{DecoderLayer, Projection, ScoreLink, packed};
use pair2score_scorer::{
    AnchorDocument, AnchorSpace, Anchors, BundleDType, BundleError, Manifest, Matrices, Scorer,
    ScorerSettings, names, write_bundle, write_scorer_settings,
};
use serde_json::{Value, json};

/// Gives a scorer anchors at the oracle's texts, and texts of only the first.
fn with_anchors(folder: &Path, settings: &ScorerSettings) -> Scorer<B> {
    let bare = scorer(folder, settings);
    let texts = Oracle::load().texts;
    let rows = bare.embed(&bare.encode(&texts).unwrap(), |_| ()).unwrap();
    let space =
        AnchorSpace::around(rows.iter().map(Vec::as_slice)).with_anchors(rows.iter().map(Vec::as_slice));
    space.save(&folder.join(Anchors::FILE)).unwrap();
    let anchor = |(place, text): (usize, &String)| AnchorDocument {
        id: format!("d{place}"),
        labels: vec![Some(2.0 + place as f64 / 2.0)],
        text: (place == 0).then(|| text.clone()),
    };
    let documents = texts.iter().enumerate().map(anchor).collect();
    let anchors = Some(Anchors { embeddings: Anchors::FILE.into(), documents });
    write_scorer_settings(folder, &ScorerSettings { anchors, ..settings.clone() }).unwrap();
    Scorer::load(folder, &device()).unwrap()
}

#[test]
fn a_bundle_knows_the_anchors_that_resemble_a_text() {
    for settings in [fusion(), settings(false, Some(&[]), false, ScoreLink::Identity)] {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let scorer = with_anchors(from.path(), &settings);
        write_bundle(to.path(), &scorer, F32, 10_000, Vec::new()).unwrap();
        let bundled = Scorer::<B>::load(to.path(), &device()).unwrap();
        assert_eq!(bundled.anchors(), scorer.anchors());
        let documents = |of: &Scorer<B>| of.settings.anchors.clone().unwrap().documents;
        assert_eq!(documents(&bundled), documents(&scorer));
        let encoded = bundled.encode(&Oracle::load().texts).unwrap();
        let rows = bundled.embed_and_say(&encoded, |_| ()).unwrap();
        let scores = bundled.score(&encoded, |_| ()).unwrap().unwrap();
        for (place, row) in rows.chunks_exact(rows.len() / encoded.len()).enumerate() {
            let (scored, near) = bundled.said(row, 2);
            assert_eq!(scored, scores[place]);
            // A text resembles itself most, but for the rounding of its embedding.
            assert_eq!((near[0].len(), near[0][0].anchor), (2, place));
            assert!((near[0][0].similarity - 1.0).abs() < 1e-3, "{near:?}");
        }
    }
}

#[test]
fn anchors_that_do_not_fit_their_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let scorer = with_anchors(folder.path(), &fusion());
    let mut settings = ScorerSettings { score: scorer.settings.score.clone(), ..scorer.settings.clone() };
    settings.anchors.as_mut().unwrap().documents.pop();
    write_scorer_settings(folder.path(), &settings).unwrap();
    let error = Scorer::<B>::load(folder.path(), &device()).unwrap_err().to_string();
    assert!(error.contains("anchors.safetensors") && error.contains("directions has shape"), "{error}");
    settings.score = None;
    write_scorer_settings(folder.path(), &settings).unwrap();
    let error = Scorer::<B>::load(folder.path(), &device()).unwrap_err().to_string();
    assert!(error.contains("scorer.json") && error.contains("anchors but no stage 2"), "{error}");
}

#[test]
fn every_kind_of_scorer_comes_back_with_its_numbers() {
    let expected = ScoreLink::Expected { min: 1.0, step: 0.5, grades: 9 };
    let cumulative = ScoreLink::Cumulative { min: 1.0, step: 0.5, grades: 9 };
    for (kind, settings) in [
        ("fusion", fusion()),
        ("stacked", settings(true, Some(&["stage1", "stage2"]), false, ScoreLink::Identity)),
        ("warm start", settings(true, Some(&["stage2"]), false, expected)),
        ("scratch", settings(false, Some(&["stage2"]), false, cumulative)),
        ("head only", settings(false, Some(&[]), false, ScoreLink::Identity)),
        ("stage 1 alone", settings(true, None, false, ScoreLink::Identity)),
    ] {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let scorer = scorer(from.path(), &settings);
        // Small shards, so that most tensors lie in several.
        let deviation = write_bundle(to.path(), &scorer, F32, 10_000, Vec::new()).unwrap();
        assert_eq!(deviation, 0.0);
        let bundled = Scorer::<B>::load(to.path(), &device()).unwrap();
        assert_eq!(numbers(&bundled), numbers(&scorer), "{kind}");
        let documents = scorer.encode(&Oracle::load().texts).unwrap();
        for scored in scorer.score(&documents, |_| ()).unwrap().iter().flatten().flatten() {
            let calibrated = calibration().apply(scored.score, &settings.traits[0].scale);
            assert_eq!(scored.calibrated, Some(calibrated), "{kind}");
            let [low, high] = intervals().apply(scored.score, &settings.traits[0].scale);
            let grade = calibrated.grade.unwrap();
            assert_eq!(scored.interval, Some([low.min(grade), high.max(grade)]), "{kind}");
        }
        assert_eq!(bundled.settings.traits, settings.traits);
    }
}

#[test]
fn an_adapter_that_both_stages_use_is_there_once() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let settings = settings(true, Some(&["stage1", "stage2"]), false, ScoreLink::Identity);
    write_bundle(to.path(), &scorer(from.path(), &settings), F32, 1 << 20, Vec::new()).unwrap();
    let manifest = Manifest::parse(&fs::read_to_string(to.path().join("manifest.json")).unwrap()).unwrap();
    let names: Vec<&String> = manifest.adapters.keys().collect();
    assert_eq!(names, ["relative/adapter", "score/adapter-1"]);
}

#[test]
fn half_precision_stays_close() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let scorer = scorer(from.path(), &fusion());
    let deviation = write_bundle(
        to.path(),
        &scorer,
        Matrices { dtype: BundleDType::F16, pack: false },
        1 << 20,
        Vec::new(),
    )
    .unwrap();
    // f16 has 11 bits: half a unit in the last place of weights below 1 is at most 2⁻¹².
    assert!(deviation > 0.0 && deviation <= f64::powi(2.0, -12), "{deviation}");
    let bundled = Scorer::<B>::load(to.path(), &device()).unwrap();
    let ((expected, _), (actual, _)) = (numbers(&scorer), numbers(&bundled));
    for (a, b) in actual.unwrap().iter().zip(expected.unwrap()) {
        assert!((a - b).abs() < 2e-3, "{a} {b}");
    }
}

#[test]
fn packed_projections_are_weights_that_were_rounded_so() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut scorer = scorer(from.path(), &fusion());
    let exact = numbers(&scorer);
    let deviation =
        write_bundle(to.path(), &scorer, Matrices { pack: true, ..F32 }, 30_000, Vec::new()).unwrap();
    let manifest = Manifest::parse(&fs::read_to_string(to.path().join("manifest.json")).unwrap()).unwrap();
    let packed_names: Vec<&str> =
        manifest.tensors.iter().filter(|t| t.dtype == BundleDType::Q8).map(|t| &*t.name).collect();

    let mut largest = 0.0_f64;
    let mut expected_names = Vec::new();
    for (i, layer) in scorer.encoder.backbone.decoder.layers.iter_mut().enumerate() {
        for projection in Projection::ALL {
            let weight = layer.weight_mut(projection);
            let shape = weight.val().dims();
            if shape[1] % 32 != 0 {
                continue;
            }
            expected_names.push(format!("backbone/{}", names::projection(i, projection)));
            let before: Vec<f32> = weight.val().into_data().into_vec().unwrap();
            let mut after = Vec::new();
            packed::unpack(&packed::pack(&before), &mut after);
            largest =
                before.iter().zip(&after).map(|(b, a)| f64::from((b - a).abs())).fold(largest, f64::max);
            let rounded = Tensor::from_data(TensorData::new(after, shape), &device());
            *weight = Param::initialized(ParamId::new(), rounded);
        }
    }
    assert_eq!(packed_names, expected_names);
    assert!((deviation - largest).abs() < 1e-9 && largest > 0.0, "{deviation} {largest}");

    let bundled = Scorer::<B>::load(to.path(), &device()).unwrap();
    for (rounded, bundled) in
        scorer.encoder.backbone.decoder.layers.iter().zip(&bundled.encoder.backbone.decoder.layers)
    {
        for projection in Projection::ALL {
            let values = |layer: &DecoderLayer<B>| layer.weight(projection).val().dequantize().into_data();
            assert_eq!(values(bundled), values(rounded));
        }
    }
    let ((expected, _), (actual, _)) = (numbers(&scorer), numbers(&bundled));
    for ((actual, expected), exact) in actual.unwrap().iter().zip(expected.unwrap()).zip(exact.0.unwrap()) {
        // Where the chip multiplies integers, activations are rounded as well.
        assert!((actual - expected).abs() < 0.05, "{actual} {expected}");
        assert!((actual - exact).abs() < 0.05 && *actual != exact, "{actual} {exact}");
    }
}

#[test]
fn a_scorer_that_is_packed_in_memory_is_its_packed_bundle() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let scorer = scorer(from.path(), &fusion());
    write_bundle(to.path(), &scorer, Matrices { pack: true, ..F32 }, 30_000, Vec::new()).unwrap();
    let bundled = numbers(&Scorer::<B>::load(to.path(), &device()).unwrap());
    let packed = |folder: &tempfile::TempDir| Scorer::<B>::load_packed(folder.path(), &device()).unwrap();
    assert_eq!(numbers(&packed(&from)), bundled);
    assert_eq!(numbers(&packed(&to)), bundled, "what is packed stays as it is");
}

#[test]
fn a_table_on_the_host_gives_the_same_numbers_and_bad_shards_can_be_put_again() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let scorer = scorer(from.path(), &fusion());
    for (dtype, pack) in [(BundleDType::F32, false), (BundleDType::F16, false), (BundleDType::F16, true)] {
        write_bundle(to.path(), &scorer, Matrices { dtype, pack }, 30_000, Vec::new()).unwrap();
        let (mut loader, shards, tokenizer) = loader(to.path());
        for shard in &shards {
            let damaged = |result| matches!(result, Err(BundleError::Damaged { .. }));
            assert!(damaged(loader.put_shard(&shard[1..])));
            assert!(damaged(loader.put_shard(&vec![0; shard.len()])));
            loader.put_shard(shard).unwrap();
        }
        assert!(matches!(loader.put_shard(&shards[0]), Err(BundleError::Manifest(_))));
        assert!(matches!(loader.put_tokenizer(b"{}"), Err(BundleError::Damaged { .. })));
        loader.put_tokenizer(&tokenizer).unwrap();
        let bundled = loader.finish_with_host_table().unwrap();
        assert_eq!(numbers(&bundled), numbers(&Scorer::<B>::load(to.path(), &device()).unwrap()));
    }
}

#[test]
fn a_bundle_that_has_not_arrived_is_no_scorer() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_bundle(to.path(), &scorer(from.path(), &fusion()), F32, 100_000, Vec::new()).unwrap();
    let (mut loader, shards, tokenizer) = loader(to.path());
    loader.put_shard(&shards[0]).unwrap();
    loader.put_tokenizer(&tokenizer).unwrap();
    let error = loader.finish().err().unwrap().to_string();
    assert!(error.contains("weights-001.bin: has not arrived"), "{error}");
}

/// What is wrong, how it gets so, and parts of the message.
struct Row(&'static str, fn(&Path), &'static [&'static str]);

fn edit(folder: &Path, change: impl FnOnce(&mut Value)) {
    let path = folder.join("manifest.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut json);
    fs::write(path, json.to_string()).unwrap();
}

fn edit_bytes(path: PathBuf, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

const ROWS: &[Row] = &[
    Row(
        "a flipped bit",
        |f| edit_bytes(f.join("weights-001.bin"), |bytes| bytes[77] ^= 4),
        &["weights-001.bin: its SHA-256 is not the manifest's; export the scorer again"],
    ),
    Row(
        "a shard cut short",
        |f| edit_bytes(f.join("weights-002.bin"), |bytes| bytes.truncate(99)),
        &["weights-002.bin: has 99 bytes instead of 100000"],
    ),
    Row("a missing shard", |f| fs::remove_file(f.join("weights-003.bin")).unwrap(), &["weights-003.bin"]),
    Row(
        "another tokenizer",
        |f| edit_bytes(f.join("tokenizer.json"), |bytes| bytes.push(b' ')),
        &["tokenizer.json: has ", " bytes instead of "],
    ),
    Row(
        "another version",
        |f| edit(f, |m| m["format"] = 2.into()),
        &["manifest.json: has format 2, this program reads format 1; use a page and a bundle of one export"],
    ),
    Row(
        "not JSON",
        |f| fs::write(f.join("manifest.json"), "{").unwrap(),
        &["manifest.json: not a manifest: "],
    ),
    Row("an unknown key", |f| edit(f, |m| m["formats"] = 1.into()), &["unknown field `formats`"]),
    Row(
        "missing, extra and misshapen tensors",
        |f| {
            edit(f, |m| {
                m["tensors"][0]["name"] = "backbone/lm_head.weight".into();
                m["tensors"][1]["shape"] = json!([63]);
            });
        },
        &["missing tensors: backbone/embed_tokens.weight; unexpected tensors: backbone/lm_head.weight; \
             wrong tensors: backbone/layers.0.input_layernorm.weight has shape [63], expected [64]"],
    ),
    Row(
        "a tensor twice",
        |f| {
            edit(f, |m| {
                let again = m["tensors"][3].clone();
                m["tensors"].as_array_mut().unwrap().push(again);
            });
        },
        &["is there 2 times"],
    ),
    Row(
        "bytes that do not fit the shape",
        |f| edit(f, |m| m["tensors"][0]["bytes"] = 98_303.into()),
        &["tensor backbone/embed_tokens.weight has 98303 bytes, which does not fit its shape [384, 64]"],
    ),
    Row(
        "tensors that overlap",
        |f| edit(f, |m| m["tensors"][2]["offset"] = 0.into()),
        &["lies at byte 0 of shard 0, which is not where the tensor before it ends"],
    ),
    Row(
        "a shard that is not there",
        |f| edit(f, |m| m["tensors"][2]["shard"] = 1_000_000.into()),
        &["of shard 1000000, which is not where"],
    ),
    Row(
        "shards larger than the tensors",
        |f| edit(f, |m| m["shards"][0]["bytes"] = 100_004.into()),
        &["is not where the tensor before it ends"],
    ),
    Row(
        "shards smaller than the tensors",
        |f| {
            edit(f, |m| {
                m["shards"].as_array_mut().unwrap().pop();
            });
        },
        &["ends beyond the last shard"],
    ),
    Row(
        "a shard of exabytes",
        |f| edit(f, |m| m["shards"][0]["bytes"] = u64::MAX.into()),
        &["gives weights-000.bin a size of 18446744073709551615 bytes, it must be from 1 to 33554432"],
    ),
    Row(
        "a vocabulary of 2²⁸",
        |f| edit(f, |m| m["config"]["vocab_size"] = (1 << 28).into()),
        &["backbone/embed_tokens.weight has shape [384, 64], expected [268435456, 64]"],
    ),
    Row(
        "a table that claims what its config claims",
        |f| {
            edit(f, |m| {
                m["config"]["vocab_size"] = (1 << 28).into();
                m["tensors"][0]["shape"] = json!([1 << 28, 64]);
                m["tensors"][0]["bytes"] = (1_u64 << 36).into();
            });
        },
        &["tensor backbone/embed_tokens.weight ends beyond the last shard"],
    ),
    Row(
        "a hundred million layers",
        |f| edit(f, |m| m["config"]["num_hidden_layers"] = 100_000_000.into()),
        &["config: num_hidden_layers is 100000000, it must be at most 4096"],
    ),
    Row(
        "more layers than tensors",
        |f| edit(f, |m| m["config"]["num_hidden_layers"] = 4096.into()),
        &["tensors, fewer than its config has layers (4096)"],
    ),
    Row(
        "heads beyond counting",
        |f| {
            edit(f, |m| {
                m["config"]["num_attention_heads"] = (1 << 28).into();
                m["config"]["head_dim"] = (1 << 28).into();
            });
        },
        &["num_attention_heads times head_dim is more than 268435456"],
    ),
    Row(
        "a shape whose size overflows",
        |f| {
            edit(f, |m| {
                m["config"]["num_key_value_heads"] = 1.into();
                m["tensors"][0]["shape"] = json!([u64::MAX, u64::MAX]);
            });
        },
        &["has shape [18446744073709551615, 18446744073709551615], expected [384, 64]"],
    ),
    Row(
        "a file outside the folder",
        |f| edit(f, |m| m["shards"][0]["file"] = "../../secret".into()),
        &["names the file \"../../secret\", which is no plain name"],
    ),
    Row(
        "an adapter that is no LoRA",
        |f| edit(f, |m| m["adapters"]["score/adapter-0"]["use_dora"] = true.into()),
        &["adapter \"score/adapter-0\": use_dora = true is not supported"],
    ),
    Row(
        "an adapter without configuration",
        |f| {
            edit(f, |m| {
                m["adapters"].as_object_mut().unwrap().remove("relative/adapter");
            });
        },
        &["has no configuration of the adapter \"relative/adapter\""],
    ),
    Row(
        "a packed embedding table",
        |f| edit(f, |m| m["tensors"][0]["dtype"] = json!("q8")),
        &["tensor backbone/embed_tokens.weight is in q8, which only the backbone's projections may be"],
    ),
    Row(
        "a packed norm",
        |f| edit(f, |m| m["tensors"][1]["dtype"] = json!("q8")),
        &["tensor backbone/layers.0.input_layernorm.weight is in q8"],
    ),
    Row(
        "a projection that is not as packed as it says",
        |f| edit(f, |m| m["tensors"][3]["dtype"] = json!("q8")),
        &["tensor backbone/layers.0.self_attn.q_proj.weight has ", " bytes, which does not fit its shape"],
    ),
    Row(
        "counts of other grades",
        |f| edit(f, |m| m["scorer"]["label_counts"] = json!([1, 2])),
        &["has counts of labels for 2 grades on a scale of 9"],
    ),
    Row(
        "a calibration of other grades",
        |f| edit(f, |m| m["scorer"]["calibration"]["thresholds"] = json!([1.5, 2.5])),
        &["has 2 thresholds of calibration between 9 grades"],
    ),
    Row(
        "a calibration that falls",
        |f| edit(f, |m| m["scorer"]["calibration"]["knots"] = json!([[1.0, 5.0], [2.0, 1.0]])),
        &["has a calibration that is not monotone"],
    ),
    Row(
        "intervals of other regions",
        |f| edit(f, |m| m["scorer"]["intervals"]["thresholds"] = json!([2.0, 3.0])),
        &["has 2 half-widths of intervals for regions with 2 thresholds between"],
    ),
];

#[test]
fn damaged_bundles_are_refused_with_the_reason() {
    let (from, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_bundle(whole.path(), &scorer(from.path(), &fusion()), F32, 100_000, Vec::new()).unwrap();
    for Row(what, damage, parts) in ROWS {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(whole.path()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        damage(folder.path());
        let error = match Scorer::<B>::load(folder.path(), &device()) {
            Ok(_) => panic!("{what}: was accepted"),
            Err(error) => error.to_string(),
        };
        for part in *parts {
            assert!(error.contains(part), "{what}: {error}");
        }
    }
}
