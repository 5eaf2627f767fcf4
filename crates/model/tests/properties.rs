//! Properties of the model on a small random backbone: one property per test.

use burn::backend::{Autodiff, Flex};
use burn::module::{AutodiffModule, Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData, backend::AutodiffBackend};
use pair2score_model::{
    Adapter, Backbone, LlamaConfig, LoraConfig, PadSide, Pooling, Projection, RopeConfig, RopeScaling,
    ScoreHead, ScoreLink, TokenBatch, UtilityHead, hidden_width, inverse_frequencies, loss,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

type AD = Autodiff<Flex>;
type Gradients = <AD as AutodiffBackend>::Gradients;

fn config() -> LlamaConfig {
    LlamaConfig {
        vocab_size: 50,
        d_model: 16,
        d_ff: 24,
        n_layers: 2,
        n_heads: 4,
        n_kv_heads: 2,
        head_dim: 4,
        max_positions: 64,
        rms_norm_eps: 1e-5,
        rope: RopeConfig { theta: 10_000.0, scaling: RopeScaling::None },
        tie_embeddings: true,
        layers_above: 0,
        final_norm: true,
    }
}

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn backbone() -> Backbone<AD> {
    Backbone::init(&config(), &mut rng(1), &Default::default()).no_grad()
}

fn lora(dropout: f64) -> LoraConfig {
    LoraConfig { rank: 3, alpha: 6.0, dropout, targets: Projection::ALL.to_vec() }
}

/// Moves every parameter against its gradient.
struct Step<'a>(&'a Gradients);

impl ModuleMapper<AD> for Step<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<AD, D>>) -> Param<Tensor<AD, D>> {
        let gradient = param.grad(self.0).expect("every factor has a gradient");
        param.map(|x| Tensor::from_inner(x.inner() - gradient * 0.05).require_grad())
    }
}

/// An adapter whose `B` is no longer zero: a few steps down an arbitrary loss.
fn trained_adapter(dropout: f64) -> Adapter<AD> {
    let mut adapter = Adapter::<AD>::init(&lora(0.0), &config(), &mut rng(2), &Default::default());
    for _ in 0..3 {
        let hidden = backbone().forward(&config(), &batch(), &[&adapter], None);
        let gradients = (hidden - 0.5).powi_scalar(2).mean().backward();
        adapter = adapter.map(&mut Step(&gradients));
    }
    adapter.with_dropout(dropout)
}

const ROWS: [&[u32]; 3] = [&[1, 7, 3, 9, 2], &[4, 4, 8], &[5, 6, 7, 8, 9, 10, 11]];

fn batch() -> TokenBatch<AD> {
    TokenBatch::packed(&ROWS, &Default::default())
}

fn embed(adapters: &[&Adapter<Flex>], rows: &[&[u32]]) -> Vec<Vec<f32>> {
    let batch = TokenBatch::<Flex>::packed(rows, &Default::default());
    let hidden = backbone().valid().forward(&config(), &batch, adapters, None);
    let pooled: Vec<f32> = Pooling::Mean.pool(hidden, &batch).into_data().into_vec().unwrap();
    pooled.chunks(16).map(<[f32]>::to_vec).collect()
}

#[test]
fn a_fresh_adapter_changes_nothing() {
    let fresh = Adapter::<AD>::init(&lora(0.0), &config(), &mut rng(3), &Default::default()).valid();
    assert_eq!(embed(&[&fresh], &ROWS), embed(&[], &ROWS));
}

#[test]
fn a_trained_adapter_changes_something_and_stacks() {
    let one = trained_adapter(0.0).valid();
    assert_ne!(embed(&[&one], &ROWS), embed(&[], &ROWS));
    assert_ne!(embed(&[&one, &one], &ROWS), embed(&[&one], &ROWS));
}

#[test]
fn the_order_of_a_batch_changes_nothing() {
    let adapter = trained_adapter(0.0).valid();
    let forward = embed(&[&adapter], &ROWS);
    let reversed: Vec<&[u32]> = ROWS.into_iter().rev().collect();
    let mut backward = embed(&[&adapter], &reversed);
    backward.reverse();
    assert_eq!(forward, backward);
}

