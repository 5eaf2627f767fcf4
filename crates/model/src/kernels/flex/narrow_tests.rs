//! Products of numbers narrower than f32 against sums in f64, in all bodies that this machine can run.

use burn::tensor::bf16;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::bf16::Weight;
use super::blocks::Packed;
use super::integers::{self, simd128};
use super::vectors::EighthBit;
use crate::packed::BLOCK;

/// Rows, inputs and outputs: less than a tile, tiles and a rest, several tasks.
const SIZES: [[usize; 3]; 4] = [[1, 32, 1], [7, 96, 33], [6, 64, 32], [205, 160, 130]];

type Body<'a> = (&'a str, Box<dyn Fn(&[f32], Packed<'_>) -> Vec<f32>>);
type Bf16Body = (&'static str, fn(&[f32], Weight<'_>) -> Vec<f32>);

fn packed_bodies() -> Vec<Body<'static>> {
    let mut bodies: Vec<Body<'_>> =
        vec![("f32", Box::new(super::packed::in_f32)), ("pairs", Box::new(simd128::of_pairs))];
    for (name, eighth_bit) in [
        ("fours with a sign", EighthBit::Sign),
        ("fours without a sign", EighthBit::Value),
        ("fours of 7 bits", EighthBit::Unknown),
    ] {
        let body = move |x: &[f32], weight: Packed<'_>| simd128::of_fours(x, weight, eighth_bit);
        bodies.push((name, Box::new(body)));
    }
    #[cfg(target_arch = "x86_64")]
    if integers::vnni::avx512::are_fast() {
        bodies.push(("VNNI", Box::new(integers::vnni::avx512::projection)));
    }
    #[cfg(target_arch = "x86_64")]
    if integers::vnni::avx::are_fast() {
        bodies.push(("AVX-VNNI", Box::new(integers::vnni::avx::projection)));
    }
    #[cfg(target_arch = "x86_64")]
    if integers::avx2::are_fast() {
        bodies.push(("AVX2", Box::new(integers::avx2::projection)));
    }
    #[cfg(target_arch = "aarch64")]
    if integers::arm::are_fast() {
        bodies.push(("Arm", Box::new(integers::arm::projection)));
    }
    bodies
}

fn bf16_bodies() -> Vec<Bf16Body> {
    let mut bodies: Vec<Bf16Body> = vec![("widened", super::bf16::widened)];
    #[cfg(target_arch = "x86_64")]
    if super::bf16::avx512::are_fast() {
        bodies.push(("AVX-512", super::bf16::avx512::product));
    }
    #[cfg(target_arch = "aarch64")]
    if super::bf16::arm::are_fast() {
        bodies.push(("Arm", super::bf16::arm::product));
    }
    bodies
}

/// Holds an emulated processor to the instructions that it is said to have (scripts/arm.sh).
#[test]
fn what_should_be_tested_is() {
    let Ok(name) = std::env::var("PAIR2SCORE_TESTED_BODY") else { return };
    assert!(packed_bodies().iter().any(|(body, _)| *body == name), "integers");
    assert!(bf16_bodies().iter().any(|(body, _)| *body == name), "bf16");
}

/// Weights of any 8 bits and scales of any size.
fn weights(rng: &mut impl Rng, n: usize) -> (Vec<[i8; BLOCK]>, Vec<f32>) {
    let values = (0..n / BLOCK).map(|_| std::array::from_fn(|_| rng.random_range(-127..=127)));
    let values: Vec<_> = values.collect();
    let scales = values.iter().map(|_| rng.random_range(1e-4_f32..1e-2)).collect();
    (values, scales)
}

/// For each row of `x` and of the weight the sum of the products, and of their magnitudes.
fn sums(
    x: &[f32],
    weight: impl Fn(usize, usize) -> f64,
    [rows, inputs, outputs]: [usize; 3],
) -> Vec<[f64; 2]> {
    let products = |row: usize, output: usize| {
        (0..inputs)
            .map(move |i| (row * inputs + i, output, i))
            .map(|(at, output, i)| f64::from(x[at]) * weight(output, i))
    };
    let cells = (0..rows).flat_map(|row| (0..outputs).map(move |output| (row, output)));
    cells
        .map(|(row, output)| [products(row, output).sum(), products(row, output).map(f64::abs).sum()])
        .collect()
}

