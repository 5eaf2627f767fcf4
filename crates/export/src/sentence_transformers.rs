//! sentence-transformers: `SentenceTransformer(folder).encode(texts)` gives `[n, traits]`, the scores.
//!
//! ```text
//! modules.json                                     the chain of the modules below
//! config.json, model.safetensors, tokenizer.json … Transformer, with sentence_bert_config.json
//! 1_WeightedLayerPooling                           only where the last layer is read before the final norm
//! 1_Pooling/config.json                            mean or last token
//! 2_Dense, 3_Dense, …                              the head: ReLU, then identity or the link's own layers
//! ```
//!
//! A link is one or two linear layers: `min + step · Σ sigmoid(z)` is a sigmoid layer and a sum, the expected grade
//! a softmax layer and the grades as weights. What a chain cannot say is a second pass over the text, so fusion has
//! no such form. A calibration is a layer of ReLUs and a sum. The heads of several traits lie beside each other in the
//! same layers, each in a block of its own; a softmax would mix them, so several expected grades have no such form.
//! Weights are kept in f32 in memory whatever the file has: a chain whose parts have different dtypes fails.

use std::mem::discriminant;
use std::path::Path;

use burn::tensor::backend::Backend;
use pair2score_model::{Depth, Kernels, LlamaConfig, Pooling, ScoreHead, ScoreLink};
use pair2score_scorer::{
    Calibration, Encoded, Encoder, Stage2, StoredTensor, TensorFile, TextEncoder, WeightDType, load_backbone,
    write_tensors,
};
use serde_json::{Value, json};

use crate::backbone::{self, read_json, write_json};
use crate::merged::Merged;
use crate::{ExportError, Numbers, Options, Precision, Source, golden};

/// The names that releases before and after 5 both understand.
const MODULES: &str = "sentence_transformers.models";
const LAYERS: &str = "1_WeightedLayerPooling";
const POOLING: &str = "1_Pooling";
const ACTIVATIONS: &str = "torch.nn.modules";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activation {
    Identity,
    Relu,
    Sigmoid,
    /// Over the outputs.
    Softmax,
}

impl Activation {
    const ALL: [Self; 4] = [Self::Identity, Self::Relu, Self::Sigmoid, Self::Softmax];

    fn path(self) -> String {
        let name = match self {
            Self::Identity => "linear.Identity",
            Self::Relu => "activation.ReLU",
            Self::Sigmoid => "activation.Sigmoid",
            Self::Softmax => "activation.Softmax",
        };
        format!("{ACTIVATIONS}.{name}")
    }

    fn apply(self, values: &mut [f32]) {
        match self {
            Self::Identity => {}
            Self::Relu => values.iter_mut().for_each(|v| *v = v.max(0.0)),
            Self::Sigmoid => values.iter_mut().for_each(|v| *v = 1.0 / (1.0 + (-*v).exp())),
            Self::Softmax => {
                let highest = values.iter().copied().fold(f32::MIN, f32::max);
                values.iter_mut().for_each(|v| *v = (*v - highest).exp());
                let sum: f32 = values.iter().sum();
                values.iter_mut().for_each(|v| *v /= sum);
            }
        }
    }
}

/// One `Dense` module: `activation(W x + b)`.
#[derive(Debug)]
struct Dense {
    /// `[out, in]`
    weight: StoredTensor,
    /// `[out]`
    bias: StoredTensor,
    activation: Activation,
}

/// Whether a chain of modules can say what this scorer does.
pub(crate) fn check<B: Kernels>(source: &Source<B>) -> Result<(), ExportError> {
    stage2(source).map(drop)
}

