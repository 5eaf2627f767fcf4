//! Ten steps of both stages against PyTorch, transformers and PEFT (`../scorer/tests/fixtures/oracle`), through the
//! loop that trains real runs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::backend::{Autodiff, Flex, flex::FlexDevice};
use burn::module::{Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use pair2score_data::{Document, DocumentSet, ScoreScale, Splits};
use pair2score_model::{
    Adapter, LayerAdapter, LoraConfig, LoraFactors, Pooling, Projection, ScoreHead, UtilityHead, loss,
};
use pair2score_scorer::{Encoder, TensorFile, TextEncoder, WeightDType, load_backbone};
use pair2score_train::absolute::{AbsoluteModel, AbsoluteTask, Goal, HeadInputs, Start};
use pair2score_train::config::{AbsoluteSettings, Monitor, TrainingSettings, Transfer};
use pair2score_train::relative::{RelativeModel, RelativeTask};
use pair2score_train::{
    EmbeddingPass, EpochReport, Examples, FitPlan, PairExample, Progress, Silent, Sizes, StepReport, Stop,
    Task, TraitLabels, fit,
};
use serde_json::Value;

type AD = Autodiff<Flex>;

/// The oracle promises 1e-4 for gradients and embeddings and 1e-3 for losses, in f32.
const GRADIENT: f32 = 1e-4;
const LOSS: f64 = 1e-3;

struct Oracle {
    expected: Value,
    stage1: TensorFile,
    stage2: TensorFile,
    tensors: TensorFile,
    encoder: Encoder<AD>,
    examples: Examples,
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../scorer/tests/fixtures/oracle"))
}

impl Oracle {
    /// So many further devices, which are all this processor, each with its own encoder.
    fn on_devices(&self, n: usize) -> Vec<(Encoder<AD>, FlexDevice)> {
        (0..n).map(|_| (self.encoder.on(&FlexDevice), FlexDevice)).collect()
    }

    /// Stage 2 with a fresh head and, where it needs one, a fresh adapter.
    fn stage_2<'a>(
        &'a self,
        transfer: Transfer,
        device: &'a FlexDevice,
    ) -> (AbsoluteTask<'a, AD>, AbsoluteModel<AD>) {
        let relative = self.adapter(&self.stage1, "final");
        let start = Start::new(transfer, &self.lora(), Some(relative), &self.encoder, 0, device);
        static STOP: Stop = Stop::new();
        let pass = EmbeddingPass { cache: None, stop: &STOP };
        let inputs =
            HeadInputs::new(&self.encoder, &self.examples, &start, false, pass, device, &mut Silent).unwrap();
        let goal = Goal::new(&AbsoluteSettings::default(), ScoreScale::default());
        let model =
            AbsoluteModel::init(start.trainable, 1, inputs.width(), goal.link().n_outputs(), 0, device);
        (AbsoluteTask::new(inputs, goal, vec![1.0]), model)
    }

    fn load() -> Self {
        let open = |name: &str| TensorFile::open(&folder().join(name)).unwrap();
        let expected: Value =
            serde_json::from_slice(&std::fs::read(folder().join("expected.json")).unwrap()).unwrap();
        let backbone = folder().join("backbone");
        let text_encoder =
            TextEncoder::load(&backbone, expected["max_length"].as_u64().unwrap() as usize).unwrap();
        let (config, weights) =
            load_backbone::<AD>(&backbone, WeightDType::F32, &Default::default()).unwrap();
        let texts: Vec<String> = serde_json::from_value(expected["texts"].clone()).unwrap();
        let labels: Vec<f64> = serde_json::from_value(expected["stage2"]["targets"].clone()).unwrap();
        let documents: Vec<Document> = texts
            .iter()
            .zip(labels)
            .enumerate()
            .map(|(i, (text, label))| Document {
                id: format!("d{i}"),
                text: text.clone(),
                fold: None,
                label: Some(label),
                row: i + 2,
                ..Document::default()
            })
            .collect();
        let all: Vec<usize> = (0..documents.len()).collect();
        let encoded = texts.iter().map(|text| Some(text_encoder.encode(text).unwrap())).collect();
        Self {
            stage1: open("stage1.safetensors"),
            stage2: open("stage2.safetensors"),
            tensors: open("expected.safetensors"),
            encoder: Encoder::new(config, weights, Pooling::Mean),
            examples: Examples {
                traits: vec![TraitLabels {
                    second_ratings: Vec::new(),
                    weights: None,
                    target: "score".into(),
                    labels: documents.iter().map(|document| document.label).collect(),
                }],
                documents: DocumentSet::new("oracle", documents).unwrap(),
                scale: ScoreScale::default(),
                splits: Splits { train: all.clone(), val: all.clone(), test: all.clone() },
                unlabelled: Vec::new(),
                stage2: all,
                pairs: None,
                encoded,
            },
            expected,
        }
    }

    fn numbers(&self, stage: &str, key: &str) -> Vec<f64> {
        serde_json::from_value(self.expected[stage][key].clone()).unwrap()
    }

    fn number(&self, stage: &str, key: &str) -> f64 {
        self.expected[stage][key].as_f64().unwrap()
    }

    fn lora(&self) -> LoraConfig {
        LoraConfig {
            rank: self.expected["lora"]["r"].as_u64().unwrap() as usize,
            alpha: self.expected["lora"]["alpha"].as_f64().unwrap(),
            dropout: 0.0,
            targets: vec![Projection::Q, Projection::K, Projection::V, Projection::O],
        }
    }

    fn adapter(&self, file: &TensorFile, prefix: &str) -> Adapter<AD> {
        let lora = self.lora();
        let layers = (0..self.encoder.config.n_layers)
            .map(|layer| {
                LayerAdapter::new(|projection| {
                    lora.targets.contains(&projection).then(|| {
                        let name = |factor| {
                            format!(
                                "{prefix}.model.layers.{layer}.self_attn.{}.lora_{factor}.weight",
                                projection.name()
                            )
                        };
                        LoraFactors {
                            a: param(file, &name("A")),
                            b: param(file, &name("B")),
                            scale: lora.alpha / lora.rank as f64,
                            dropout: 0.0,
                        }
                    })
                })
            })
            .collect();
        Adapter { layers }
    }

    fn pairs(&self) -> Vec<PairExample> {
        let pairs: Vec<(usize, usize)> =
            serde_json::from_value(self.expected["stage1"]["pairs"].clone()).unwrap();
        let labels = self.numbers("stage1", "labels");
        pairs
            .into_iter()
            .zip(labels)
            .map(|((a, b), y)| PairExample { a, b, target: 0, y, weight: 1.0 })
            .collect()
    }

    fn relative_model(&self, which: &str) -> RelativeModel<AD> {
        RelativeModel {
            adapter: self.adapter(&self.stage1, which),
            heads: vec![UtilityHead {
                weight: param(&self.stage1, &format!("{which}.relative_head.weight")),
            }],
        }
    }
}

