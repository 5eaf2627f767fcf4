//! Random numbers keyed by a seed and the purpose they serve.
//!
//! Every use names its own stream, so adding one use never shifts the numbers of another. The hash, the bounded
//! draw and the shuffle are written out here: standard hashers differ per process, and `rand` may change its
//! algorithms between releases, while the bytes of a pair cache must not change.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The generator for `seed` and `labels`: same arguments, same numbers, on every platform.
pub fn stream(seed: u64, labels: &[&str]) -> ChaCha8Rng {
    let mut state = mix(seed, labels);
    let mut key = [0; 32];
    for chunk in key.chunks_exact_mut(8) {
        state = state.wrapping_add(GOLDEN);
        chunk.copy_from_slice(&finalise(state).to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// A 64-bit hash of `seed` and `labels`. Labels are delimited: `["ab"]` and `["a", "b"]` differ.
///
/// It derives seeds; it keeps no secrets.
pub fn mix(seed: u64, labels: &[&str]) -> u64 {
    let mut hash = FNV_OFFSET;
    let mut feed = |bytes: &[u8]| {
        for &byte in bytes {
            hash = (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
    };
    feed(&seed.to_le_bytes());
    for label in labels {
        feed(&(label.len() as u64).to_le_bytes());
        feed(label.as_bytes());
    }
    finalise(hash)
}

/// A number in `0..bound`, each equally likely; 0 when `bound` is 0.
pub fn below(rng: &mut impl RngCore, bound: usize) -> usize {
    let bound = bound as u64;
    if bound <= 1 {
        return 0;
    }
    // Numbers past the last whole multiple of `bound` would favour small remainders: draw again.
    let excess = (u64::MAX % bound + 1) % bound;
    loop {
        let number = rng.next_u64();
        if number <= u64::MAX - excess {
            return (number % bound) as usize;
        }
    }
}

/// A number from 0 to below 1.
pub fn unit(rng: &mut impl RngCore) -> f64 {
    // The 53 bits that an f64 holds exactly.
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Puts `items` into a random order (Fisher–Yates).
pub fn shuffle<T>(rng: &mut impl RngCore, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(rng, last + 1));
    }
}

/// FNV-1a, 64 bits: offset basis and prime.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// The splitmix64 increment.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The splitmix64 output function: spreads each input bit over all output bits, which FNV-1a alone does not.
fn finalise(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_and_labels_give_the_same_numbers() {
        let draw = |mut rng: ChaCha8Rng| [rng.next_u64(), rng.next_u64()];
        assert_eq!(draw(stream(7, &["a", "b"])), draw(stream(7, &["a", "b"])));
    }

    #[test]
    fn seed_labels_and_their_borders_all_count() {
        let seeds = [mix(7, &["ab"]), mix(8, &["ab"]), mix(7, &["a", "b"]), mix(7, &["ba"]), mix(7, &[])];
        for (place, seed) in seeds.iter().enumerate() {
            assert!(!seeds[..place].contains(seed), "{seeds:?}");
        }
    }

    #[test]
    fn finaliser_matches_published_splitmix64() {
        // The first outputs of splitmix64 seeded with 1234567, as listed on Rosetta Code.
        let outputs = [1, 2].map(|n: u64| finalise(1_234_567_u64.wrapping_add(GOLDEN.wrapping_mul(n))));
        assert_eq!(outputs, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn below_covers_its_range_evenly() {
        let mut rng = stream(1, &["below"]);
        let mut counts = [0; 3];
        for _ in 0..3000 {
            counts[below(&mut rng, 3)] += 1;
        }
        // The standard deviation of a count is 26; 150 is more than five of them.
        assert!(counts.iter().all(|&count: &i32| (count - 1000).abs() < 150), "{counts:?}");
    }

    #[test]
    fn unit_is_uniform() {
        let mut rng = stream(1, &["unit"]);
        let draws: Vec<f64> = (0..3000).map(|_| unit(&mut rng)).collect();
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
        // The standard error of the mean is 0.0053; 0.03 is more than five of them.
        assert!((draws.iter().sum::<f64>() / 3000.0 - 0.5).abs() < 0.03);
    }

    #[test]
    fn shuffle_keeps_every_item() {
        let mut items: Vec<usize> = (0..100).collect();
        shuffle(&mut stream(1, &["shuffle"]), &mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
