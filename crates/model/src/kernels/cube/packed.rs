//! Products with packed weights: burn's own reads them whole into f32 before it multiplies.
//!
//! A tile of the output per cube, in the usual way: strips of both operands go through shared memory, where the
//! weight's are unpacked, and a unit sums a square of the tile in registers.

use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::empty;
use crate::packed::BLOCK;

/// Rows and columns of a tile.
const TILE: usize = 64;
/// Columns of both operands that pass at a time; divides a block.
const STRIP: usize = 16;
/// Rows and columns of a unit's square.
const SQUARE: usize = 4;
/// Units along a side of a tile.
const SIDE: usize = TILE / SQUARE;
/// Packed weights in a word.
const WORD: usize = 4;

/// `x Wᵀ`, `[rows, outputs]`.
pub(super) fn projection<R: CubeRuntime>(x: CubeTensor<R>, weight: &CubeTensor<R>) -> CubeTensor<R> {
    let [outputs, inputs] = [0, 1].map(|axis| weight.meta.shape()[axis]);
    let (values, scales) = weight.quantized_handles().expect("the weight is packed");
    let x = into_contiguous(x);
    let rows = x.meta.num_elements() / inputs;
    let output = empty(&x, [rows, outputs]);
    packed_product::launch::<R>(
        &x.client.clone(),
        CubeCount::Static(outputs.div_ceil(TILE) as u32, rows.div_ceil(TILE) as u32, 1),
        CubeDim::new_1d((SIDE * SIDE) as u32),
        x.into_array_arg(),
        values.into_tensor_arg(),
        scales.into_tensor_arg(),
        output.clone().into_array_arg(),
        rows,
        inputs,
        outputs,
    );
    output
}

#[cube(launch)]
fn packed_product(
    x: &Array<f32>,
    values: &Tensor<u32>,
    scales: &Tensor<f32>,
    output: &mut Array<f32>,
    rows: usize,
    #[comptime] inputs: usize,
    #[comptime] outputs: usize,
) {
    let unit = UNIT_POS as usize;
    let first_row = CUBE_POS_Y as usize * comptime!(TILE);
    let first_column = CUBE_POS_X as usize * comptime!(TILE);
    // Strips lie column by column, so that a unit's square reads neighbours.
    let mut left = SharedMemory::<f32>::new(comptime!(TILE * STRIP));
    let mut right = SharedMemory::<f32>::new(comptime!(TILE * STRIP));
    let mut sums = Array::<f32>::new(comptime!(SQUARE * SQUARE));
    #[unroll]
    for i in 0..comptime!(SQUARE * SQUARE) {
        sums[i] = 0.0;
    }

    // A unit fetches one word of weights of a strip and as many inputs. Beyond the last row or column it fetches that
    // one again, for sums that nobody keeps.
    let line = unit / comptime!(STRIP / WORD);
    let place = unit % comptime!(STRIP / WORD) * comptime!(WORD);
    let row = min(first_row + line, rows - 1);
    let column = min(first_column + line, comptime!(outputs - 1));
    let (values_stride, scales_stride) = (values.stride(0), scales.stride(0));
    let square_row = unit / comptime!(SIDE) * comptime!(SQUARE);
    let square_column = unit % comptime!(SIDE) * comptime!(SQUARE);

    for start in range_stepped(0, inputs, comptime!(STRIP)) {
        let input = start + place;
        let word = values[column * values_stride + input / comptime!(WORD)];
        let scale = scales[column * scales_stride + input / comptime!(BLOCK)];
        #[unroll]
        for i in 0..comptime!(WORD) {
            let byte = (word >> comptime!(8 * i as u32)) & 0xff;
            // Two's complement in the lowest byte.
            let q = i32::cast_from(byte) - i32::cast_from((byte >> 7) << 8);
            left[(place + i) * comptime!(TILE) + line] = x[row * inputs + input + i];
            right[(place + i) * comptime!(TILE) + line] = f32::cast_from(q) * scale;
        }
        sync_cube();
        for k in 0..comptime!(STRIP) {
            #[unroll]
            for i in 0..comptime!(SQUARE) {
                let l = left[k * comptime!(TILE) + square_row + i];
                #[unroll]
                for j in 0..comptime!(SQUARE) {
                    sums[i * comptime!(SQUARE) + j] += l * right[k * comptime!(TILE) + square_column + j];
                }
            }
        }
        sync_cube();
    }

    #[unroll]
    for i in 0..comptime!(SQUARE) {
        #[unroll]
        for j in 0..comptime!(SQUARE) {
            let (row, column) = (first_row + square_row + i, first_column + square_column + j);
            if row < rows && column < outputs {
                output[row * outputs + column] = sums[i * comptime!(SQUARE) + j];
            }
        }
    }
}
