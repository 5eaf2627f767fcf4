//! Measures products beside the instructions that they rest on, each instruction in a loop that reads no memory:
//! `cargo test --release -p pair2score-model --lib -- --ignored --nocapture rates`.

use std::arch::x86_64::*;
use std::hint::black_box;
use std::time::Instant;

use burn::tensor::bf16;

use super::bf16::Weight;
use super::blocks::Packed;
use super::matrix::Matrix;
use super::{integers, product};
use crate::packed::BLOCK;

/// A text through the gate of a layer of SmolLM2-135M.
const ROWS: usize = 512;
const INPUTS: usize = 576;
const OUTPUTS: usize = 1536;
/// Sums of a loop: enough that none waits for the one before it.
const SUMS: usize = 12;
/// Passes of a loop.
const PASSES: usize = 1 << 18;

/// A loop over an instruction that adds products to sums: `$add(sum, a, b)`.
macro_rules! on_registers {
    ($name:ident, $features:literal, $zero:expr, $values:expr, $add:expr) => {
        #[target_feature(enable = $features)]
        fn $name() {
            let [a, b] = black_box($values);
            let mut sums = [$zero; SUMS];
            for _ in 0..PASSES {
                for sum in &mut sums {
                    *sum = $add(*sum, a, b);
                }
            }
            black_box(sums);
        }
    };
}

on_registers!(f32_512, "avx512f", _mm512_setzero_ps(), [_mm512_set1_ps(0.5); 2], |sum, a, b| {
    _mm512_fmadd_ps(a, b, sum)
});
on_registers!(f32_256, "avx2,fma", _mm256_setzero_ps(), [_mm256_set1_ps(0.5); 2], |sum, a, b| {
    _mm256_fmadd_ps(a, b, sum)
});
on_registers!(bf16_512, "avx512f,avx512bf16", _mm512_setzero_ps(), [_mm512_set1_ps(0.5); 2], |sum, a, b| {
    _mm512_dpbf16_ps(sum, pulp::bytemuck::cast(a), pulp::bytemuck::cast(b))
});
on_registers!(
    fours_512,
    "avx512f,avx512vnni",
    _mm512_setzero_si512(),
    [_mm512_set1_epi8(3); 2],
    |sum, a, b| { _mm512_dpbusd_epi32(sum, a, b) }
);
on_registers!(fours_256, "avx2,avxvnni", _mm256_setzero_si256(), [_mm256_set1_epi8(3); 2], |sum, a, b| {
    _mm256_dpbusd_avx_epi32(sum, a, b)
});
// One side is the sum: of two that stay the same the compiler would make the products once, before the loop.
on_registers!(pairs_256, "avx2", _mm256_setzero_si256(), [_mm256_set1_epi16(3); 2], |sum, a, _| {
    _mm256_add_epi32(sum, _mm256_madd_epi16(a, sum))
});

/// Billions of multiply-adds a second, the best of nine runs.
fn rate(products: usize, run: impl Fn()) -> f64 {
    let seconds = || {
        let started = Instant::now();
        run();
        started.elapsed().as_secs_f64()
    };
    products as f64 / (0..9).map(|_| seconds()).fold(f64::MAX, f64::min) / 1e9
}

/// Of an instruction: its name, whether the chip has it, its products, its loop, and a whole product by it.
type Row<'a> = (&'static str, bool, usize, unsafe fn(), &'a (dyn Fn() + Sync));

#[test]
#[ignore = "a measurement, to run alone"]
#[expect(clippy::print_stdout, reason = "a measurement prints")]
fn rates() {
    let x: Vec<f32> = (0..ROWS * INPUTS).map(|i| (i as f32 * 0.37).sin()).collect();
    let w: Vec<f32> = (0..OUTPUTS * INPUTS).map(|i| (i as f32 * 0.91).sin()).collect();
    let narrow: Vec<bf16> = w.iter().map(|&w| bf16::from_f32(w)).collect();
    let values: Vec<[i8; BLOCK]> =
        w.as_chunks().0.iter().map(|block: &[f32; BLOCK]| block.map(|w| (w * 127.0) as i8)).collect();
    let scales = vec![0.01; values.len()];
    let packed = Packed { values: &values, scales: &scales, blocks: INPUTS / BLOCK };
    let narrow = Weight { values: &narrow, rows: OUTPUTS, transposed: true };
    let in_f32 = || {
        let weight = Matrix::rows(&w, OUTPUTS, INPUTS, INPUTS).transposed();
        black_box(product::large_product(Matrix::rows(&x, ROWS, INPUTS, INPUTS), weight));
    };
    let in_bf16 = || drop(black_box(super::bf16::avx512::product(&x, narrow)));
    let in_fours = || drop(black_box(integers::vnni::avx512::projection(&x, packed)));
    let in_short_fours = || drop(black_box(integers::vnni::avx::projection(&x, packed)));
    let in_pairs = || drop(black_box(integers::avx2::projection(&x, packed)));

    let wide = is_x86_feature_detected!("avx512f");
    let rows: [Row<'_>; 6] = [
        ("f32, AVX-512", wide, 16, f32_512, &in_f32),
        ("f32, AVX2", !wide && integers::avx2::are_fast(), 8, f32_256, &in_f32),
        ("bf16, AVX512-BF16", super::bf16::avx512::are_fast(), 32, bf16_512, &in_bf16),
        ("8-bit integers, AVX512-VNNI", integers::vnni::avx512::are_fast(), 64, fours_512, &in_fours),
        ("8-bit integers, AVX-VNNI", integers::vnni::avx::are_fast(), 32, fours_256, &in_short_fours),
        ("8-bit integers, AVX2", integers::avx2::are_fast(), 16, pairs_256, &in_pairs),
    ];
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    println!(
        "| | A loop on registers | A product, {ROWS} by {INPUTS} by {OUTPUTS} | Share |\n|---|---:|---:|---:|"
    );
    for (name, there, lanes, on_registers, whole) in rows {
        if !there {
            continue;
        }
        // SAFETY: the chip has the instructions.
        #[expect(unsafe_code, reason = "functions for instructions that not every chip has")]
        let most = rate(PASSES * SUMS * lanes, || unsafe { on_registers() });
        let ours = alone.install(|| rate(ROWS * INPUTS * OUTPUTS, whole));
        println!("| {name} | {most:.0} | {ours:.0} | {:.0} % |", 100.0 * ours / most);
    }
}