#[test]
fn activations_that_are_integers_lose_nothing() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for [rows, inputs, outputs] in SIZES {
        // Each block has its own power of two, and its largest number is 127 of them.
        let mut x = Vec::new();
        for _ in 0..rows * inputs / BLOCK {
            let unit = (rng.random_range(-20..20) as f32).exp2();
            let largest = rng.random_range(0..BLOCK);
            x.extend(
                (0..BLOCK)
                    .map(|i| if i == largest { -127 } else { rng.random_range(-127..=127) } as f32 * unit),
            );
        }
        let (values, scales) = weights(&mut rng, outputs * inputs);
        let weight = Packed { values: &values, scales: &scales, blocks: inputs / BLOCK };
        let expected = sums(
            &x,
            |output, i| {
                let block = output * weight.blocks + i / BLOCK;
                f64::from(values[block][i % BLOCK]) * f64::from(scales[block])
            },
            [rows, inputs, outputs],
        );
        for (body, run) in packed_bodies() {
            let actual = run(&x, weight);
            assert_eq!(actual.len(), expected.len());
            for (actual, [expected, size]) in actual.iter().zip(&expected) {
                // A few roundings of f32 for each block.
                assert!((f64::from(*actual) - expected).abs() <= 1e-6 * size, "{body}: {actual} {expected}");
            }
        }
    }
}

#[test]
fn activations_are_rounded_by_half_a_unit_of_their_block() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let [rows, inputs, outputs] = SIZES[1];
    // One number in a row is a thousand times the others, as activations of language models have them, and one block is
    // zero, one too small for a scale.
    let mut x: Vec<f32> = (0..rows * inputs).map(|_| rng.random_range(-1.0..1.0)).collect();
    x.chunks_exact_mut(inputs).for_each(|row| row[5] *= 1000.0);
    x[inputs..][..BLOCK].fill(0.0);
    x[inputs + BLOCK..][..BLOCK].fill(1e-39);
    let (values, scales) = weights(&mut rng, outputs * inputs);
    let weight = Packed { values: &values, scales: &scales, blocks: inputs / BLOCK };
    let unpacked = |output: usize, i: usize| {
        let block = output * weight.blocks + i / BLOCK;
        f64::from(values[block][i % BLOCK]) * f64::from(scales[block])
    };
    let halves: Vec<f32> = x
        .chunks_exact(BLOCK)
        .flat_map(|block| [block.iter().fold(0.0_f32, |largest, x| largest.max(x.abs())) / 254.0; BLOCK])
        .collect();
    let exact = sums(&x, unpacked, [rows, inputs, outputs]);
    let allowed = sums(&halves, unpacked, [rows, inputs, outputs]);
    for (body, run) in packed_bodies() {
        for ((actual, [exact, size]), [_, allowed]) in run(&x, weight).iter().zip(&exact).zip(&allowed) {
            let error = (f64::from(*actual) - exact).abs();
            assert!(error <= allowed * 1.0001 + 1e-6 * size, "{body}: {actual}, exactly {exact}");
        }
    }
}