#[test]
fn the_future_changes_nothing_for_earlier_tokens() {
    let hidden = |row: &[u32]| -> Vec<f32> {
        let batch = TokenBatch::<Flex>::packed(&[row], &Default::default());
        let hidden = backbone().valid().forward(&config(), &batch, &[], None);
        hidden.narrow(0, 0, 3).into_data().into_vec().unwrap()
    };
    assert_eq!(hidden(&[1, 2, 3, 4, 5]), hidden(&[1, 2, 3, 40, 41]));
}

/// Counts parameters and those that have a gradient.
struct Count<'a>(&'a Gradients, usize, usize);

impl ModuleVisitor<AD> for Count<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<AD, D>>) {
        self.1 += 1;
        self.2 += usize::from(param.grad(self.0).is_some());
    }
}

fn count(module: &impl Module<AD>, gradients: &Gradients) -> (usize, usize) {
    let mut count = Count(gradients, 0, 0);
    module.visit(&mut count);
    (count.1, count.2)
}

#[test]
fn only_adapter_and_head_receive_gradients() {
    let (backbone, adapter) = (backbone(), trained_adapter(0.0));
    let head = UtilityHead::<AD>::init(16, &mut rng(4), &Default::default());
    let batch = batch();
    let pooled = Pooling::Mean.pool(backbone.forward(&config(), &batch, &[&adapter], None), &batch);
    let gradients = head.forward(pooled).sum().backward();
    assert_eq!(count(&backbone, &gradients), (2 * 9 + 2, 0));
    assert_eq!(count(&adapter, &gradients), (2 * 7 * 2, 2 * 7 * 2));
    assert_eq!(count(&head, &gradients), (1, 1));
}

#[test]
fn padding_gets_no_part_in_a_gradient() {
    let adapter = trained_adapter(0.0);
    let first = |batch: TokenBatch<AD>| -> Vec<f32> {
        // Other tests have backward passes too: leaves may have one only (tracel-ai/burn#5573).
        let adapter = adapter.clone().fork(&Default::default());
        let pooled = Pooling::Mean.pool(backbone().forward(&config(), &batch, &[&adapter], None), &batch);
        let gradients = pooled.powi_scalar(2).sum().backward();
        let a = &adapter.layers[0].get(Projection::K).unwrap().a;
        a.grad(&gradients).unwrap().into_data().into_vec().unwrap()
    };
    let packed = first(batch());
    for side in [PadSide::Left, PadSide::Right] {
        let padded = first(TokenBatch::padded(&ROWS, 0, side, 12, &Default::default()));
        for (padded, packed) in padded.iter().zip(&packed) {
            assert!((padded - packed).abs() < 1e-5 * (1.0 + packed.abs()), "{padded} {packed}");
        }
    }
}

#[test]
fn dropout_is_on_in_training_and_off_in_evaluation() {
    let (with, without) = (trained_adapter(0.5), trained_adapter(0.0));
    let train = |adapter: &Adapter<AD>, seed| -> Vec<f32> {
        backbone().forward(&config(), &batch(), &[adapter], Some(seed)).into_data().into_vec().unwrap()
    };
    assert_ne!(train(&with, 7), train(&without, 7));
    assert_ne!(train(&with, 7), train(&with, 8));
    assert_eq!(train(&with, 7), train(&with, 7));
    assert_eq!(embed(&[&with.valid()], &ROWS), embed(&[&without.valid()], &ROWS));
}

#[test]
fn last_pooling_takes_the_last_real_token() {
    let pool = |side| -> Vec<f32> {
        let batch = TokenBatch::<Flex>::padded(&ROWS, 0, side, 12, &Default::default());
        let hidden = backbone().valid().forward(&config(), &batch, &[], None);
        Pooling::Last.pool(hidden, &batch).into_data().into_vec().unwrap()
    };
    let alone: Vec<f32> = {
        let batch = TokenBatch::<Flex>::packed(&ROWS[1..2], &Default::default());
        let hidden = backbone().valid().forward(&config(), &batch, &[], None);
        hidden.narrow(0, 2, 1).into_data().into_vec().unwrap()
    };
    let (right, left) = (pool(PadSide::Right), pool(PadSide::Left));
    for (i, expected) in alone.iter().enumerate() {
        // Other shapes take other paths through the matrix product, hence the rounding.
        assert!((right[16 + i] - expected).abs() < 1e-5 && (left[16 + i] - expected).abs() < 1e-5);
    }
}

