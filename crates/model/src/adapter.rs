//! Low-rank adapters (LoRA, Hu et al. 2021, arXiv:2106.09685) in activation space.
//!
//! `y = W x + scale · B A dropout(x)` with `scale = alpha / rank`. An adapter is a module of its own beside
//! the frozen backbone: training sees only it, several can be stacked in one pass, and one backbone serves
//! a scorer that needs two.

use burn::{
    module::{Module, Param},
    tensor::{DType, Tensor, backend::Backend},
};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::config::LlamaConfig;
use crate::dtype::as_f32;
use crate::init::uniform;
use crate::kernels::{self, Dropout, Kernels};
use crate::projection::Projection;

/// What a fresh adapter looks like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoraConfig {
    /// Rank of the update, at least 1.
    pub rank: usize,
    /// The update is multiplied by `alpha / rank`.
    pub alpha: f64,
    /// Share of the adapter's input elements set to 0 in training, in `[0, 1)`.
    pub dropout: f64,
    /// Where the adapter sits; not empty.
    pub targets: Vec<Projection>,
}

/// The two factors on one projection.
#[derive(Module, Debug)]
pub struct LoraFactors<B: Backend> {
    /// `[rank, in]`
    pub a: Param<Tensor<B, 2>>,
    /// `[out, rank]`
    pub b: Param<Tensor<B, 2>>,
    /// `alpha / rank`
    pub scale: f64,
    /// In `[0, 1)`, in training.
    pub dropout: f64,
}

impl<B: Backend> LoraFactors<B> {
    /// The update this adapter makes to the weight: `scale · B A`, `[out, in]`, f32.
    pub fn delta(&self) -> Tensor<B, 2> {
        as_f32(self.b.val()).matmul(as_f32(self.a.val())).mul_scalar(self.scale)
    }
}

impl<B: Kernels> LoraFactors<B> {
    /// `base` plus the update of the adapter; dropout only with a seed, which is to say in training.
    ///
    /// # Shapes
    /// - base: `[slots, out]`, f32
    /// - x: `[slots, in]`, f32
    /// - output: `[slots, out]`, f32
    pub fn add_to(&self, base: Tensor<B, 2>, x: Tensor<B, 2>, seed: Option<u64>) -> Tensor<B, 2> {
        let dropout = seed.filter(|_| self.dropout > 0.0);
        let dropout = dropout.map(|seed| Dropout { keep: 1.0 - self.dropout, seed });
        kernels::low_rank(base, x, self.a.val(), self.b.val(), self.scale, dropout)
    }
}

/// Factors of one decoder layer; absent where the adapter does not sit.
#[derive(Module, Debug)]
pub struct LayerAdapter<B: Backend> {
    q: Option<LoraFactors<B>>,
    k: Option<LoraFactors<B>>,
    v: Option<LoraFactors<B>>,
    o: Option<LoraFactors<B>>,
    gate: Option<LoraFactors<B>>,
    up: Option<LoraFactors<B>>,
    down: Option<LoraFactors<B>>,
}

impl<B: Backend> LayerAdapter<B> {
    /// A layer whose factors come from `make`.
    pub fn new(mut make: impl FnMut(Projection) -> Option<LoraFactors<B>>) -> Self {
        Self {
            q: make(Projection::Q),
            k: make(Projection::K),
            v: make(Projection::V),
            o: make(Projection::O),
            gate: make(Projection::Gate),
            up: make(Projection::Up),
            down: make(Projection::Down),
        }
    }

    /// Factors on a projection, if the adapter sits there.
    pub fn get(&self, projection: Projection) -> Option<&LoraFactors<B>> {
        match projection {
            Projection::Q => self.q.as_ref(),
            Projection::K => self.k.as_ref(),
            Projection::V => self.v.as_ref(),
            Projection::O => self.o.as_ref(),
            Projection::Gate => self.gate.as_ref(),
            Projection::Up => self.up.as_ref(),
            Projection::Down => self.down.as_ref(),
        }
    }

    fn factors_mut(&mut self) -> impl Iterator<Item = &mut LoraFactors<B>> {
        [&mut self.q, &mut self.k, &mut self.v, &mut self.o, &mut self.gate, &mut self.up, &mut self.down]
            .into_iter()
            .flatten()
    }
}

/// One adapter over the whole backbone.
#[derive(Module, Debug)]
pub struct Adapter<B: Backend> {
    /// One entry per decoder layer.
    pub layers: Vec<LayerAdapter<B>>,
}

impl<B: Backend> Adapter<B> {
    /// A fresh adapter as PEFT initialises it: `A` Kaiming-uniform with `a = √5`, which is uniform in
    /// `±1/√in`, and `B` zero, so that it changes nothing until it is trained.
    pub fn init(config: &LoraConfig, backbone: &LlamaConfig, rng: &mut impl Rng, device: &B::Device) -> Self {
        let layers = (0..backbone.n_layers)
            .map(|_| {
                LayerAdapter::new(|projection| {
                    config.targets.contains(&projection).then(|| {
                        let (inputs, outputs) = backbone.projection_shape(projection);
                        LoraFactors {
                            a: uniform([config.rank, inputs], inputs, rng, device),
                            b: Param::from_tensor(Tensor::zeros(
                                [outputs, config.rank],
                                (device, DType::F32),
                            )),
                            scale: config.alpha / config.rank as f64,
                            dropout: config.dropout,
                        }
                    })
                })
            })
            .collect();
        Self { layers }
    }

    /// The same adapter with another dropout, in `[0, 1)`.
    pub fn with_dropout(mut self, dropout: f64) -> Self {
        for factors in self.layers.iter_mut().flat_map(LayerAdapter::factors_mut) {
            factors.dropout = dropout;
        }
        self
    }

    /// Projections that carry factors in at least one layer.
    pub fn targets(&self) -> Vec<Projection> {
        let carries = |p: &Projection| self.layers.iter().any(|layer| layer.get(*p).is_some());
        Projection::ALL.into_iter().filter(carries).collect()
    }
}