fn param<const D: usize>(file: &TensorFile, name: &str) -> Param<Tensor<AD, D>> {
    let data = file.read(name, WeightDType::F32).unwrap();
    Param::initialized(ParamId::new(), Tensor::from_data(data, &Default::default()).require_grad())
}

fn values<const D: usize>(tensor: Tensor<Flex, D>) -> Vec<f32> {
    tensor.into_data().into_vec().unwrap()
}

fn assert_close(actual: &[f32], file: &TensorFile, name: &str, tolerance: f32) {
    let expected: Vec<f32> = file.read(name, WeightDType::F32).unwrap().into_vec().unwrap();
    assert_eq!(actual.len(), expected.len(), "{name}");
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!((a - e).abs() <= tolerance, "{name}: element {i} is {a}, expected {e}");
    }
}

/// One example group per step: ten epochs of one batch are ten steps.
fn training(batch_size: usize, lr: f64, weight_decay: f64, monitor: Monitor) -> TrainingSettings {
    TrainingSettings {
        epochs: 10,
        batch_size,
        lr,
        weight_decay,
        log_every: 1,
        monitor,
        patience: None,
        min_delta: 0.0,
        ..TrainingSettings::default()
    }
}

#[derive(Default)]
struct Losses(Vec<f64>);

impl Progress for Losses {
    fn begin(&mut self, _: &str, _: usize) {}
    fn advance(&mut self, _: usize) {}
    fn step(&mut self, _: &str, report: &StepReport) {
        self.0.extend(report.loss);
    }
    fn epoch(&mut self, _: &str, _: &EpochReport) {}
    fn end(&mut self) {}
    fn message(&mut self, _: &str) {}
}

