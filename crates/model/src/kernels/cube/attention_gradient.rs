//! Gradients of attention after Dao et al. 2022 (arXiv:2205.14135): the weights are computed again from queries, keys
//! and the saved logarithms of their sums, so no `len × len` matrix is made.
//!
//! With `P` the weights, `dO` the gradient of the output `O` and `m = rowsum(dO · O)`: `dV = Pᵀ dO`,
//! `dS = P · (dO Vᵀ − m)`, `dQ = dS K` and `dK = dSᵀ Q`, where `Q` is scaled, and then everything is rotated back.
//! One kernel adds up over the keys of a query and another over the queries of a key, as Dao 2023 (arXiv:2307.08691)
//! splits the work: nothing is added up in memory by two units, so a run repeats to the last bit.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::{calculate_cube_count_elemwise, prelude::*};

use super::empty_like;
use super::strips::{
    Side, SideLaunch, Sums, SumsLaunch, Tiling, Turns, TurnsLaunch, accumulate, empty_strip, fetch, multiply,
    place, read_rows, weigh, write, write_turned_back, zeros,
};

/// What the gradients are computed from; shapes as in [`SavedAttention`](crate::kernels::SavedAttention).
pub(super) struct Inputs<R: CubeRuntime> {
    pub(super) queries: CubeTensor<R>,
    pub(super) keys: CubeTensor<R>,
    pub(super) values: CubeTensor<R>,
    pub(super) output: CubeTensor<R>,
    pub(super) log_sum: CubeTensor<R>,
    /// With respect to the output.
    pub(super) grad: CubeTensor<R>,
    pub(super) cos: CubeTensor<R>,
    pub(super) sin: CubeTensor<R>,
    /// Of [`cubes`](super::attention::cubes), with the rows of the tiling.
    pub(super) cubes: CubeTensor<R>,
}

/// Writes the gradients with respect to queries, keys and values.
pub(super) fn backward<R: CubeRuntime>(
    inputs: Inputs<R>,
    [grad_queries, grad_keys, grad_values]: [CubeTensor<R>; 3],
    tiling: Tiling,
) {
    let Inputs { queries, keys, values, output, log_sum, grad, cos, sin, cubes } = inputs;
    let client = queries.client.clone();
    let means = empty_like(&log_sum);
    let n_means = means.meta.num_elements();
    let units = CubeDim::new(&client, n_means);
    output_means::launch::<R>(
        &client,
        calculate_cube_count_elemwise(&client, n_means, units),
        units,
        grad.clone().into_array_arg(),
        output.into_array_arg(),
        means.clone().into_array_arg(),
        tiling.head_dim,
    );

    let n_cubes = (cubes.meta.num_elements() / 3) as u32;
    let units = CubeDim::new_1d(tiling.units() as u32);
    let scale = (tiling.head_dim as f32).powf(-0.5);
    let side = |turned: &CubeTensor<R>, plain: &CubeTensor<R>| {
        SideLaunch::new(turned.clone().into_array_arg(), plain.clone().into_array_arg())
    };
    let (of_queries, of_keys) = (|| side(&queries, &grad), || side(&keys, &values));
    let turns = || TurnsLaunch::new(cos.clone().into_array_arg(), sin.clone().into_array_arg());
    let sums = || SumsLaunch::new(log_sum.clone().into_array_arg(), means.clone().into_array_arg());
    query_gradient::launch::<R>(
        &client,
        CubeCount::Static(tiling.n_heads as u32, n_cubes, 1),
        units,
        tiling.vector(),
        of_queries(),
        of_keys(),
        turns(),
        sums(),
        cubes.clone().into_array_arg(),
        grad_queries.into_array_arg(),
        scale,
        tiling,
    );
    key_gradient::launch::<R>(
        &client,
        CubeCount::Static(tiling.n_kv_heads as u32, n_cubes, 1),
        units,
        tiling.vector(),
        of_queries(),
        of_keys(),
        turns(),
        sums(),
        cubes.into_array_arg(),
        grad_keys.into_array_arg(),
        grad_values.into_array_arg(),
        scale,
        tiling,
    );
}

