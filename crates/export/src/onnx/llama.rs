//! The scorer as a graph: from token ids and mask to score and embedding.
//!
//! It says what `pair2score_model` computes, in operators that every runtime has. What a rectangle of padded rows needs
//! and our flat axis does not comes from the mask alone: a token's position is the number of real tokens before it,
//! and a token sees real tokens at positions up to its own. So padding may lie on either side.
//!
//! In f16 the linear maps of the backbone run in f16; the residual stream, norms, rotations, softmax, pooling and
//! heads stay in f32, as in the scorer itself.

use burn::tensor::backend::Backend;
use onnx_protobuf::tensor_proto::DataType;
use pair2score_model::{
    Adapter, Kernels, LayerAdapter, LlamaConfig, Pooling, Projection, ScoreHead, ScoreLink,
    inverse_frequencies,
};
use pair2score_scorer::{Calibration, LinkedHead, Stage2, names::Weight};

use super::graph::{Attribute, Axis, Data, Graph, Value};
use crate::merged::{Merged, host};
use crate::{Precision, Source};

/// Added to the attention score of a token that must not be seen: its weight underflows to 0.
const HIDDEN: f64 = -1e9;

const BATCH: Axis = Axis::Named("batch");
const LENGTH: Axis = Axis::Named("length");

/// Builds the graph of a scorer that has stage 2.
pub(super) fn graph<B: Kernels>(
    source: &Source<B>,
    merged: &Merged<B>,
    stage2: &Stage2<B>,
    calibrations: Option<&[&Calibration]>,
    precision: Precision,
) -> Graph {
    let scorer = &source.scorer;
    let mut g = Graph::default();
    let ids = g.input("input_ids", DataType::INT64, &[BATCH, LENGTH]);
    let mask = g.input("attention_mask", DataType::INT64, &[BATCH, LENGTH]);

    let config = &scorer.encoder.config;
    let dtype = match precision {
        Precision::F16 => DataType::FLOAT16,
        _ => DataType::FLOAT,
    };
    let rows = Rows::new(&mut g, &mask, config, scorer.settings.pooling, scorer.settings.max_length);
    let mut llama = Llama { g: &mut g, config, dtype, rows };
    let hidden = llama.embed(&ids);
    let mut embedding = llama.pass::<B>("stage2", &hidden, None);
    if stage2.fusion {
        let adapter = merged.stage1_adapter().map(|(adapter, _)| adapter);
        let frozen = llama.pass("stage1", &hidden, adapter.as_ref());
        embedding = g.op("Concat", &[&embedding, &frozen], &[("axis", Attribute::Int(1))]);
    }
    let mut scores = Vec::with_capacity(stage2.heads.len());
    for (place, LinkedHead { head, link }) in stage2.heads.iter().enumerate() {
        let mut of_trait = score(&mut g, &numbered("head", place), &embedding, head, *link);
        if let Some(calibrations) = calibrations {
            of_trait = calibrated(&mut g, &numbered("calibration", place), &of_trait, calibrations[place]);
        }
        scores.push(of_trait);
    }
    let (score, shape) = match &scores[..] {
        [score] => (g.squeeze_last(score), vec![BATCH]),
        several => {
            g.enter("traits");
            let several: Vec<&Value> = several.iter().collect();
            let beside = g.op("Concat", &several, &[("axis", Attribute::Int(1))]);
            (beside, vec![BATCH, Axis::Fixed(several.len())])
        }
    };
    let width = if stage2.fusion { 2 * config.d_model } else { config.d_model };
    g.enter("");
    g.output(&score, "score", DataType::FLOAT, &shape);
    g.output(&embedding, "embedding", DataType::FLOAT, &[BATCH, Axis::Fixed(width)]);
    g
}

/// What follows from the mask, once for all layers.
struct Rows {
    /// `[batch, 1, length, head_dim / 2]`
    cos: Value,
    /// `[batch, 1, length, head_dim / 2]`
    sin: Value,
    /// `[batch, 1, length, length]`, 0 or [`HIDDEN`].
    bias: Value,
    /// `[batch, 1, length]`, of the mean or the choice that pooling is.
    pooling: Value,
}