fn assert_losses(actual: &[f64], expected: &[f64], what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (step, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!((a - e).abs() <= LOSS, "{what}: step {step} has loss {a}, expected {e}");
    }
}

#[test]
fn stage_1_losses_of_ten_steps() {
    let oracle = Oracle::load();
    let pairs = oracle.pairs();
    let device = Default::default();
    let task = RelativeTask::new(&oracle.encoder, &oracle.examples, &pairs, &pairs, false, &device);
    let training =
        training(4, oracle.number("stage1", "lr"), oracle.number("stage1", "weight_decay"), Monitor::ValLoss);
    let plan = FitPlan::new("relative", &training, 1);
    let mut losses = Losses::default();
    fit(&task, oracle.relative_model("init"), &plan, &mut losses).unwrap();
    assert_losses(&losses.0, &oracle.numbers("stage1", "losses"), "stage 1");
}

#[test]
fn stage_1_gradients_of_the_first_step() {
    let oracle = Oracle::load();
    let pairs = oracle.pairs();
    let device = Default::default();
    let task = RelativeTask::new(&oracle.encoder, &oracle.examples, &pairs, &pairs, false, &device);
    let model = oracle.relative_model("init");
    let gradients = task.loss(&model, &[0, 1, 2, 3], 0).gradients(4.0, &model);
    let q = model.adapter.layers[0].get(Projection::Q).unwrap();
    let close = |param: &Param<Tensor<AD, 2>>, name: &str| {
        let gradient = values(gradients.get::<Flex, 2>(param.id).unwrap());
        assert_close(&gradient, &oracle.tensors, &format!("stage1.grad.{name}"), GRADIENT);
    };
    close(&q.a, "model.layers.0.self_attn.q_proj.lora_A.weight");
    close(&q.b, "model.layers.0.self_attn.q_proj.lora_B.weight");
    close(&model.heads[0].weight, "relative_head.weight");
}

/// The factors of an adapter, layer by layer.
fn factors(adapter: Adapter<AD>) -> Vec<Vec<f32>> {
    let factors = adapter.layers.into_iter().flat_map(|layer| {
        Projection::ALL.into_iter().filter_map(move |p| layer.get(p).cloned()).collect::<Vec<_>>()
    });
    factors.flat_map(|f| [values(f.a.val().inner()), values(f.b.val().inner())]).collect()
}

/// The factors of the adapter after stage 1 with dropout, on a device and so many others.
fn stage_1_factors(oracle: &Oracle, recompute: bool, accumulation: usize, others: usize) -> Vec<Vec<f32>> {
    let pairs = oracle.pairs();
    let device = Default::default();
    let others = oracle.on_devices(others);
    let task = RelativeTask::new(&oracle.encoder, &oracle.examples, &pairs, &pairs, recompute, &device)
        .shared_with(&others);
    let mut model = oracle.relative_model("init");
    model.adapter = model.adapter.with_dropout(0.2);
    let training =
        TrainingSettings { accumulation, ..training(4 / accumulation, 1e-2, 0.01, Monitor::ValLoss) };
    let outcome = fit(&task, model, &FitPlan::new("relative", &training, 1), &mut Silent).unwrap();
    factors(outcome.model.adapter)
}