/// Stage 2, where a chain of modules can say it.
fn stage2<B: Kernels>(source: &Source<B>) -> Result<&Stage2<B>, ExportError> {
    let stage2 = source.stage2()?;
    if stage2.fusion {
        return Err(source.inexpressible(
            "is a fusion, whose score reads two embeddings of a text, and sentence-transformers has one; use --format \
             hf or onnx",
        ));
    }
    let links = stage2.heads.windows(2).map(|pair| [&pair[0].link, &pair[1].link]);
    let mut links = links.flatten().zip(std::iter::repeat(&stage2.heads[0].link));
    let apart = |(link, first): (&ScoreLink, &ScoreLink)| {
        matches!(link, ScoreLink::Expected { .. }) || discriminant(link) != discriminant(first)
    };
    if links.any(apart) {
        return Err(source.inexpressible(
            "rates several traits by probabilities of their grades, which one layer of sentence-transformers would mix; \
             use --format hf or onnx, or train with another stage2_absolute.objective",
        ));
    }
    Ok(stage2)
}

/// Writes the folder and gives the largest change that rounding made to a weight.
pub(crate) fn write<B: Kernels>(
    source: &Source<B>,
    options: &Options,
    folder: &Path,
) -> Result<f64, ExportError> {
    let (scorer, Stage2 { heads, .. }) = (&source.scorer, stage2(source)?);
    let largest = backbone::write(source, &Merged::new(scorer), options.precision, Precision::F32, folder)?;
    let (max_length, config) = (scorer.settings.max_length, &scorer.encoder.config);
    write_json(
        &folder.join("sentence_bert_config.json"),
        &json!({ "max_seq_length": max_length, "do_lower_case": false }),
    )?;
    let pooling = json!({
        "word_embedding_dimension": config.d_model,
        "pooling_mode_cls_token": false,
        "pooling_mode_mean_tokens": scorer.settings.pooling == Pooling::Mean,
        "pooling_mode_max_tokens": false,
        "pooling_mode_mean_sqrt_len_tokens": false,
        "pooling_mode_weightedmean_tokens": false,
        "pooling_mode_lasttoken": scorer.settings.pooling == Pooling::Last,
        "include_prompt": true,
    });
    write_json(&folder.join(POOLING).join("config.json"), &pooling)?;

    let mut modules = vec![("".to_owned(), "Transformer")];
    if !config.final_norm {
        write_layers(&folder.join(LAYERS), config)?;
        modules.push((LAYERS.to_owned(), "WeightedLayerPooling"));
    }
    modules.push((POOLING.to_owned(), "Pooling"));
    let mut chain = beside(heads.iter().map(|linked| layers(&linked.head, linked.link)).collect(), true);
    if let Some(calibrations) = source.built_in(options)? {
        chain.extend(beside(calibrations.into_iter().map(calibration_layers).collect(), false));
    }
    for layer in chain {
        let name = format!("{}_Dense", modules.len());
        write_dense(&folder.join(&name), layer)?;
        modules.push((name, "Dense"));
    }
    let modules = modules.iter().enumerate().map(|(index, (path, kind))| {
        json!({ "idx": index, "name": index.to_string(), "path": path, "type": format!("{MODULES}.{kind}") })
    });
    write_json(&folder.join("modules.json"), &modules.collect())?;
    Ok(largest)
}

/// Takes what the layer that adds nothing is given, in place of what the final norm makes of it: weights 1 and 0.
fn write_layers(folder: &Path, config: &LlamaConfig) -> Result<(), ExportError> {
    let about = json!({
        "word_embedding_dimension": config.d_model,
        "layer_start": config.n_layers,
        "num_hidden_layers": config.n_layers + 1,
    });
    write_json(&folder.join("config.json"), &about)?;
    let weights = ("layer_weights".to_owned(), stored(&[2], vec![1.0, 0.0]));
    Ok(write_tensors(&folder.join("model.safetensors"), &[weights].into(), &[])?)
}