#[test]
fn every_body_multiplies_the_same_integers() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for [rows, inputs, outputs] in SIZES {
        let x: Vec<f32> = (0..rows * inputs).map(|_| rng.random_range(-1.0_f32..1.0).powi(3)).collect();
        let (mut values, scales) = weights(&mut rng, outputs * inputs);
        // What a bundle of others may have.
        values[0][..2].fill(-128);
        let weight = Packed { values: &values, scales: &scales, blocks: inputs / BLOCK };
        let rounded = |block: &[f32]| -> (Vec<i32>, f32) {
            let largest = block.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
            let factor = 127.0 / largest;
            (block.iter().map(|x| (x * factor).round_ties_even() as i32).collect(), largest / 127.0)
        };
        let rounded: Vec<_> = x.chunks_exact(BLOCK).map(rounded).collect();
        // Blocks one after the other, with one rounding for each or with two.
        let in_order = |add: fn(f32, f32, f32) -> f32| -> Vec<f32> {
            let of_rows = rounded.chunks_exact(weight.blocks);
            let products = of_rows.flat_map(|row| (0..outputs).map(move |output| (row, output)));
            let sum = |(row, output): (&[(Vec<i32>, f32)], usize)| {
                (row.iter().zip(output * weight.blocks..)).fold(0.0, |sum, ((numbers, scale), block)| {
                    let count: i32 = numbers.iter().zip(&values[block]).map(|(a, b)| a * i32::from(*b)).sum();
                    add(count as f32, scale * scales[block], sum)
                })
            };
            products.map(sum).collect()
        };
        let once = in_order(|count, scale, sum| count.mul_add(scale, sum));
        let twice = in_order(|count, scale, sum| sum + count * scale);
        for (body, run) in packed_bodies().into_iter().filter(|(body, _)| *body != "f32") {
            let of_pages = body == "pairs" || body.starts_with("fours");
            let expected = if of_pages { &twice } else { &once };
            assert_eq!(&run(&x, weight), expected, "{body}");
        }
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    let (values, scales) = weights(&mut ChaCha8Rng::seed_from_u64(3), 64);
    let weight = Packed { values: &values, scales: &scales, blocks: 1 };
    for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut x = [1.0; 2 * BLOCK];
        x[BLOCK + 3] = bad;
        for (body, run) in packed_bodies() {
            let output = run(&x, weight);
            assert!(output[..2].iter().all(|x| x.is_finite()), "{body}: {output:?}");
            assert!(output[2..].iter().all(|x| !x.is_finite()), "{body}: {bad} became {output:?}");
        }
    }
}

#[test]
fn products_in_bf16_are_those_of_rounded_numbers() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for [rows, inputs, outputs] in SIZES.into_iter().chain([[5, 1, 1], [9, 37, 45], [13, 65, 70]]) {
        let x: Vec<f32> = (0..rows * inputs).map(|_| rng.random_range(-1.0..1.0)).collect();
        let rounded: Vec<f32> = x.iter().map(|&x| bf16::from_f32(x).to_f32()).collect();
        let weight: Vec<bf16> =
            (0..outputs * inputs).map(|_| bf16::from_f32(rng.random_range(-1.0..1.0))).collect();
        for transposed in [true, false] {
            // The weight's rows are the outputs, or the inputs.
            let n_rows = if transposed { outputs } else { inputs };
            let weight_at = |output: usize, i: usize| {
                let at = if transposed { output * inputs + i } else { i * outputs + output };
                f64::from(weight[at].to_f32())
            };
            let expected = sums(&rounded, weight_at, [rows, inputs, outputs]);
            for (body, run) in bf16_bodies() {
                let actual = run(&x, Weight { values: &weight, rows: n_rows, transposed });
                assert_eq!(actual.len(), expected.len());
                for (actual, [expected, size]) in actual.iter().zip(&expected) {
                    // One rounding of f32 for each product.
                    assert!(
                        (f64::from(*actual) - expected).abs() <= 1e-5 * size,
                        "{body}: {actual} {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_row_that_is_not_finite_in_bf16_leaves_the_others_alone() {
    let weight = [bf16::ONE; 6];
    let output = super::bf16::product(
        &[1.0, 2.0, f32::NAN, 1.0, 3.0, 4.0],
        Weight { values: &weight, rows: 3, transposed: true },
    );
    assert!(output[3..6].iter().all(|x| x.is_nan()));
    assert_eq!([&output[..3], &output[6..]].concat(), [3.0, 3.0, 3.0, 7.0, 7.0, 7.0]);
}