fn column(values: &[f32]) -> Tensor<Flex, 1> {
    Tensor::from_floats(values, &Default::default())
}

fn assert_close(actual: Tensor<Flex, 1>, expected: &[f32]) {
    let actual: Vec<f32> = actual.into_data().into_vec().unwrap();
    assert_eq!(actual.len(), expected.len());
    for (a, e) in actual.iter().zip(expected) {
        assert!((a - e).abs() <= 1e-5 * (1.0 + e.abs()), "{actual:?}, expected {expected:?}");
    }
}

#[test]
fn losses_by_hand() {
    // -ln σ(2); at a tie, half the cost of each answer.
    let tie = 0.5 * ((1.0 + (-2.0_f32).exp()).ln() + (1.0 + 2.0_f32.exp()).ln());
    assert_close(
        loss::preference(column(&[2.0, -2.0, 2.0, 0.0]), column(&[1.0, 0.0, 0.5, 0.5])),
        &[0.126_928, 0.126_928, tie, 2.0_f32.ln()],
    );
    let (scores, labels) = (column(&[3.0, 2.0, 4.5]), column(&[2.0, 2.0, 2.0]));
    assert_close(loss::l1(scores.clone(), labels.clone()), &[1.0, 0.0, 2.5]);
    assert_close(loss::mse(scores.clone(), labels.clone()), &[1.0, 0.0, 6.25]);
    // Half the square up to 1, then 1 · (2.5 - 0.5).
    assert_close(loss::huber(scores, labels, 1.0), &[0.5, 0.0, 2.0]);
    let device = Default::default();
    let outputs = Tensor::<Flex, 2>::from_floats([[0.0, 0.0], [100.0, -100.0]], &device);
    let above = Tensor::<Flex, 2>::from_floats([[1.0, 0.0], [1.0, 0.0]], &device);
    assert_close(loss::ordinal(outputs, above), &[2.0_f32.ln(), 0.0]);
    let outputs = Tensor::<Flex, 2>::from_floats([[0.0, 0.0, 0.0], [0.0, 100.0, 0.0]], &device);
    let grades = Tensor::<Flex, 1, burn::tensor::Int>::from_ints([2, 1], &device);
    assert_close(loss::classification(outputs, grades), &[3.0_f32.ln(), 0.0]);
}

#[test]
fn links_by_hand() {
    let device = Default::default();
    let cumulative = ScoreLink::Cumulative { min: 1.0, step: 0.5, grades: 4 };
    let outputs = Tensor::<Flex, 2>::from_floats([[100.0, 0.0, -100.0]], &device);
    assert_close(cumulative.score(outputs), &[1.75]);
    let expected = ScoreLink::Expected { min: 1.0, step: 0.5, grades: 3 };
    let outputs = Tensor::<Flex, 2>::from_floats([[0.0, 0.0, 0.0], [0.0, 0.0, 100.0]], &device);
    assert_close(expected.score(outputs), &[1.5, 2.0]);
    assert_eq!((cumulative.n_outputs(), expected.n_outputs(), ScoreLink::Identity.n_outputs()), (3, 3, 1));
}

#[test]
fn the_hidden_layer_halves_above_256() {
    assert_eq!([64, 256, 257, 512, 2048].map(hidden_width), [64, 256, 128, 256, 1024]);
    let head = ScoreHead::<Flex>::init(300, 4, &mut rng(5), &Default::default());
    assert_eq!(head.forward(Tensor::zeros([2, 300], &Default::default())).dims(), [2, 4]);
}

#[test]
fn linear_scaling_divides_every_frequency() {
    let mut scaled = config();
    scaled.rope.scaling = RopeScaling::Linear { factor: 4.0 };
    for (plain, scaled) in inverse_frequencies(&config()).iter().zip(inverse_frequencies(&scaled)) {
        assert_eq!(plain / 4.0, scaled);
    }
}

