//! Imported backbones in use.

use super::*;

#[test]
fn an_imported_folder_gives_the_embeddings_of_its_source() {
    let folder = Folder::new();
    folder.edit_tensors("backbone/model.safetensors", |tensors| {
        let table = tensors["model.embed_tokens.weight"].clone();
        tensors.insert("lm_head.weight".into(), table);
    });
    let stdout = folder.run("backbone import backbone --output imported").expect(0);
    assert!(stdout.contains("wrote imported: 3 layers, width 64"), "{stdout}");
    assert!(stdout.contains("left aside: the language-model head (lm_head.weight)"), "{stdout}");
    let embeddings = |backbone: &str| {
        let command =
            format!("embed --backbone {backbone} --input essays.csv --output {backbone}.safetensors");
        folder.run(&command).expect(0);
        TensorFile::open(&folder.path(&format!("{backbone}.safetensors")))
            .unwrap()
            .stored("embeddings")
            .unwrap()
    };
    assert_eq!(embeddings("imported").values, embeddings("backbone").values);
}

#[test]
fn an_imported_gguf_file_embeds() {
    let folder = Folder::new();
    let file =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../backbone/tests/fixtures/smollm.gguf");
    folder.write("model.gguf", std::fs::read(file).unwrap());
    let stdout = folder.run("backbone import model.gguf --output imported --dtype bf16").expect(0);
    assert!(stdout.contains("as bf16"), "{stdout}");
    folder.run("embed --backbone imported --input essays.csv --output e.safetensors").expect(0);
    let file = TensorFile::open(&folder.path("e.safetensors")).unwrap();
    let values = file.stored("embeddings").unwrap().values;
    assert!(values.iter().all(|value| value.is_finite()) && values.iter().any(|&value| value != 0.0));
}

/// What is in the cache of Hugging Face's programs needs no network.
#[test]
fn a_run_takes_a_backbone_by_its_name_on_the_hub() {
    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
    let folder = Folder::new();
    let repository = "hub/models--tiny--llama";
    folder.write(&format!("{repository}/refs/main"), COMMIT);
    let snapshot = format!("{repository}/snapshots/{COMMIT}");
    std::fs::create_dir_all(folder.path(&format!("{repository}/snapshots"))).unwrap();
    std::fs::rename(folder.path("backbone"), folder.path(&snapshot)).unwrap();
    let run = |name: &str| {
        let mut command = folder.command(&format!("run config.yaml --set model.base_model={name}"));
        command.env("HF_HUB_CACHE", folder.path("hub")).env("HF_HUB_OFFLINE", "1").output().unwrap()
    };
    let output = run("tiny/llama");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let frozen = folder.files("out").into_iter().find(|name| name.ends_with("_config.yaml")).unwrap();
    let frozen = config::load(&folder.path(&format!("out/{frozen}")), &[]).unwrap();
    assert_eq!(frozen.metadata["backbone_source"], format!("tiny/llama@{COMMIT}"));
    assert!(frozen.model.backbone.ends_with(&snapshot), "{}", frozen.model.backbone.display());
    assert_scorer_reproduces_the_run(&folder);

    let error = String::from_utf8(run("tiny/other").stderr).unwrap();
    for part in ["model.base_model: there is no folder tiny/other", "HF_HUB_OFFLINE"] {
        assert!(error.contains(part), "{error}");
    }
}