#[test]
fn parts_of_a_batch_have_the_gradients_of_the_whole() {
    let oracle = Oracle::load();
    let pairs = oracle.pairs();
    let device = Default::default();
    let model = oracle.relative_model("final");
    // In one graph, without the task's parts.
    let n_documents = 1 + pairs.iter().map(|pair| pair.a.max(pair.b)).max().unwrap();
    let rows: Vec<&[u32]> = (0..n_documents).map(|document| oracle.examples.ids(document)).collect();
    let pooled = oracle.encoder.embed_with_dropout(&rows, &[&model.adapter], None, &device);
    let places: Vec<_> = pairs.iter().map(|pair| (pair.a, pair.b, 0)).collect();
    let targets: Vec<f32> = pairs.iter().map(|pair| pair.y as f32).collect();
    let targets = Tensor::from_data(TensorData::from(targets.as_slice()), &device);
    let whole = loss::preference(model.logits(pooled, &places), targets).sum();
    let sum = whole.clone().into_scalar();
    let whole = GradientsParams::from_grads(whole.backward(), &model);

    for recompute in [false, true] {
        let task = RelativeTask::new(&oracle.encoder, &oracle.examples, &pairs, &pairs, recompute, &device);
        let examples: Vec<usize> = (0..pairs.len()).collect();
        let loss = task.loss(&model, &examples, 0);
        assert!((loss.sum.clone().into_scalar() - sum).abs() < 1e-5 * sum);
        let parts = loss.gradients(1.0, &model);
        for layer in &model.adapter.layers {
            for factors in Projection::ALL.into_iter().filter_map(|p| layer.get(p)) {
                for id in [factors.a.id, factors.b.id] {
                    let [parts, whole] =
                        [&parts, &whole].map(|g| values(g.get::<Flex, 2>(id).expect("a gradient")));
                    let size = whole.iter().fold(0.0_f32, |size, x| size.max(x.abs()));
                    assert!(size > 0.0);
                    for (part, whole) in parts.iter().zip(&whole) {
                        assert!((part - whole).abs() < 1e-4 * size, "{part} {whole}");
                    }
                }
            }
        }
    }
}

#[test]
fn recomputing_the_layers_changes_no_bit() {
    let oracle = Oracle::load();
    let kept = stage_1_factors(&oracle, false, 1, 0);
    assert_eq!(kept, stage_1_factors(&oracle, true, 1, 0));
    let start = factors(oracle.relative_model("init").adapter);
    assert_ne!(kept[1], start[1], "the first layer has not learned");
}

#[test]
fn further_devices_change_no_bit_of_stage_1() {
    let oracle = Oracle::load();
    let alone = stage_1_factors(&oracle, false, 4, 0);
    for others in [1, 2, 3] {
        assert_eq!(stage_1_factors(&oracle, false, 4, others), alone, "{others}");
    }
    assert_eq!(stage_1_factors(&oracle, true, 4, 1), alone);
}

#[test]
fn further_devices_change_no_bit_of_stage_2() {
    let oracle = Oracle::load();
    let training = TrainingSettings { accumulation: 3, ..training(2, 1e-2, 0.01, Monitor::ValMae) };
    let plan = FitPlan::new("absolute", &training, 1);
    for transfer in [
        Transfer::Scratch,
        Transfer::Stacked,
        Transfer::Fusion { reuse: true, train_adapter: true },
        Transfer::WarmStart { train_adapter: false },
    ] {
        let trained = |others| {
            let others = oracle.on_devices(others);
            let device = Default::default();
            let (task, model) = oracle.stage_2(transfer, &device);
            let model = fit(&task.shared_with(&others), model, &plan, &mut Silent).unwrap().model;
            let head = [values(model.heads[0].hidden_weight.val().inner())];
            head.into_iter().chain(model.adapter.map(factors).into_iter().flatten()).collect::<Vec<_>>()
        };
        let alone = trained(0);
        assert_eq!(trained(1), alone, "{transfer:?}");
        assert_eq!(trained(2), alone, "{transfer:?}");
    }
}