#[cube(launch)]
fn output_means(grad: &Array<f32>, output: &Array<f32>, means: &mut Array<f32>, #[comptime] head_dim: usize) {
    if ABSOLUTE_POS < means.len() {
        let first = ABSOLUTE_POS * head_dim;
        let mut sum = 0.0_f32;
        for i in 0..head_dim {
            sum += grad[first + i] * output[first + i];
        }
        means[ABSOLUTE_POS] = sum;
    }
}

#[cube(launch)]
fn query_gradient<N: Size>(
    queries: &Side,
    keys: &Side,
    turns: &Turns,
    sums: &Sums,
    cubes: &Array<i32>,
    grad_queries: &mut Array<f32>,
    scale: f32,
    #[comptime] tiling: Tiling,
) {
    let head = CUBE_POS_X as usize;
    let kv_head = head / comptime!(tiling.group());
    let (n_heads, n_kv_heads) = comptime!((tiling.n_heads, tiling.n_kv_heads));
    let place = place(cubes, tiling);
    let rows = read_rows::<N>(queries, turns, &place, head, scale, n_heads, tiling);
    let mut strip = empty_strip::<N>(tiling);
    let mut gradient = zeros::<N>(tiling);
    // Later keys are seen by no query of the cube.
    let end = min(place.end, place.first + comptime!(tiling.rows));
    for start in range_stepped(place.document, end, comptime!(tiling.strip)) {
        fetch(&mut strip, keys, turns, &place, start, kv_head, 1.0, n_kv_heads, tiling);
        sync_cube();
        multiply(&mut strip, &rows, &place, tiling);
        sync_cube();
        weigh(&mut strip, sums, &place, start, head, false, tiling);
        sync_cube();
        accumulate(&mut gradient, &strip.slopes, &strip.turned, &place, tiling);
        sync_cube();
    }
    write_turned_back(&gradient, grad_queries, turns, &place, head, scale, n_heads, tiling);
}

#[cube(launch)]
fn key_gradient<N: Size>(
    queries: &Side,
    keys: &Side,
    turns: &Turns,
    sums: &Sums,
    cubes: &Array<i32>,
    grad_keys: &mut Array<f32>,
    grad_values: &mut Array<f32>,
    scale: f32,
    #[comptime] tiling: Tiling,
) {
    let kv_head = CUBE_POS_X as usize;
    let (n_heads, n_kv_heads) = comptime!((tiling.n_heads, tiling.n_kv_heads));
    let place = place(cubes, tiling);
    let rows = read_rows::<N>(keys, turns, &place, kv_head, 1.0, n_kv_heads, tiling);
    let mut strip = empty_strip::<N>(tiling);
    let mut of_key = zeros::<N>(tiling);
    let mut of_value = zeros::<N>(tiling);
    for member in 0..comptime!(tiling.group()) {
        let head = kv_head * comptime!(tiling.group()) + member;
        // Earlier queries see no key of the cube.
        for start in range_stepped(place.first, place.end, comptime!(tiling.strip)) {
            fetch(&mut strip, queries, turns, &place, start, head, scale, n_heads, tiling);
            sync_cube();
            multiply(&mut strip, &rows, &place, tiling);
            sync_cube();
            weigh(&mut strip, sums, &place, start, head, true, tiling);
            sync_cube();
            accumulate(&mut of_key, &strip.slopes, &strip.turned, &place, tiling);
            accumulate(&mut of_value, &strip.scores, &strip.plain, &place, tiling);
            sync_cube();
        }
    }
    write_turned_back(&of_key, grad_keys, turns, &place, kv_head, 1.0, n_kv_heads, tiling);
    write(&of_value, grad_values, &place, kv_head, n_kv_heads, tiling);
}
