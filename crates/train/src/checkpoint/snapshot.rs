//! A module and its optimiser as named tensors on the host, and back.

use std::collections::BTreeMap;

use burn::module::{AutodiffModule, Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::record::AdaptorRecord;
use burn::optim::{AdamW, AdamWState, AdaptiveMomentumState, Optimizer};
use burn::tensor::{DType, Tensor, TensorData, backend::Backend};
use pair2score_scorer::StoredTensor;

use crate::backend::TrainBackend;

/// Tensors by name.
pub(crate) type Tensors = BTreeMap<String, StoredTensor>;
/// What burn's AdamW remembers of each parameter.
pub(crate) type AdamWRecords<B, M> = <OptimizerAdaptor<AdamW, M, B> as Optimizer<M, B>>::Record;

/// The path to the parameter that a walk through a module has come to: `layers.0.q.a`.
///
/// burn names each module as the walk enters and leaves it; containers like `Option` add nothing.
#[derive(Debug, Default)]
struct ParameterPath(Vec<String>);

impl ParameterPath {
    fn name(&self, prefix: &str) -> String {
        format!("{prefix}.{}", self.0.join("."))
    }
}

/// Adds the parameters of a module to `tensors`, named `prefix.path`.
pub(crate) fn take_parameters<B: Backend, M: Module<B>>(module: &M, prefix: &str, tensors: &mut Tensors) {
    struct Taker<'a> {
        path: ParameterPath,
        prefix: &'a str,
        tensors: &'a mut Tensors,
    }
    impl<B: Backend> ModuleVisitor<B> for Taker<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.0.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.0.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            self.tensors.insert(self.path.name(self.prefix), StoredTensor::from_tensor(param.val()));
        }
    }
    module.visit(&mut Taker { path: ParameterPath::default(), prefix, tensors });
}

/// Gives a module the parameters that [`take_parameters`] took; ids and trainability stay.
///
/// # Errors
/// Names the first tensor that is missing or has another shape.
pub(crate) fn put_parameters<B: Backend, M: Module<B>>(
    module: M,
    prefix: &str,
    tensors: &Tensors,
    device: &B::Device,
) -> Result<M, String> {
    struct Putter<'a, B: Backend> {
        path: ParameterPath,
        prefix: &'a str,
        tensors: &'a Tensors,
        device: &'a B::Device,
        problem: Option<String>,
    }
    impl<B: Backend> ModuleMapper<B> for Putter<'_, B> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.0.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.0.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
            let name = self.path.name(self.prefix);
            match find(self.tensors, &name, param.shape().dims::<D>(), self.device) {
                Ok(tensor) => param.map(|old| tensor.set_require_grad(old.is_require_grad())),
                Err(problem) => {
                    self.problem.get_or_insert(problem);
                    param
                }
            }
        }
    }
    let mut putter = Putter { path: ParameterPath::default(), prefix, tensors, device, problem: None };
    let module = module.map(&mut putter);
    putter.problem.map_or(Ok(module), Err)
}

/// Both moments of every parameter that has some, and how many updates it had.
pub(crate) fn take_moments<B: TrainBackend, M: AutodiffModule<B>>(
    module: &M,
    records: AdamWRecords<B, M>,
    tensors: &mut Tensors,
) -> BTreeMap<String, usize> {
    struct Taker<'a, B: TrainBackend, M: AutodiffModule<B>> {
        path: ParameterPath,
        records: AdamWRecords<B, M>,
        tensors: &'a mut Tensors,
        updates: BTreeMap<String, usize>,
    }
    impl<B: TrainBackend, M: AutodiffModule<B>> ModuleVisitor<B> for Taker<'_, B, M> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.0.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.0.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            let Some(record) = self.records.remove(&param.id) else { return };
            let momentum = record.into_state::<D>().momentum;
            self.updates.insert(self.path.0.join("."), momentum.time);
            for (moment, prefix) in [(momentum.moment_1, MOMENT_1), (momentum.moment_2, MOMENT_2)] {
                self.tensors.insert(self.path.name(prefix), StoredTensor::from_tensor(moment));
            }
        }
    }
    let mut taker =
        Taker::<B, M> { path: ParameterPath::default(), records, tensors, updates: BTreeMap::new() };
    module.visit(&mut taker);
    taker.updates
}

/// The records that [`take_moments`] took, for a module with ids of its own.
///
/// # Errors
/// Names the first tensor that is missing or has another shape.
pub(crate) fn put_moments<B: TrainBackend, M: AutodiffModule<B>>(
    module: &M,
    updates: &BTreeMap<String, usize>,
    tensors: &Tensors,
    device: &B::Device,
) -> Result<AdamWRecords<B, M>, String> {
    struct Putter<'a, B: TrainBackend, M: AutodiffModule<B>> {
        path: ParameterPath,
        updates: &'a BTreeMap<String, usize>,
        tensors: &'a Tensors,
        device: &'a B::Device,
        records: Result<AdamWRecords<B, M>, String>,
    }
    impl<B: TrainBackend, M: AutodiffModule<B>> ModuleVisitor<B> for Putter<'_, B, M> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.0.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.0.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            let Some(&time) = self.updates.get(&self.path.0.join(".")) else { return };
            let moment = |prefix| {
                let shape = param.shape().dims::<D>();
                find::<B::InnerBackend, D>(self.tensors, &self.path.name(prefix), shape, self.device)
            };
            let state = moment(MOMENT_1).and_then(|moment_1| {
                let momentum = AdaptiveMomentumState::new(time, moment_1, moment(MOMENT_2)?);
                Ok(AdaptorRecord::from_state::<D>(AdamWState::new(momentum)))
            });
            match (state, &mut self.records) {
                (Ok(state), Ok(records)) => {
                    records.insert(param.id, state);
                }
                (Err(problem), records @ Ok(_)) => *records = Err(problem),
                (_, Err(_)) => {}
            }
        }
    }
    let mut putter = Putter::<B, M> {
        path: ParameterPath::default(),
        updates,
        tensors,
        device,
        records: Ok(Default::default()),
    };
    module.visit(&mut putter);
    putter.records
}

const MOMENT_1: &str = "moment_1";
const MOMENT_2: &str = "moment_2";

fn find<B: Backend, const D: usize>(
    tensors: &Tensors,
    name: &str,
    shape: [usize; D],
    device: &B::Device,
) -> Result<Tensor<B, D>, String> {
    let tensor = tensors.get(name).ok_or_else(|| format!("has no tensor {name}"))?;
    if tensor.shape != shape {
        return Err(format!("tensor {name} has shape {:?}, expected {shape:?}", tensor.shape));
    }
    Ok(Tensor::from_data(TensorData::new(tensor.values.clone(), shape), (device, DType::F32)))
}