#[test]
fn sharing_documents_leaves_the_loss_of_a_batch_unchanged() {
    let oracle = Oracle::load();
    // Four pairs over four documents: a batch encodes four documents where one by one would encode eight.
    let pairs: Vec<PairExample> = [(0, 1, 1.0), (1, 2, 0.0), (2, 3, 0.5), (3, 0, 1.0)]
        .into_iter()
        .map(|(a, b, y)| PairExample { a, b, target: 0, y, weight: 1.0 + y })
        .collect();
    let device = Default::default();
    let task = RelativeTask::new(&oracle.encoder, &oracle.examples, &pairs, &pairs, false, &device);
    let model = oracle.relative_model("final");
    let loss = |examples: &[usize]| f64::from(task.loss(&model, examples, 0).sum.into_scalar());
    let apart: f64 = (0..4).map(|i| loss(&[i])).sum();
    let together = loss(&[0, 1, 2, 3]);
    assert!((together - apart).abs() < 1e-5 * apart, "{together} {apart}");
    let documents: usize = (0..4).map(|d| oracle.examples.ids(d).len()).sum();
    assert_eq!(task.batch_tokens(&[0, 1, 2, 3]), documents);
    assert_eq!((0..4).map(|i| task.batch_tokens(&[i])).sum::<usize>(), 2 * documents);
}

#[test]
fn swapping_a_pair_flips_the_logit_exactly() {
    let oracle = Oracle::load();
    let model = oracle.relative_model("final");
    let rows: Vec<&[u32]> = (0..6).map(|d| oracle.examples.ids(d)).collect();
    let pooled = oracle.encoder.embed(&rows, &[&model.adapter], &Default::default());
    let logits = |pairs: &[(usize, usize, usize)]| values(model.logits(pooled.clone(), pairs).inner());
    let forward = logits(&[(0, 4, 0), (3, 1, 0), (4, 2, 0)]);
    let swapped: Vec<f32> = logits(&[(4, 0, 0), (1, 3, 0), (2, 4, 0)]).into_iter().map(|x| -x).collect();
    assert_eq!(forward, swapped);
}

fn stage_2(kind: &str, transfer: Transfer) {
    let oracle = Oracle::load();
    let device = Default::default();
    let (task, mut model) = oracle.stage_2(transfer, &device);
    if matches!(transfer, Transfer::Scratch | Transfer::Stacked) {
        model.adapter = Some(oracle.adapter(&oracle.stage2, &format!("{kind}.init")));
    }
    let name = |tensor: &str| format!("{kind}.init.head.{tensor}");
    model.heads[0] = ScoreHead {
        hidden_weight: param(&oracle.stage2, &name("0.weight")),
        hidden_bias: param(&oracle.stage2, &name("0.bias")),
        output_weight: param(&oracle.stage2, &name("2.weight")),
        output_bias: param(&oracle.stage2, &name("2.bias")),
    };
    let training =
        training(6, oracle.number("stage2", "lr"), oracle.number("stage2", "weight_decay"), Monitor::ValMae);
    let plan = FitPlan::new("absolute", &training, 1);
    let mut losses = Losses::default();
    fit(&task, model, &plan, &mut losses).unwrap();
    let expected: BTreeMap<String, Vec<f64>> =
        serde_json::from_value(oracle.expected["stage2"]["losses"].clone()).unwrap();
    assert_losses(&losses.0, &expected[kind], kind);
}

#[test]
fn stage_2_losses_baseline() {
    stage_2("baseline", Transfer::Scratch);
}

#[test]
fn stage_2_losses_warm_start() {
    stage_2("warm_start", Transfer::WarmStart { train_adapter: true });
}

#[test]
fn stage_2_losses_stacked() {
    stage_2("stacked", Transfer::Stacked);
}

#[test]
fn stage_2_losses_fusion() {
    stage_2("fusion", Transfer::Fusion { reuse: true, train_adapter: true });
}