/// The depth that the module reads which chooses a layer.
fn read_layers(folder: &Path) -> Result<Depth, ExportError> {
    let path = folder.join("config.json");
    let about = read_json(&path)?;
    let [start, all] = ["layer_start", "num_hidden_layers"].map(|key| about[key].as_u64());
    let weights = TensorFile::open(&folder.join("model.safetensors"))?.stored("layer_weights")?.values;
    match (start, all) {
        (Some(start), Some(all)) if start + 1 == all && weights == [1.0, 0.0] => {
            Ok(Depth { layers: Some(start as usize), final_norm: false })
        }
        _ => Err(ExportError::read_back(&path, "not the layer before the last alone")),
    }
}

/// Chains of as many layers each as one: their outputs stand beside each other. What they read is the same for all
/// (`shared`), or stands beside each other too.
fn beside(chains: Vec<Vec<Dense>>, shared: bool) -> Vec<Dense> {
    let mut chains: Vec<_> = chains.into_iter().map(Vec::into_iter).collect();
    let mut together = Vec::new();
    loop {
        let layers: Vec<Dense> = chains.iter_mut().filter_map(Iterator::next).collect();
        if layers.is_empty() {
            return together;
        }
        together.push(Dense::beside(layers, shared && together.is_empty()));
    }
}

/// The head as a chain.
fn layers<B: Backend>(head: &ScoreHead<B>, link: ScoreLink) -> Vec<Dense> {
    let dense = |weight, bias, activation| Dense { weight, bias, activation };
    let hidden = dense(
        StoredTensor::from_tensor(head.hidden_weight.val()),
        StoredTensor::from_tensor(head.hidden_bias.val()),
        Activation::Relu,
    );
    let output = |activation| {
        let weight = StoredTensor::from_tensor(head.output_weight.val());
        dense(weight, StoredTensor::from_tensor(head.output_bias.val()), activation)
    };
    let sum = |weights: Vec<f32>, constant: f64| {
        let n = weights.len();
        dense(stored(&[1, n], weights), stored(&[1], vec![constant as f32]), Activation::Identity)
    };
    match link {
        ScoreLink::Identity => vec![hidden, output(Activation::Identity)],
        ScoreLink::Cumulative { min, step, grades } => {
            vec![hidden, output(Activation::Sigmoid), sum(vec![step as f32; grades - 1], min)]
        }
        ScoreLink::Expected { min, step, grades } => {
            let above = (0..grades).map(|k| (k as f64 * step) as f32).collect();
            vec![hidden, output(Activation::Softmax), sum(above, min)]
        }
    }
}

/// The map of a calibration as two layers: a ReLU per knot, and their sum.
fn calibration_layers(calibration: &Calibration) -> Vec<Dense> {
    let (constant, hinges) = calibration.hinges();
    let n = hinges.len();
    let [places, changes] =
        [0, 1].map(|part| hinges.iter().map(|hinge| hinge[part] as f32).collect::<Vec<_>>());
    vec![
        Dense {
            weight: stored(&[n, 1], vec![1.0; n]),
            bias: stored(&[n], places.iter().map(|place| -place).collect()),
            activation: Activation::Relu,
        },
        Dense {
            weight: stored(&[1, n], changes),
            bias: stored(&[1], vec![constant as f32]),
            activation: Activation::Identity,
        },
    ]
}

fn stored(shape: &[usize], values: Vec<f32>) -> StoredTensor {
    StoredTensor { shape: shape.to_vec(), values, dtype: WeightDType::F32 }
}

fn write_dense(folder: &Path, layer: Dense) -> Result<(), ExportError> {
    let config = json!({
        "in_features": layer.weight.shape[1],
        "out_features": layer.weight.shape[0],
        "bias": true,
        "activation_function": layer.activation.path(),
    });
    write_json(&folder.join("config.json"), &config)?;
    let tensors = [("linear.weight".to_owned(), layer.weight), ("linear.bias".to_owned(), layer.bias)];
    Ok(write_tensors(&folder.join("model.safetensors"), &tensors.into(), &[])?)
}

