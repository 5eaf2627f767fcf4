//! With VNNI, whose instruction multiplies numbers without a sign by numbers with one: activations are moved up
//! ([`fours`](super::fours)). There are two bodies: on the vectors of AVX-512, and on those of AVX, half as long, which
//! processors for laptops and desktops have without AVX-512.

/// The body for vectors of one length, as a module: the features that its instructions need, the columns of a tile, which
/// are two vectors, the types of a vector, and the instructions by what they do.
macro_rules! body {
    (
        $name:ident, $enabled:literal, [$($feature:tt),*], $columns:literal, $floats:ident, $integers:ident,
        zero: $zero:ident, repeat: $repeat:ident, repeat_integer: $repeat_integer:ident, add_fours: $add_fours:ident,
        convert: $convert:ident, multiply: $multiply:ident, multiply_add: $multiply_add:ident,
    ) => {
        pub(in super::super) mod $name {
            use std::arch::x86_64::{
                $floats, $integers, $zero, $repeat, $repeat_integer, $add_fours, $convert, $multiply, $multiply_add,
            };

            use pulp::bytemuck;

            use crate::kernels::flex::blocks::Packed;
            use crate::kernels::flex::integers::fours::{AND_START, moved_up, with_start};
            use crate::kernels::flex::integers::{Activations, FOURS, Weights, product};
            use crate::kernels::flex::tiles::Sums;

            /// Rows of a tile: with two vectors a row, the sums of a block take 12 registers, of 16 or 32.
            const ROWS: usize = 6;
            /// Columns of a tile.
            const COLUMNS: usize = $columns;

            /// Whether the chip has the instructions.
            pub(in crate::kernels::flex) fn are_fast() -> bool {
                $(is_x86_feature_detected!($feature))&&*
            }

            /// `x Wᵀ`, `[rows, outputs]`.
            ///
            /// # Panics
            /// Without the instructions.
            pub(in crate::kernels::flex) fn projection(x: &[f32], weight: Packed<'_>) -> Vec<f32> {
                assert!(are_fast());
                product(x, weight, moved_up, with_start, |left, right| {
                    // SAFETY: the chip has the instructions (asserted above).
                    #[expect(unsafe_code, reason = "a function for instructions that not every chip has")]
                    unsafe {
                        sums(left, right)
                    }
                })
            }

            /// The sums of a tile.
            #[target_feature(enable = $enabled)]
            fn sums(
                left: &[Activations<FOURS, ROWS>],
                right: &[Weights<AND_START, COLUMNS>],
            ) -> Sums<ROWS, COLUMNS> {
                let mut sums = [[$zero(); 2]; ROWS];
                for (left, right) in left.iter().zip(right) {
                    let [start, words @ ..] = &right.words;
                    let mut counts: [[$integers; 2]; ROWS] = [bytemuck::cast(*start); ROWS];
                    for (word, weights) in words.iter().enumerate() {
                        let weights: [$integers; 2] = bytemuck::cast(*weights);
                        for (counts, row) in counts.iter_mut().zip(&left.words) {
                            let x = $repeat_integer(row[word].cast_signed());
                            for (count, weights) in counts.iter_mut().zip(weights) {
                                *count = $add_fours(*count, x, weights);
                            }
                        }
                    }
                    let scales: [$floats; 2] = bytemuck::cast(right.scales);
                    for r in 0..ROWS {
                        let scale = $repeat(left.scales[r]);
                        for half in 0..2 {
                            let counts = $convert(counts[r][half]);
                            sums[r][half] = $multiply_add(counts, $multiply(scale, scales[half]), sums[r][half]);
                        }
                    }
                }
                bytemuck::cast(sums)
            }
        }
    };
}

body! {
    avx512, "avx512f,avx512vnni", ["avx512f", "avx512vnni"], 32, __m512, __m512i,
    zero: _mm512_setzero_ps, repeat: _mm512_set1_ps, repeat_integer: _mm512_set1_epi32, add_fours: _mm512_dpbusd_epi32,
    convert: _mm512_cvtepi32_ps, multiply: _mm512_mul_ps, multiply_add: _mm512_fmadd_ps,
}
body! {
    avx, "avx2,fma,avxvnni", ["avx2", "fma", "avxvnni"], 16, __m256, __m256i,
    zero: _mm256_setzero_ps, repeat: _mm256_set1_ps, repeat_integer: _mm256_set1_epi32,
    add_fours: _mm256_dpbusd_avx_epi32,
    convert: _mm256_cvtepi32_ps, multiply: _mm256_mul_ps, multiply_add: _mm256_fmadd_ps,
}
