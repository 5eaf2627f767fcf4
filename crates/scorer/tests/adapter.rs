//! Adapters that do not sit everywhere, written and read again.

use burn::backend::Flex;
use burn::tensor::Tensor;
use pair2score_model::{
    Adapter, LayerAdapter, LlamaConfig, LoraConfig, LoraFactors, Projection, RopeConfig, RopeScaling,
};
use pair2score_scorer::{load_adapter, save_adapter, save_bare_adapter};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};

fn backbone(n_layers: usize, layers_above: usize) -> LlamaConfig {
    LlamaConfig {
        vocab_size: 50,
        d_model: 16,
        d_ff: 24,
        n_layers,
        n_heads: 4,
        n_kv_heads: 2,
        head_dim: 4,
        max_positions: 64,
        rms_norm_eps: 1e-5,
        rope: RopeConfig { theta: 10_000.0, scaling: RopeScaling::None },
        tie_embeddings: true,
        layers_above,
        final_norm: layers_above == 0,
    }
}

/// Factors of rank 2 on these projections of the layers of a backbone, each with numbers of its own.
fn adapter(backbone: &LlamaConfig, places: &[(usize, Projection)]) -> (Adapter<Flex>, LoraConfig) {
    let lora = LoraConfig { rank: 2, alpha: 4.0, dropout: 0.0, targets: Projection::ALL.to_vec() };
    let whole =
        Adapter::<Flex>::init(&lora, backbone, &mut ChaCha8Rng::seed_from_u64(7), &Default::default());
    let layers = whole.layers.iter().enumerate().map(|(layer, factors)| {
        let factors = |projection| factors.get(projection).filter(|_| places.contains(&(layer, projection)));
        LayerAdapter::new(|projection| factors(projection).cloned())
    });
    (Adapter { layers: layers.collect() }, lora)
}

fn values(tensor: Tensor<Flex, 2>) -> Vec<f32> {
    tensor.into_data().into_vec().unwrap()
}

/// Both factors on every projection of every layer.
fn numbers(adapter: &Adapter<Flex>) -> Vec<Option<[Vec<f32>; 2]>> {
    let numbers = |factors: &LoraFactors<Flex>| [values(factors.a.val()), values(factors.b.val())];
    let of_layer =
        |layer: &LayerAdapter<Flex>| Projection::ALL.map(|projection| layer.get(projection).map(numbers));
    adapter.layers.iter().flat_map(of_layer).collect()
}

#[test]
fn an_adapter_on_some_layers_is_read_as_it_was_written() {
    let some = [(0, Projection::Q), (2, Projection::Q), (2, Projection::Down)];
    let first: Vec<_> = (0..4).flat_map(|layer| [(layer, Projection::Q), (layer, Projection::Up)]).collect();
    let names = |prefix: &str| {
        json!([
            format!("{prefix}layers.0.self_attn.q_proj"),
            format!("{prefix}layers.2.self_attn.q_proj"),
            format!("{prefix}layers.2.mlp.down_proj"),
        ])
    };
    // Places, layers of the backbone above those that run, what the file targets, and on which layers.
    let cases = [
        (&some[..], 0, names("model."), Value::Null),
        (&some[..], 2, names("model."), Value::Null),
        (&first[..], 2, json!(["q_proj", "up_proj"]), json!([0, 1, 2, 3])),
        (&first[..], 0, json!(["q_proj", "up_proj"]), Value::Null),
    ];
    for (places, above, targets, layers) in cases {
        let (folder, backbone) = (tempfile::tempdir().unwrap(), backbone(4, above));
        let (adapter, lora) = adapter(&backbone, places);
        save_adapter(folder.path(), &adapter, &lora, "backbone", &backbone).unwrap();
        let json = std::fs::read(folder.path().join("adapter_config.json")).unwrap();
        let json: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!((&json["target_modules"], &json["layers_to_transform"]), (&targets, &layers));
        let loaded = load_adapter::<Flex>(folder.path(), &backbone, &Default::default()).unwrap();
        assert_eq!(numbers(&loaded.adapter), numbers(&adapter));
    }
    let (folder, backbone) = (tempfile::tempdir().unwrap(), backbone(4, 0));
    let (adapter, lora) = adapter(&backbone, &some);
    save_bare_adapter(folder.path(), &adapter, &lora, "backbone", &backbone).unwrap();
    let json = std::fs::read(folder.path().join("adapter_config.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&json).unwrap()["target_modules"], names(""));
    let loaded = load_adapter::<Flex>(folder.path(), &backbone, &Default::default()).unwrap();
    assert_eq!(numbers(&loaded.adapter), numbers(&adapter));
}