/// The numbers of the written modules, in the order of `modules.json`.
pub(crate) fn read_back<B: Kernels>(folder: &Path, device: &B::Device) -> Result<Numbers, ExportError> {
    let path = folder.join("sentence_bert_config.json");
    let max_length = read_json(&path)?["max_seq_length"]
        .as_u64()
        .ok_or_else(|| ExportError::read_back(&path, "no max_seq_length"))?;
    let text_encoder = TextEncoder::load(folder, max_length as usize)?;
    let pooling = match read_json(&folder.join(POOLING).join("config.json"))?["pooling_mode_lasttoken"] {
        Value::Bool(true) => Pooling::Last,
        _ => Pooling::Mean,
    };
    let (config, backbone) = load_backbone::<B>(folder, WeightDType::F32, device)?;
    let mut encoder = Encoder::new(config, backbone, pooling);
    if folder.join(LAYERS).is_dir() {
        encoder = encoder.read_to(read_layers(&folder.join(LAYERS))?)?;
    }
    let dense = read_modules(folder)?;

    let texts = golden::texts();
    let documents = texts.iter().map(|text| text_encoder.encode(text)).collect::<Result<Vec<_>, _>>()?;
    let documents: Vec<&Encoded> = documents.iter().collect();
    let embeddings = encoder.map_documents(&documents, |_| (), |_, rows| encoder.embed(rows, &[], device))?;
    let scores = embeddings.chunks_exact(encoder.config.d_model).map(|embedding| {
        let output = dense.iter().fold(embedding.to_vec(), |x, layer| layer.forward(&x));
        output.into_iter().map(f64::from).collect()
    });
    Ok(Numbers { scores: Some(scores.collect()), calibrated: None, utilities: None, embeddings: None })
}

fn read_modules(folder: &Path) -> Result<Vec<Dense>, ExportError> {
    let path = folder.join("modules.json");
    let modules = read_json(&path)?;
    let mut layers = Vec::new();
    for module in modules.as_array().into_iter().flatten() {
        if module["type"] == format!("{MODULES}.Dense") {
            let name = module["path"].as_str().ok_or_else(|| ExportError::read_back(&path, "no path"))?;
            layers.push(Dense::read(&folder.join(name))?);
        }
    }
    Ok(layers)
}

impl Dense {
    /// Layers of one activation as one: their weights below each other where all read the same, else in blocks.
    fn beside(layers: Vec<Self>, shared: bool) -> Self {
        let activation = layers[0].activation;
        let inputs: usize = match shared {
            true => layers[0].weight.shape[1],
            false => layers.iter().map(|layer| layer.weight.shape[1]).sum(),
        };
        let (mut weight, mut bias, mut before) = (Vec::new(), Vec::new(), 0);
        for layer in layers {
            let width = layer.weight.shape[1];
            for row in layer.weight.values.chunks_exact(width) {
                let start = weight.len() + before;
                weight.resize(weight.len() + inputs, 0.0);
                weight[start..start + width].copy_from_slice(row);
            }
            bias.extend(layer.bias.values);
            before += if shared { 0 } else { width };
        }
        let outputs = bias.len();
        Self { weight: stored(&[outputs, inputs], weight), bias: stored(&[outputs], bias), activation }
    }

    fn read(folder: &Path) -> Result<Self, ExportError> {
        let path = folder.join("config.json");
        let named = &read_json(&path)?["activation_function"];
        let activation = Activation::ALL
            .into_iter()
            .find(|activation| *named == activation.path())
            .ok_or_else(|| ExportError::read_back(&path, format!("the activation {named}")))?;
        let file = TensorFile::open(&folder.join("model.safetensors"))?;
        Ok(Self { weight: file.stored("linear.weight")?, bias: file.stored("linear.bias")?, activation })
    }

    fn forward(&self, x: &[f32]) -> Vec<f32> {
        let rows = self.weight.values.chunks_exact(x.len()).zip(&self.bias.values);
        let product = |(row, bias): (&[f32], &f32)| bias + row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>();
        let mut output: Vec<f32> = rows.map(product).collect();
        self.activation.apply(&mut output);
        output
    }
}
