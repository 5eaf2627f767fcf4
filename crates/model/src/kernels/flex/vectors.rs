//! The vectors of wasm and what products need of them; in tests of other targets, what the standard says of them.

/// The lanes of a vector of a row of a tile.
#[inline(always)]
pub(super) fn four<T: Copy, const COLUMNS: usize>(row: &[T; COLUMNS], vector: usize) -> [T; 4] {
    std::array::from_fn(|lane| row[4 * vector + lane])
}

/// What the eighth bit of one side of `i32x4.relaxed_dot_i8x16_i7x16_add` is, which the standard leaves to the browser and
/// its processor.
#[cfg(any(feature = "relaxed-simd", test))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum EighthBit {
    /// A sign: the side has numbers from −128 to 127.
    Sign,
    /// A value: the side has numbers from 0 to 255.
    Value,
    /// Neither, or sums are cut off: the side must have 7 bits.
    Unknown,
}

#[cfg(any(feature = "relaxed-simd", test))]
impl EighthBit {
    /// By four products of 127, and of −128, with a side all of whose eight bits are set: they are four times −1 or 255.
    pub(super) fn shown_by(sums: [i32; 2]) -> Self {
        const OF_SIGNS: [i32; 2] = [4 * -127, 4 * 128];
        const OF_VALUES: [i32; 2] = [4 * 127 * 255, 4 * -128 * 255];
        match sums {
            OF_SIGNS => Self::Sign,
            OF_VALUES => Self::Value,
            _ => Self::Unknown,
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
pub(super) use emulated::*;
#[cfg(target_arch = "wasm32")]
pub(super) use real::*;

#[cfg(target_arch = "wasm32")]
mod real {
    use core::arch::wasm32::{
        f32x4, f32x4_add, f32x4_convert_i32x4, f32x4_extract_lane, f32x4_mul, i32x4_add, i32x4_dot_i16x8,
        i32x4_shuffle, i64x2_shuffle, u32x4, u32x4_splat, v128,
    };
    #[cfg(feature = "relaxed-simd")]
    use core::arch::wasm32::{
        f32x4_relaxed_madd, i8x16_splat, i32x4_extract_lane, i32x4_relaxed_dot_i8x16_i7x16_add, v128_xor,
    };

    #[cfg(feature = "relaxed-simd")]
    use super::EighthBit;

    /// Four words, or four numbers in f32.
    pub(in super::super) type Vector = v128;

    pub(in super::super) fn words([a, b, c, d]: [u32; 4]) -> Vector {
        u32x4(a, b, c, d)
    }

    pub(in super::super) fn word(word: u32) -> Vector {
        u32x4_splat(word)
    }

    #[cfg(feature = "relaxed-simd")]
    pub(in super::super) fn xor(a: Vector, b: Vector) -> Vector {
        v128_xor(a, b)
    }

    /// `sum` and, in each word, the products of two numbers in 16 bits.
    pub(in super::super) fn add_pairs(sum: Vector, a: Vector, b: Vector) -> Vector {
        i32x4_add(sum, i32x4_dot_i16x8(a, b))
    }

    /// `sum` and, in each word, the products of four numbers in 8 bits with four in 7 bits that have no sign.
    #[cfg(feature = "relaxed-simd")]
    #[target_feature(enable = "relaxed-simd")]
    pub(in super::super) fn add_fours(sum: Vector, a: Vector, b: Vector) -> Vector {
        i32x4_relaxed_dot_i8x16_i7x16_add(a, b, sum)
    }

    /// The same with four in 8 bits that have a sign, in a browser with [`EighthBit::Sign`].
    #[cfg(feature = "relaxed-simd")]
    pub(in super::super) use add_fours as add_signed_fours;
    /// The same with four in 8 bits that have no sign, in a browser with [`EighthBit::Value`].
    #[cfg(feature = "relaxed-simd")]
    pub(in super::super) use add_fours as add_unsigned_fours;

    /// What this browser shows. The standard holds it to one result as long as it runs, and asking takes two products.
    #[cfg(feature = "relaxed-simd")]
    #[target_feature(enable = "relaxed-simd")]
    pub(in super::super) fn eighth_bit() -> EighthBit {
        EighthBit::shown_by([127, -128].map(|number| {
            // The compiler has no say in it.
            let number = i8x16_splat(std::hint::black_box(number));
            i32x4_extract_lane::<0>(add_fours(word(0), number, i8x16_splat(-1)))
        }))
    }

    pub(in super::super) fn numbers([a, b, c, d]: [f32; 4]) -> Vector {
        f32x4(a, b, c, d)
    }

    pub(in super::super) fn converted(words: Vector) -> Vector {
        f32x4_convert_i32x4(words)
    }

    pub(in super::super) fn mul(a: Vector, b: Vector) -> Vector {
        f32x4_mul(a, b)
    }

    pub(in super::super) fn add(a: Vector, b: Vector) -> Vector {
        f32x4_add(a, b)
    }

    /// `sum + a b`, rounded once or twice, as the browser does.
    #[cfg(feature = "relaxed-simd")]
    #[target_feature(enable = "relaxed-simd")]
    pub(in super::super) fn add_product(sum: Vector, a: Vector, b: Vector) -> Vector {
        f32x4_relaxed_madd(a, b, sum)
    }

    /// `sum + a b`.
    #[cfg(not(feature = "relaxed-simd"))]
    pub(in super::super) fn add_product(sum: Vector, a: Vector, b: Vector) -> Vector {
        add(sum, mul(a, b))
    }

    /// Of four rows of four numbers, the columns.
    pub(in super::super) fn transposed([a, b, c, d]: [Vector; 4]) -> [Vector; 4] {
        let (ab, cd) = (i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<0, 4, 1, 5>(c, d));
        let (rest_ab, rest_cd) = (i32x4_shuffle::<2, 6, 3, 7>(a, b), i32x4_shuffle::<2, 6, 3, 7>(c, d));
        [
            i64x2_shuffle::<0, 2>(ab, cd),
            i64x2_shuffle::<1, 3>(ab, cd),
            i64x2_shuffle::<0, 2>(rest_ab, rest_cd),
            i64x2_shuffle::<1, 3>(rest_ab, rest_cd),
        ]
    }

    pub(in super::super) fn lanes(v: Vector) -> [f32; 4] {
        [
            f32x4_extract_lane::<0>(v),
            f32x4_extract_lane::<1>(v),
            f32x4_extract_lane::<2>(v),
            f32x4_extract_lane::<3>(v),
        ]
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod emulated {
    use pulp::bytemuck;

    /// Four words, or the bits of four numbers in f32.
    pub(in super::super) type Vector = [u32; 4];

    pub(in super::super) fn words(words: [u32; 4]) -> Vector {
        words
    }

    pub(in super::super) fn word(word: u32) -> Vector {
        [word; 4]
    }

    pub(in super::super) fn xor(a: Vector, b: Vector) -> Vector {
        std::array::from_fn(|i| a[i] ^ b[i])
    }

    pub(in super::super) fn add_pairs(sum: Vector, a: Vector, b: Vector) -> Vector {
        let dot = |a: u32, b: u32| {
            let [a, b]: [[i16; 2]; 2] = [a, b].map(bytemuck::cast);
            i32::from(a[0]) * i32::from(b[0]) + i32::from(a[1]) * i32::from(b[1])
        };
        std::array::from_fn(|i| sum[i].wrapping_add_signed(dot(a[i], b[i])))
    }

    pub(in super::super) fn add_fours(sum: Vector, a: Vector, b: Vector) -> Vector {
        let numbers: [u8; 16] = bytemuck::cast(b);
        assert!(numbers.iter().all(|&b| b < 128), "browsers differ in what {numbers:?} gives");
        add_signed_fours(sum, a, b)
    }

    pub(in super::super) fn add_signed_fours(sum: Vector, a: Vector, b: Vector) -> Vector {
        let numbers: [i8; 16] = bytemuck::cast(b);
        add_products(sum, a, numbers.map(i32::from))
    }

    pub(in super::super) fn add_unsigned_fours(sum: Vector, a: Vector, b: Vector) -> Vector {
        let numbers: [u8; 16] = bytemuck::cast(b);
        add_products(sum, a, numbers.map(i32::from))
    }

    fn add_products(sum: Vector, a: Vector, b: [i32; 16]) -> Vector {
        let a: [i8; 16] = bytemuck::cast(a);
        let dot = |word: usize| (4 * word..4 * word + 4).map(|i| i32::from(a[i]) * b[i]).sum();
        std::array::from_fn(|word| sum[word].wrapping_add_signed(dot(word)))
    }

    pub(in super::super) fn numbers(numbers: [f32; 4]) -> Vector {
        numbers.map(f32::to_bits)
    }

    pub(in super::super) fn converted(words: Vector) -> Vector {
        words.map(|word| (word.cast_signed() as f32).to_bits())
    }

    pub(in super::super) fn mul(a: Vector, b: Vector) -> Vector {
        std::array::from_fn(|i| (f32::from_bits(a[i]) * f32::from_bits(b[i])).to_bits())
    }

    pub(in super::super) fn add(a: Vector, b: Vector) -> Vector {
        std::array::from_fn(|i| (f32::from_bits(a[i]) + f32::from_bits(b[i])).to_bits())
    }

    pub(in super::super) fn add_product(sum: Vector, a: Vector, b: Vector) -> Vector {
        add(sum, mul(a, b))
    }

    pub(in super::super) fn transposed(rows: [Vector; 4]) -> [Vector; 4] {
        std::array::from_fn(|column| rows.map(|row| row[column]))
    }

    pub(in super::super) fn lanes(v: Vector) -> [f32; 4] {
        v.map(f32::from_bits)
    }
}

#[cfg(test)]
mod tests {
    use pulp::bytemuck;

    use super::*;

    #[test]
    fn a_browser_shows_what_its_eighth_bit_is() {
        let shown = |add: fn(Vector, Vector, Vector) -> Vector| {
            EighthBit::shown_by(
                [127_i8, -128].map(|a| add([0; 4], bytemuck::cast([a; 16]), [u32::MAX; 4])[0].cast_signed()),
            )
        };
        assert_eq!(shown(add_signed_fours), EighthBit::Sign);
        assert_eq!(shown(add_unsigned_fours), EighthBit::Value);
        // As processors do without an instruction for fours: each two products are cut off at 16 bits, then added.
        let cut_off = |sum: Vector, a: Vector, b: Vector| {
            let (a, b): ([i8; 16], [u8; 16]) = (bytemuck::cast(a), bytemuck::cast(b));
            let two = |i: usize| {
                let sum: i32 = (i..i + 2).map(|i| i32::from(a[i]) * i32::from(b[i])).sum();
                sum.clamp(i16::MIN.into(), i16::MAX.into())
            };
            std::array::from_fn(|word| sum[word].wrapping_add_signed(two(4 * word) + two(4 * word + 2)))
        };
        assert_eq!(shown(cut_off), EighthBit::Unknown);
    }
}