impl Rows {
    fn new(g: &mut Graph, mask: &Value, config: &LlamaConfig, pooling: Pooling, max_length: usize) -> Self {
        g.enter("rows");
        // 32 bits: a page's GPU has no 64-bit integers.
        let mask = g.cast(mask, DataType::INT32);
        let last_axis = g.scalar_int(1);
        let before = g.op("CumSum", &[&mask, &last_axis], &[("exclusive", Attribute::Int(1))]);
        // Padding after the text would count on; at 0 it stays within the table.
        let position = g.op("Mul", &[&before, &mask], &[]);

        // A table: sines of large angles are not exact on every device.
        let half = config.head_dim / 2;
        let frequencies = inverse_frequencies(config);
        let angles: Vec<f32> =
            (0..max_length).flat_map(|p| frequencies.iter().map(move |f| p as f32 * f)).collect();
        let turn = |g: &mut Graph, name: &str, values: Vec<f32>| {
            let table = g.constant(name, &[max_length, half], &values);
            let rows = g.op("Gather", &[&table, &position], &[("axis", Attribute::Int(0))]);
            g.unsqueeze(&rows, 1)
        };
        let cos = turn(g, "rotary.cos", angles.iter().map(|a| a.cos()).collect());
        let sin = turn(g, "rotary.sin", angles.iter().map(|a| a.sin()).collect());

        let (query, key) = (g.unsqueeze(&position, 2), g.unsqueeze(&position, 1));
        let not_later = g.op("LessOrEqual", &[&key, &query], &[]);
        let real = g.cast(&mask, DataType::BOOL);
        let real = g.unsqueeze(&real, 1);
        let seen = g.op("And", &[&not_later, &real], &[]);
        let (zero, hidden) = (g.scalar("zero", 0.0), g.scalar("hidden", HIDDEN));
        let bias = g.op("Where", &[&seen, &zero, &hidden], &[]);
        let bias = g.unsqueeze(&bias, 1);

        let weights = g.cast(&mask, DataType::FLOAT);
        let axes = g.ints(&[1]);
        let count = g.op("ReduceSum", &[&weights, &axes], &[]);
        let weights = match pooling {
            Pooling::Mean => g.op("Div", &[&weights, &count], &[]),
            Pooling::Last => {
                let count = g.cast(&count, DataType::INT32);
                let through = g.op("CumSum", &[&mask, &last_axis], &[]);
                let is_last = g.op("Equal", &[&through, &count], &[]);
                let is_last = g.cast(&is_last, DataType::FLOAT);
                // Padding after the last token counts no further and would be taken for it.
                g.op("Mul", &[&is_last, &weights], &[])
            }
        };
        Self { cos, sin, bias, pooling: g.unsqueeze(&weights, 1) }
    }
}

/// The backbone; values between its parts are f32.
struct Llama<'g> {
    g: &'g mut Graph,
    config: &'g LlamaConfig,
    /// Type of the weights of linear maps.
    dtype: DataType,
    rows: Rows,
}