#[test]
fn a_linear_map_is_added_to_a_head() {
    let device = Default::default();
    let d = 12;
    let weights: Vec<f32> = (0..d).map(|i| (i as f32 * 0.7).sin()).collect();
    let rows: Vec<f32> = (0..3 * d).map(|i| (i as f32 * 1.3).cos()).collect();
    let pooled = Tensor::<Flex, 2>::from_data(TensorData::new(rows.clone(), [3, d]), &device);
    let own = ScoreHead::<Flex>::init(d, 1, &mut rng(3), &device);
    let sum = own.plus_linear(-0.5, &weights, 2.0);
    let [before, after] =
        [&own, &sum].map(|head| head.forward(pooled.clone()).into_data().into_vec::<f32>().unwrap());
    for ((row, before), after) in rows.chunks(d).zip(before).zip(after) {
        let added: f32 = row.iter().zip(&weights).map(|(x, w)| x * w).sum::<f32>() + 2.0;
        assert!((after - (added - 0.5 * before)).abs() < 1e-5, "{after} is not {added} and {before}");
    }
}

#[test]
fn a_linear_head_is_the_linear_map() {
    let device = Default::default();
    // Above and below the width at which the published hidden layer halves.
    for d in [4, 300] {
        let weights: Vec<f32> = (0..d).map(|i| (i as f32 * 0.7).sin()).collect();
        let head = ScoreHead::<Flex>::linear(&weights, -1.25, &device);
        assert_eq!(head.hidden_weight.dims(), [hidden_width(d), d]);
        let rows: Vec<f32> = (0..2 * d).map(|i| (i as f32 * 1.3).cos()).collect();
        let pooled = Tensor::<Flex, 2>::from_data(TensorData::new(rows.clone(), [2, d]), &device);
        let outputs = head.forward(pooled).into_data().into_vec::<f32>().unwrap();
        for (row, output) in rows.chunks(d).zip(outputs) {
            let expected: f64 =
                row.iter().zip(&weights).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum::<f64>() - 1.25;
            assert!((f64::from(output) - expected).abs() < 1e-5, "{output} is not {expected}");
        }
    }
}

#[test]
fn a_fresh_head_begun_at_a_linear_map_is_that_map_and_trains_all_of_its_hidden_units() {
    let device = Default::default();
    let (d, n) = (12, 40);
    let weights: Vec<f32> = (0..d).map(|i| (i as f32 * 0.7).sin()).collect();
    // Without a period, so that every unit is above 0 for some row.
    let rows: Vec<f32> = (0..n * d).map(|i| ((i * i) as f32 * 0.37).cos()).collect();
    let pooled = Tensor::<AD, 2>::from_data(TensorData::new(rows.clone(), [n, d]), &device);
    let head = ScoreHead::<AD>::init(d, 1, &mut rng(3), &device).begun_at_linear(&weights, -1.25);
    let outputs = head.forward(pooled.clone()).into_data().into_vec::<f32>().unwrap();
    for (row, output) in rows.chunks(d).zip(outputs) {
        let expected = row.iter().zip(&weights).map(|(x, w)| x * w).sum::<f32>() - 1.25;
        assert!((output - expected).abs() < 1e-5, "{output} is not {expected}");
    }
    let gradients = |head: &ScoreHead<AD>| {
        let outputs = head.forward(pooled.clone());
        (outputs.clone() * outputs).mean().backward()
    };
    let moved = |gradient: Tensor<Flex, 2>, per_unit: usize| -> usize {
        let values = gradient.into_data().into_vec::<f32>().unwrap();
        values.chunks(per_unit).filter(|unit| unit.iter().any(|&value| value != 0.0)).count()
    };
    // Output weights learn at once, what is below them from the second step on.
    let first = gradients(&head);
    let output = head.output_weight.grad(&first).unwrap();
    assert_eq!(moved(output, 1), hidden_width(d));
    assert_eq!(moved(head.hidden_weight.grad(&first).unwrap(), d), 2);
    let head = head.map(&mut Step(&first));
    assert_eq!(moved(head.hidden_weight.grad(&gradients(&head)).unwrap(), d), hidden_width(d));
}
