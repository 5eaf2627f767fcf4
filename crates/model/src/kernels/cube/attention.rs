//! Attention in one pass over the keys, after Dao et al. 2022 (arXiv:2205.14135): no `len × len` matrix is made.
//!
//! A unit has a query and keeps its running softmax in registers; the units of a cube are neighbours, and the keys and
//! values they all need pass through shared memory, rotated on the way. Nothing is computed above the diagonal of the
//! cube's queries.

use std::ops::Range;

use burn::tensor::TensorData;
use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Queries of a cube.
pub(super) const UNITS: usize = 64;
/// Floats of shared memory that a cube may have in all: WebGPU promises 16 KiB.
pub(super) const SHARED: usize = 4096;
/// Below every score.
const LOWEST: f32 = -1e30;

/// What each cube with that many rows does, three numbers: the first slot of its document, its first row, a slot too, and
/// the end of the document.
pub(super) fn cubes(spans: &[Range<usize>], rows: usize) -> TensorData {
    let cubes = spans.iter().flat_map(|span| {
        let firsts = span.clone().step_by(rows);
        firsts.flat_map(|first| [span.start, first, span.end].map(|slot| slot as i32))
    });
    let cubes: Vec<i32> = cubes.collect();
    let n = cubes.len();
    TensorData::new(cubes, [n])
}

/// Writes the output and the logarithm of the softmax's denominator; see [`Kernels`](super::Kernels) for the shapes.
/// `rotary` are cosines and sines, `heads` the numbers of query and of key heads.
pub(super) fn forward<R: CubeRuntime>(
    [queries, keys, values]: [CubeTensor<R>; 3],
    [cos, sin]: [CubeTensor<R>; 2],
    cubes: CubeTensor<R>,
    [output, log_sum]: [CubeTensor<R>; 2],
    [n_heads, n_kv_heads]: [usize; 2],
    head_dim: usize,
) {
    attention_rows::launch::<R>(
        &queries.client.clone(),
        CubeCount::Static(n_heads as u32, (cubes.meta.num_elements() / 3) as u32, 1),
        CubeDim::new_1d(UNITS as u32),
        queries.into_array_arg(),
        keys.into_array_arg(),
        values.into_array_arg(),
        cos.into_array_arg(),
        sin.into_array_arg(),
        cubes.into_array_arg(),
        output.into_array_arg(),
        log_sum.into_array_arg(),
        (head_dim as f32).powf(-0.5),
        n_heads,
        n_kv_heads,
        head_dim,
        (SHARED / (2 * head_dim)).clamp(1, UNITS),
    );
}

#[cube(launch)]
fn attention_rows(
    queries: &Array<f32>,
    keys: &Array<f32>,
    values: &Array<f32>,
    cos: &Array<f32>,
    sin: &Array<f32>,
    cubes: &Array<i32>,
    output: &mut Array<f32>,
    log_sum: &mut Array<f32>,
    scale: f32,
    #[comptime] n_heads: usize,
    #[comptime] n_kv_heads: usize,
    #[comptime] head_dim: usize,
    #[comptime] strip: usize,
) {
    let half = comptime!(head_dim / 2);
    let unit = UNIT_POS as usize;
    let head = CUBE_POS_X as usize;
    let kv_head = head / comptime!(n_heads / n_kv_heads);
    let cube = CUBE_POS_Y as usize * 3;
    let document = cubes[cube] as usize;
    let first = cubes[cube + 1] as usize;
    let end = min(cubes[cube + 2] as usize, first + comptime!(UNITS));
    // Units beyond the last query do its work again and keep nothing.
    let slot = min(first + unit, end - 1);

    let mut query = Array::<f32>::new(head_dim);
    let mut sums = Array::<f32>::new(head_dim);
    let place = (slot * n_heads + head) * head_dim;
    #[unroll]
    for i in 0..half {
        let (a, b) = (queries[place + i] * scale, queries[place + half + i] * scale);
        let angle = (slot - document) * half + i;
        query[i] = a * cos[angle] - b * sin[angle];
        query[half + i] = b * cos[angle] + a * sin[angle];
        sums[i] = 0.0;
        sums[half + i] = 0.0;
    }
    let mut largest = LOWEST.runtime();
    let mut total = 0.0_f32;

    let mut strip_keys = SharedMemory::<f32>::new(comptime!(strip * head_dim));
    let mut strip_values = SharedMemory::<f32>::new(comptime!(strip * head_dim));
    for start in range_stepped(document, end, strip) {
        for pair in range_stepped(unit, comptime!(strip * head_dim / 2), comptime!(UNITS)) {
            let (row, i) = (pair / half, pair % half);
            // Beyond the end the last key comes again; no query looks at it there.
            let key = min(start + row, end - 1);
            let place = (key * n_kv_heads + kv_head) * head_dim + i;
            let angle = (key - document) * half + i;
            let (a, b) = (keys[place], keys[place + half]);
            let target = row * head_dim + i;
            strip_keys[target] = a * cos[angle] - b * sin[angle];
            strip_keys[target + half] = b * cos[angle] + a * sin[angle];
            strip_values[target] = values[place];
            strip_values[target + half] = values[place + half];
        }
        sync_cube();
        let seen = min(comptime!(strip).runtime(), max(slot + 1, start) - start);
        for row in 0..seen {
            let mut score = 0.0_f32;
            #[unroll]
            for i in 0..head_dim {
                score += query[i] * strip_keys[row * head_dim + i];
            }
            if score > largest {
                let rescale = f32::exp(largest - score);
                total *= rescale;
                #[unroll]
                for i in 0..head_dim {
                    sums[i] *= rescale;
                }
                largest = score;
            }
            let weight = f32::exp(score - largest);
            total += weight;
            #[unroll]
            for i in 0..head_dim {
                sums[i] += weight * strip_values[row * head_dim + i];
            }
        }
        sync_cube();
    }

    if first + unit < end {
        #[unroll]
        for i in 0..head_dim {
            output[place + i] = sums[i] / total;
        }
        log_sum[slot * n_heads + head] = largest + f32::ln(total);
    }
}
