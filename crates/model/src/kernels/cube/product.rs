//! Products with frozen weights by a strategy of cubek's that somebody named.
//!
//! cubek has many, which differ in the instructions of their tiles (`cmma`, `mma`, none), in how they load and in whether they
//! load ahead, and chooses one by the card and the shape. Whether another is faster on a card can only be measured there:
//! `scripts/gpu_check.sh` times a pass of the model with each. Until then burn's products run, with cubek's own choice.

use std::sync::OnceLock;

use burn::tensor::{Tensor, backend::Backend};
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeRuntime, kernel::into_contiguous};
use cubek::matmul::definition::{MatmulElems, MatmulGlobalElems, MatmulSetupError};
use cubek::matmul::launch::{Strategy, launch_ref};
use cubek::std::InputBinding;

use crate::kernels::composed::{unwrap, wrap};

/// A strategy's name and what makes it.
type Named = (&'static str, fn() -> Strategy);

/// Of each kind those that differ in more than the order of loads.
const STRATEGIES: [Named; 12] = [
    ("auto", || Strategy::Auto),
    ("simple_cyclic_cmma", || Strategy::SimpleCyclicCmma(Default::default())),
    ("simple_cyclic_mma", || Strategy::SimpleCyclicMma(Default::default())),
    ("simple_tma_mma", || Strategy::SimpleTmaMma(Default::default())),
    ("double_cyclic_cmma", || Strategy::DoubleCyclicCmma(Default::default())),
    ("double_cyclic_mma", || Strategy::DoubleCyclicMma(Default::default())),
    ("double_tma_mma", || Strategy::DoubleTmaMma(Default::default())),
    ("ordered_double_mma", || Strategy::OrderedDoubleMma(Default::default())),
    ("specialized_cyclic_mma", || Strategy::SpecializedCyclicMma(Default::default())),
    ("specialized_tma_mma", || Strategy::SpecializedTmaMma(Default::default())),
    ("simple_unit", || Strategy::SimpleUnit(Default::default())),
    ("double_unit", || Strategy::DoubleUnit(Default::default())),
];

static CHOSEN: OnceLock<Named> = OnceLock::new();

/// The names that [`choose_product`] knows.
pub fn product_names() -> impl Iterator<Item = &'static str> {
    STRATEGIES.into_iter().map(|(name, _)| name)
}

/// Makes all products with frozen weights of this process use a strategy, to measure it. A card that cannot run it stops the
/// process with the reason.
///
/// # Errors
/// An unknown name, or a second choice.
pub fn choose_product(name: &str) -> Result<(), String> {
    let known = || product_names().collect::<Vec<_>>().join(", ");
    let named = STRATEGIES.into_iter().find(|(other, _)| *other == name);
    let named = named.ok_or_else(|| format!("no product is called {name}; there are {}", known()))?;
    CHOSEN.set(named).map_err(|_| "a product was chosen before".into())
}

/// `left · right`, `[rows, columns]` in the dtype of both: burn's, or by the strategy that was chosen.
///
/// # Panics
/// When the card cannot run the strategy.
pub(super) fn product<B, R>(left: Tensor<B, 2>, right: Tensor<B, 2>) -> Tensor<B, 2>
where
    B: Backend<FloatTensorPrimitive = CubeTensor<R>>,
    R: CubeRuntime,
{
    let Some((name, strategy)) = CHOSEN.get() else { return left.matmul(right) };
    let product = by(&strategy(), unwrap::<B, 2>(left), unwrap::<B, 2>(right));
    wrap::<B, 2>(product.unwrap_or_else(|error| panic!("this card cannot run the product {name}: {error:?}")))
}

fn by<R: CubeRuntime>(
    strategy: &Strategy,
    left: CubeTensor<R>,
    right: CubeTensor<R>,
) -> Result<CubeTensor<R>, MatmulSetupError> {
    let (left, dtype) = (into_contiguous(left), right.dtype);
    let shape = [left.meta.shape()[0], right.meta.shape()[1]];
    let client = left.client.clone();
    let output = empty_device_contiguous_dtype(client.clone(), left.device.clone(), shape.into(), dtype);
    let mut elements = MatmulElems::from_globals(&MatmulGlobalElems {
        lhs: dtype.into(),
        rhs: dtype.into(),
        out: dtype.into(),
    });
    let [left, right] = [left, right].map(|x| InputBinding::new(x.binding(), dtype.into()));
    launch_ref(strategy, &client, left, right, output.clone().binding(), &mut elements)?;
    Ok(output)
}

#[cfg(all(test, feature = "wgpu", feature = "flex"))]
mod tests {
    use burn::backend::Flex;
    use burn::tensor::Distribution;

    use super::*;
    use crate::kernels::cube_tests::{Wgpu, device};

    /// Those with tiles of units need no instruction for matrices, which software adapters lack.
    #[test]
    fn strategies_give_the_product() {
        let Some(device) = device() else { return };
        for [rows, depth, columns] in [[70, 96, 64], [5, 64, 192]] {
            let random =
                |shape| Tensor::<Flex, 2>::random(shape, Distribution::Normal(0.0, 1.0), &Default::default());
            let (x, weight) = (random([rows, depth]), random([columns, depth]));
            let expected = x.clone().matmul(weight.clone().transpose()).into_data();
            let there = |x: Tensor<Flex, 2>| Tensor::<Wgpu, 2>::from_data(x.into_data(), &device);
            let (x, weight) = (there(x), there(weight).transpose());
            let everywhere = |name: &str| name == "auto" || name.ends_with("unit");
            for (name, strategy) in STRATEGIES.into_iter().filter(|(name, _)| everywhere(name)) {
                let product = by(&strategy(), unwrap(x.clone()), unwrap(weight.clone()));
                let actual = wrap::<Wgpu, 2>(product.expect("it runs everywhere")).into_data();
                for (a, e) in actual.iter::<f32>().zip(expected.iter::<f32>()) {
                    assert!((a - e).abs() <= 1e-4 * (1.0 + e.abs()), "{name}: {a}, expected {e}");
                }
            }
        }
    }

    #[test]
    fn an_unknown_product_is_refused_with_the_names() {
        let error = choose_product("fast").unwrap_err();
        assert!(error.contains("fast; there are auto, simple_cyclic_cmma"), "{error}");
    }
}
