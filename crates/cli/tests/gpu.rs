//! A graphics card gives the numbers of the processor, and those of transformers and PEFT. Skipped where there is none.
#![cfg(any(feature = "cuda", feature = "wgpu"))]
#![allow(clippy::print_stderr, reason = "tests say what they skipped")]

mod common;

use common::{Folder, oracle};
use pair2score_scorer::TensorFile;
use serde_json::Value;

#[cfg(feature = "cuda")]
const DEVICE: &str = "cuda";
#[cfg(not(feature = "cuda"))]
const DEVICE: &str = "wgpu";

/// Cards multiply f32 in TF32, with 10 bits of fraction: 1e-3 a product, averaged over many.
const F32: f64 = 5e-3;
/// bf16 weights have 8 bits: 4e-3 a weight.
const BF16: f64 = 5e-2;

fn there_is_one() -> bool {
    let there = Folder::empty().run("devices").stdout.contains(DEVICE);
    if !there {
        eprintln!("skipped: no {DEVICE} device here");
    }
    there
}

#[test]
fn embeddings_agree_with_transformers_and_peft() {
    if !there_is_one() {
        return;
    }
    let folder = Folder::empty();
    folder.oracle("backbone", "backbone");
    folder.oracle("adapter", "adapter");
    let expected: Value =
        serde_json::from_slice(&std::fs::read(oracle().join("expected.json")).unwrap()).unwrap();
    let texts: Vec<String> = serde_json::from_value(expected["texts"].clone()).unwrap();
    let lines =
        texts.iter().enumerate().map(|(i, text)| serde_json::json!({"id": i, "text": text}).to_string());
    folder.write("texts.jsonl", lines.collect::<Vec<_>>().join("\n"));
    let length = &expected["max_length"];
    let embed = format!(
        "embed --backbone backbone --adapter adapter --input texts.jsonl --output out.safetensors --max-length \
         {length} --device {DEVICE}"
    );
    folder.run(&embed).expect(0);
    let actual = TensorFile::open(&folder.path("out.safetensors")).unwrap().stored("embeddings").unwrap();
    let reference = TensorFile::open(&oracle().join("expected.safetensors")).unwrap();
    let reference = reference.stored("pooled.adapter").unwrap();
    assert_eq!(actual.shape, reference.shape);
    for (i, (a, e)) in actual.values.iter().zip(&reference.values).enumerate() {
        assert!(
            f64::from((a - e).abs()) <= F32 * f64::from(1.0 + e.abs()),
            "element {i} is {a}, expected {e}"
        );
    }
}

/// Losses of both stages, in order.
fn losses(device: &str, dtype: &str) -> Vec<f64> {
    let folder = Folder::new();
    // Without dropout, whose choice differs between kinds of devices.
    let args = format!(
        "run config.yaml --device {device} --set model.dtype={dtype} --set stage1_relative.lora.dropout=0 --set \
         stage2_absolute.lora.dropout=0 --set stage1_relative.training.log_every=1 --set \
         stage2_absolute.training.log_every=1"
    );
    folder.run(&args).expect(0);
    let metrics = folder.text("out/metrics.jsonl");
    let lines = metrics.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| line["loss"].as_f64()).collect()
}

#[test]
fn losses_of_both_stages_agree_with_the_processor() {
    if !there_is_one() {
        return;
    }
    let expected = losses("cpu", "f32");
    assert!(expected.len() > 10);
    for (dtype, tolerance) in [("f32", F32), ("bf16", BF16)] {
        // WebGPU has no bf16.
        if dtype == "bf16" && DEVICE == "wgpu" {
            continue;
        }
        let actual = losses(DEVICE, dtype);
        assert_eq!(actual.len(), expected.len());
        for (step, (a, e)) in actual.iter().zip(&expected).enumerate() {
            assert!(
                (a - e).abs() <= tolerance * (1.0 + e.abs()),
                "{dtype} step {step}: {a}, on the processor {e}"
            );
        }
    }
}