impl Llama<'_> {
    /// `[batch, length]` to `[batch, length, d_model]`.
    fn embed(&mut self, ids: &Value) -> Value {
        self.g.enter("embed");
        let table = self.weight(Weight::Embedding, self.dtype);
        let rows = self.g.op("Gather", &[&table, ids], &[("axis", Attribute::Int(0))]);
        self.as_f32(&rows)
    }

    /// All layers, the final norm and pooling: `[batch, d_model]`.
    fn pass<B: Backend>(&mut self, name: &str, embedded: &Value, adapter: Option<&Adapter<B>>) -> Value {
        let mut hidden = embedded.clone();
        for layer in 0..self.config.n_layers {
            let adapter = adapter.map(|adapter| &adapter.layers[layer]);
            self.g.enter(format!("{name}/layers.{layer}"));
            let x = self.norm(&hidden, Weight::InputNorm(layer));
            let attended = self.attention(&x, layer, adapter);
            hidden = self.g.op("Add", &[&hidden, &attended], &[]);

            let x = self.norm(&hidden, Weight::PostAttentionNorm(layer));
            let gate = self.project(&x, layer, Projection::Gate, adapter);
            let up = self.project(&x, layer, Projection::Up, adapter);
            let sigmoid = self.g.op("Sigmoid", &[&gate], &[]);
            let silu = self.g.op("Mul", &[&gate, &sigmoid], &[]);
            let gated = self.g.op("Mul", &[&silu, &up], &[]);
            let down = self.project(&gated, layer, Projection::Down, adapter);
            hidden = self.g.op("Add", &[&hidden, &down], &[]);
        }
        self.g.enter(format!("{name}/pool"));
        let hidden = if self.config.final_norm { self.norm(&hidden, Weight::FinalNorm) } else { hidden };
        let pooled = self.g.op("MatMul", &[&self.rows.pooling, &hidden], &[]);
        self.g.reshape(&pooled, &[0, -1])
    }

    /// Root-mean-square norm over the last axis.
    fn norm(&mut self, x: &Value, weight: Weight) -> Value {
        let weight = self.weight(weight, DataType::FLOAT);
        let g = &mut *self.g;
        let square = g.op("Mul", &[x, x], &[]);
        let axes = g.ints(&[-1]);
        let mean = g.op("ReduceMean", &[&square, &axes], &[]);
        let eps = g.scalar("rms_norm_eps", self.config.rms_norm_eps);
        let sum = g.op("Add", &[&mean, &eps], &[]);
        let root = g.op("Sqrt", &[&sum], &[]);
        let unit = g.op("Div", &[x, &root], &[]);
        g.op("Mul", &[&unit, &weight], &[])
    }

    /// `[batch, length, d_model]` to the same, without the residual connection.
    fn attention<B: Backend>(&mut self, x: &Value, layer: usize, adapter: Option<&LayerAdapter<B>>) -> Value {
        let LlamaConfig { n_heads, n_kv_heads, head_dim, .. } = *self.config;
        let [heads, kv_heads, width] = [n_heads, n_kv_heads, head_dim].map(|n| n as i64);
        let [q, k, v] = [(Projection::Q, heads), (Projection::K, kv_heads), (Projection::V, kv_heads)].map(
            |(projection, heads)| {
                let flat = self.project(x, layer, projection, adapter);
                let split = self.g.reshape(&flat, &[0, 0, heads, width]);
                self.g.transpose(&split, &[0, 2, 1, 3])
            },
        );
        let (q, k) = (self.rotate(&q), self.rotate(&k));
        let g = &mut *self.g;
        let scale = g.scalar("attention_scale", (head_dim as f64).powf(-0.5));
        let q = g.op("Mul", &[&q, &scale], &[]);
        // Heads that share keys are stacked along the queries, so that no key is copied.
        let q = g.reshape(&q, &[0, kv_heads, -1, width]);
        let k = g.transpose(&k, &[0, 1, 3, 2]);
        let scores = g.op("MatMul", &[&q, &k], &[]);
        let scores = g.reshape(&scores, &[0, heads, -1, 0]);
        let scores = g.op("Add", &[&scores, &self.rows.bias], &[]);
        let weights = g.op("Softmax", &[&scores], &[("axis", Attribute::Int(-1))]);
        let weights = g.reshape(&weights, &[0, kv_heads, -1, 0]);
        let mixed = g.op("MatMul", &[&weights, &v], &[]);
        let mixed = g.reshape(&mixed, &[0, heads, -1, width]);
        let mixed = g.transpose(&mixed, &[0, 2, 1, 3]);
        let mixed = g.reshape(&mixed, &[0, 0, heads * width]);
        self.project(&mixed, layer, Projection::O, adapter)
    }

    /// Turns `[batch, heads, length, head_dim]` by position.
    fn rotate(&mut self, x: &Value) -> Value {
        let g = &mut *self.g;
        let Rows { cos, sin, .. } = &self.rows;
        let [first, second] = g.halves(x, 3, self.config.head_dim / 2);
        let (a, b) = (g.op("Mul", &[&first, cos], &[]), g.op("Mul", &[&second, sin], &[]));
        let left = g.op("Sub", &[&a, &b], &[]);
        let (a, b) = (g.op("Mul", &[&second, cos], &[]), g.op("Mul", &[&first, sin], &[]));
        let right = g.op("Add", &[&a, &b], &[]);
        g.op("Concat", &[&left, &right], &[("axis", Attribute::Int(3))])
    }

    /// A linear map in its own dtype, and what the adapter adds.
    fn project<B: Backend>(
        &mut self,
        x: &Value,
        layer: usize,
        projection: Projection,
        adapter: Option<&LayerAdapter<B>>,
    ) -> Value {
        let weight = self.weight(Weight::Projection(layer, projection), self.dtype);
        let input = if self.dtype == DataType::FLOAT { x.clone() } else { self.g.cast(x, self.dtype) };
        let product = self.g.op("MatMul", &[&input, &weight], &[]);
        let base = self.as_f32(&product);
        let Some(factors) = adapter.and_then(|adapter| adapter.get(projection)) else { return base };
        // Scale 1: it is part of the factors already.
        let [rank, inputs] = factors.a.dims();
        let [outputs, _] = factors.b.dims();
        let name = |factor: &str| format!("layers.{layer}.{}.{factor}", projection.name());
        let a = transpose(&host(factors.a.val()), rank, inputs);
        let b = transpose(&host(factors.b.val()), outputs, rank);
        let a = self.g.constant(&name("lora_A"), &[inputs, rank], &a);
        let b = self.g.constant(&name("lora_B"), &[rank, outputs], &b);
        let low = self.g.op("MatMul", &[x, &a], &[]);
        let update = self.g.op("MatMul", &[&low, &b], &[]);
        self.g.op("Add", &[&base, &update], &[])
    }

    fn weight(&mut self, weight: Weight, dtype: DataType) -> Value {
        let mut shape = weight.shape(self.config);
        if let Weight::Projection(..) = weight {
            shape.reverse();
        }
        self.g.initializer(&weight.name(), shape, dtype, Data::Weight(weight))
    }

    fn as_f32(&mut self, value: &Value) -> Value {
        if self.dtype == DataType::FLOAT { value.clone() } else { self.g.cast(value, DataType::FLOAT) }
    }
}

