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