/// The name of what a trait has; the first has the name alone.
fn numbered(name: &str, place: usize) -> String {
    if place == 0 { name.to_owned() } else { format!("{name}{place}") }
}

/// `[batch, width]` to `[batch, 1]`.
fn score<B: Backend>(
    g: &mut Graph,
    name: &str,
    embedding: &Value,
    head: &ScoreHead<B>,
    link: ScoreLink,
) -> Value {
    g.enter(name);
    let [first, last, linked] = ["0", "2", "link"].map(|part| format!("{name}.{part}"));
    let hidden = linear(g, embedding, &first, host(head.hidden_weight.val()), host(head.hidden_bias.val()));
    let hidden = g.op("Relu", &[&hidden], &[]);
    let outputs = linear(g, &hidden, &last, host(head.output_weight.val()), host(head.output_bias.val()));
    let (outputs, weights, min) = match link {
        ScoreLink::Identity => return outputs,
        ScoreLink::Cumulative { min, step, grades } => {
            (g.op("Sigmoid", &[&outputs], &[]), vec![step as f32; grades - 1], min)
        }
        ScoreLink::Expected { min, step, grades } => {
            let steps = (0..grades).map(|k| (k as f64 * step) as f32).collect();
            (g.op("Softmax", &[&outputs], &[("axis", Attribute::Int(-1))]), steps, min)
        }
    };
    linear(g, &outputs, &linked, weights, vec![min as f32])
}

/// `[batch, 1]` to the same: a ReLU per knot of the map, and their sum.
fn calibrated(g: &mut Graph, name: &str, score: &Value, calibration: &Calibration) -> Value {
    g.enter(name);
    let [first, last] = ["0", "2"].map(|part| format!("{name}.{part}"));
    let (constant, hinges) = calibration.hinges();
    let minus_places = hinges.iter().map(|[place, _]| -*place as f32).collect();
    let above = linear(g, score, &first, vec![1.0; hinges.len()], minus_places);
    let above = g.op("Relu", &[&above], &[]);
    let changes = hinges.iter().map(|[_, change]| *change as f32).collect();
    linear(g, &above, &last, changes, vec![constant as f32])
}

/// `W x + b` over the last axis; the weight is row-major, `[outputs, inputs]`.
fn linear(g: &mut Graph, x: &Value, name: &str, weight: Vec<f32>, bias: Vec<f32>) -> Value {
    let outputs = bias.len();
    let inputs = weight.len() / outputs;
    let weight = transpose(&weight, outputs, inputs);
    let weight = g.constant(&format!("{name}.weight"), &[inputs, outputs], &weight);
    let bias = g.constant(&format!("{name}.bias"), &[outputs], &bias);
    let product = g.op("MatMul", &[x, &weight], &[]);
    g.op("Add", &[&product, &bias], &[])
}

/// The transpose of a matrix of `rows` rows.
pub(super) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut output = vec![0.0; values.len()];
    // In tiles, so that neither side is read across the cache.
    const TILE: usize = 32;
    for row in (0..rows).step_by(TILE) {
        for column in (0..columns).step_by(TILE) {
            for r in row..(row + TILE).min(rows) {
                for c in column..(column + TILE).min(columns) {
                    output[c * rows + r] = values[r * columns + c];
                }
            }
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transpose_moves_every_element() {
        let (rows, columns) = (35, 70);
        let values: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
        let turned = transpose(&values, rows, columns);
        for r in 0..rows {
            for c in 0..columns {
                assert_eq!(turned[c * rows + r], values[r * columns + c]);
            }
        }
        assert_eq!(transpose(&turned, columns, rows), values);
    }
}
